package metrics

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// The golden file is the face towards dashboards and alerts: names, help, label values, buckets.
func TestMetricsRightAfterTheStartAreTheGoldenOnes(t *testing.T) {
	code, body := scrape(t, New("1.2.3"), "/metrics")
	if code != http.StatusOK {
		t.Fatalf("GET /metrics: %d", code)
	}
	var own strings.Builder
	for line := range strings.Lines(body) {
		if name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "); strings.HasPrefix(name, prefix) {
			own.WriteString(strings.Replace(line, runtime.Version(), "GOVERSION", 1))
		}
	}
	file := filepath.Join("testdata", "metrics.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(own.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := own.String(); got != string(want) {
		t.Errorf("the series differ from %s (run with -update if that is meant); got\n%s", file, got)
	}
	for _, theirs := range []string{"\ngo_goroutines ", "\nprocess_cpu_seconds_total "} {
		if !strings.Contains(body, theirs) {
			t.Errorf("no %q", strings.TrimSpace(theirs))
		}
	}
}
