package hubspot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a token that does not show itself: not in fmt, slog, JSON or any other text encoding.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder.
func (Secret) GoString() string { return redacted }

// Format writes a placeholder whatever the verb, so that %x and %q show nothing either.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder and no error.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// TokenSource gives the bearer token for a request. Token is called once for each request, by many goroutines at once; it may
// block until ctx ends. Its errors must not contain the token.
type TokenSource interface {
	Token(ctx context.Context) (Secret, error)
}

// StaticToken returns a source that always gives t: a private app's token or a service key.
func StaticToken(t Secret) TokenSource {
	return tokenFunc(func(context.Context) (Secret, error) { return t, nil })
}

// tokenFunc is a function because whatever prints the fields of a struct, unexported ones too, cannot look into one.
type tokenFunc func(context.Context) (Secret, error)

// Token calls f.
func (f tokenFunc) Token(ctx context.Context) (Secret, error) { return f(ctx) }
