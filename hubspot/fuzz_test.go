package hubspot

import (
	"bytes"
	stdlib "encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzDecodeResponse holds the decoder to these: it never panics; what it gives is UTF-8 throughout; the inputs change nothing;
// and it says that a body is malformed exactly when a decoder that is not ours finds no object in it, or results that are no list.
func FuzzDecodeResponse(f *testing.F) {
	for _, name := range []string{"complete.json", "partial.json", "forbidden.json"} {
		f.Add(golden(f, name))
	}
	f.Add([]byte(`{"results":[{"subscriberIdString":"ann@example.com"},7],"errors":{"context":[null]}}`))
	f.Add([]byte("{\"results\":[{\"source\":\"\xff\\ud800\"}],\"results\":{}}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := decodeResponse(body, nil)
		if diff := cmp.Diff(got, decodeResponse(body, someInputs), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the inputs change the response:\n%s", diff)
		}
		if _, err := json.Marshal(struct {
			Results []Result
			Errors  []ItemError
		}{got.Results, got.Errors}); err != nil {
			t.Errorf("the response is not clean: %v", err)
		}
		if got.Malformed && (len(got.Results) > 0 || len(got.Errors) > 0) {
			t.Errorf("a malformed response has results: %+v", got)
		}
		if want := !isResponse(body); got.Malformed != want {
			t.Errorf("malformed is %v for %q, want %v", got.Malformed, body, want)
		}
	})
}

// isResponse says by the standard library whether a body is an object whose results, all of them if the name is there more
// than once, are a list or null.
func isResponse(body []byte) bool {
	d := stdlib.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	if token, err := d.Token(); err != nil || token != stdlib.Delim('{') {
		return false
	}
	ok := true
	for d.More() {
		name, err := d.Token()
		var value stdlib.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return false
		}
		if name == "results" && value[0] != '[' && value[0] != 'n' {
			ok = false
		}
	}
	if _, err := d.Token(); err != nil {
		return false
	}
	_, err := d.Token()
	return ok && errors.Is(err, io.EOF)
}

// FuzzDecodeError holds the decoder of errors to the first two of the same.
func FuzzDecodeError(f *testing.F) {
	for _, name := range []string{"forbidden.json", "daily.json", "partial.json"} {
		f.Add(golden(f, name))
	}
	f.Add([]byte("<html>502</html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := decodeError(body)
		if _, err := json.Marshal(struct {
			Category, Message, SubCategory, PolicyName string
			Context                                    map[string][]string
			Details                                    []Detail
		}{e.Category, e.Message, e.SubCategory, e.PolicyName, e.Context, e.Details}); err != nil {
			t.Errorf("the error is not clean: %v", err)
		}
		if text := e.Error(); bytes.ContainsAny([]byte(text), "@\n") {
			t.Errorf("the error's text is %q", text)
		}
	})
}
