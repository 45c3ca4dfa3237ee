package hubspot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"consent-worker/hubspot"
)

func TestFileTokenTakesUpAChangedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	source := hubspot.FileToken(path)
	if _, err := source.Token(t.Context()); err == nil || strings.Contains(err.Error(), path) {
		t.Errorf("without a file: %v", err)
	}
	changed := time.Now()
	for _, step := range []struct{ content, want string }{
		{"one\n", "one"}, {" two ", "two"}, {"", "two"}, {"six", "six"}, {"gone", "six"},
	} {
		changed = changed.Add(time.Second)
		if step.content == "gone" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		} else if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		if got, err := source.Token(t.Context()); err != nil || got.Reveal() != step.want {
			t.Errorf("file %q: token %q, %v; want %q", step.content, got.Reveal(), err, step.want)
		}
	}
}
