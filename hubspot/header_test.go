package hubspot

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"-5":                            0,
		"NaN":                           0,
		"soon":                          0,
		"2":                             2 * time.Second,
		" 30 ":                          30 * time.Second,
		"0.5":                           500 * time.Millisecond,
		"86400":                         24 * time.Hour,
		"86401":                         24 * time.Hour,
		"1e300":                         24 * time.Hour,
		"Inf":                           24 * time.Hour,
		"Sun, 22 Nov 2026 20:01:30 GMT": 90 * time.Second,
		"Sun, 22 Nov 2026 19:59:00 GMT": 0,
		"Sun, 29 Nov 2026 20:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", text, got, want)
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("no Retry-After is %v, want 0", got)
	}
}

func TestLimitsAreKnownOnlyWhenBothNumbersAreGiven(t *testing.T) {
	all := map[string]string{
		headerMax: "190", headerRemaining: "12", headerInterval: "10000", headerDaily: "1000000", headerDailyRemaining: "0",
	}
	for name, c := range map[string]struct {
		change map[string]string
		want   Limits
	}{
		"all": {nil, Limits{190, 12, 10 * time.Second, 1_000_000, 0, true, true}},
		"OAuth, without the day": {
			map[string]string{headerDaily: "", headerDailyRemaining: ""},
			Limits{190, 12, 10 * time.Second, 0, 0, true, false},
		},
		"no remaining": {map[string]string{headerRemaining: ""}, Limits{190, 0, 10 * time.Second, 1_000_000, 0, false, true}},
		"nonsense": {
			map[string]string{headerMax: "many", headerInterval: "-1", headerDaily: "1.5"},
			Limits{0, 12, 0, 0, 0, false, false},
		},
		"an endless interval": {map[string]string{headerInterval: "9223372036854775807"}, Limits{190, 12, 24 * time.Hour, 1_000_000, 0, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range all {
				h.Set(k, v)
			}
			for k, v := range c.change {
				h.Set(k, v)
			}
			if got := limits(h); got != c.want {
				t.Errorf("limits are %+v, want %+v", got, c.want)
			}
		})
	}
	if got := limits(http.Header{}); got != (Limits{}) {
		t.Errorf("limits without headers are %+v", got)
	}
}
