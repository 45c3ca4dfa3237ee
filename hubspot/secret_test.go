package hubspot

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestSecretShowsItselfNowhereButInReveal(t *testing.T) {
	const hidden = "pat-na1-0123456789"
	secret := Secret(hidden)
	if secret.Reveal() != hidden {
		t.Errorf("Reveal gives %q, want %q", secret.Reveal(), hidden)
	}
	var out bytes.Buffer
	source := StaticToken(secret)
	holder := struct {
		Token  Secret
		Source TokenSource
		Ptr    *Secret
	}{secret, source, &secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", source)
		fmt.Fprintf(&out, verb+"\n", struct{ Token Secret }{secret})
	}
	client, err := New(Config{BaseURL: "http://hubspot.test", Version: "v4", Tokens: source})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "%v %+v %#v\n", *client, *client, *client)
	fmt.Fprintln(&out, secret.String(), secret.GoString())
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("token", slog.Any("secret", secret), slog.Any("source", source), slog.Any("config", Config{Tokens: source}))
	}
	b, err := json.Marshal(map[string]any{"secret": secret, "holder": holder.Token, "ptr": holder.Ptr})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows:\n%s", &out)
		}
	}
}
