package hubspot

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestErrorTextHoldsNoWordOfHubSpotsThatMayBeAnAddress(t *testing.T) {
	for want, e := range map[string]*Error{
		"hubspot: status 400, VALIDATION_ERROR, correlation id 7e62aa49-1f9c": {
			StatusCode: 400, Category: "VALIDATION_ERROR", CorrelationID: "7e62aa49-1f9c", SubCategory: "ann@example.com",
			Message: "ann@example.com", Context: map[string][]string{"ann@example.com": {"ann@example.com"}},
			Details: []Detail{{Message: "ann@example.com"}},
		},
		"hubspot: status 429, RATE_LIMIT, policy DAILY, retry after 1m30s": {
			StatusCode: 429, Category: "RATE_LIMIT", PolicyName: "DAILY", RetryAfter: 90 * time.Second,
		},
		"hubspot: status 400": {
			StatusCode: 400, Category: "about ann", PolicyName: "ann@example.com", CorrelationID: strings.Repeat("a", 65),
		},
		"hubspot: status 502, may have been applied": {StatusCode: 502, Unanswered: true},
		"hubspot: no answer, may have been applied: context deadline exceeded": {
			Unanswered: true, Err: context.DeadlineExceeded,
		},
	} {
		if got := e.Error(); got != want {
			t.Errorf("text is %q, want %q", got, want)
		}
	}
}

func TestLimitsOfA429AreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		e                  Error
		daily, tenSecondly bool
	}{
		"daily":            {Error{StatusCode: 429, PolicyName: "DAILY"}, true, false},
		"rolling":          {Error{StatusCode: 429, PolicyName: "TEN_SECONDLY_ROLLING"}, false, true},
		"secondly":         {Error{StatusCode: 429, PolicyName: "SECONDLY"}, false, true},
		"daily message":    {Error{StatusCode: 429, Message: "You have reached your daily limit."}, true, false},
		"rolling message":  {Error{StatusCode: 429, Message: "You have reached your ten_secondly_rolling limit."}, false, true},
		"the name decides": {Error{StatusCode: 429, PolicyName: "TEN_SECONDLY_ROLLING", Message: "not your daily limit"}, false, true},
		"an unknown one":   {Error{StatusCode: 429, PolicyName: "CONCURRENT", Message: "daily limit"}, false, false},
		"says nothing":     {Error{StatusCode: 429}, false, false},
		"is no 429":        {Error{StatusCode: 400, PolicyName: "DAILY"}, false, false},
	} {
		if daily, tenSecondly := c.e.Daily(), c.e.TenSecondly(); daily != c.daily || tenSecondly != c.tenSecondly {
			t.Errorf("%s: daily %v, ten-secondly %v, want %v, %v", name, daily, tenSecondly, c.daily, c.tenSecondly)
		}
	}
}

func TestEdgeStatusesStandForAMissingAnswer(t *testing.T) {
	want := map[int]bool{502: true, 504: true, 520: true, 521: true, 522: true, 523: true, 524: true, 525: true, 526: true, 527: true}
	for status := 300; status < 600; status++ {
		if got := answeredByEdge(status); got != want[status] {
			t.Errorf("status %d is of the edge: %v, want %v", status, got, want[status])
		}
	}
}

func TestErrorsThatQuoteAddressOrTokenAreWithheld(t *testing.T) {
	for text, shown := range map[string]bool{
		"connection refused":                        true,
		`malformed HTTP response "ann@example.com"`: false,
		"bad path /ann%40example.com":               false,
		"bad header Bearer secret-1":                false,
	} {
		err := errors.New(text)
		if got := errors.Is(withhold(err, "secret-1"), err); got != shown {
			t.Errorf("%q is shown: %v, want %v", text, got, shown)
		}
	}
}
