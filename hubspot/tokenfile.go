package hubspot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// FileToken returns a source that gives what a file holds, blanks around it trimmed. It looks at the file before each request and
// takes up a new content at once. A file that cannot be read, or holds nothing, while it is being replaced is no reason
// to stop: the last token goes on. It is an error only while there has never been one.
func FileToken(path string) TokenSource {
	var (
		mu   sync.Mutex // guards all below; held while the file is read, which is short
		last Secret
		seen time.Time
		size int64
	)
	return tokenFunc(func(context.Context) (Secret, error) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path)
		if err == nil && (last == "" || !info.ModTime().Equal(seen) || info.Size() != size) {
			var content []byte
			if content, err = os.ReadFile(path); err == nil {
				if t := strings.TrimSpace(string(content)); t != "" {
					last, seen, size = Secret(t), info.ModTime(), info.Size()
				}
			}
		}
		if last != "" {
			return last, nil
		}
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // not the path: a secret is easily put where its file is asked for
		}
		if err == nil {
			return "", errors.New("the token file is empty")
		}
		return "", fmt.Errorf("the token file cannot be read: %w", err)
	})
}
