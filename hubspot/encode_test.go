package hubspot

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

var someInputs = []Input{
	{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: Unsubscribed, Channel: Email},
	{
		SubscriberID: `"b\c"@example.com`, SubscriptionID: 1<<53 + 1, Status: Subscribed, Channel: Email,
		LegalBasis: ConsentWithNotice, LegalBasisExplanation: "asked on <paper>,\nsigned ✓",
	},
	{SubscriberID: "zoë@example.com", SubscriptionID: 1, Status: NotSpecified, Channel: Email, LegalBasis: NonGDPR},
}

func TestRequestIsWrittenAsInTheGoldenFile(t *testing.T) {
	want, err := os.ReadFile("testdata/request.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := appendRequest(nil, someInputs); string(got) != strings.TrimSpace(string(want)) {
		t.Errorf("request\n%s\nwant\n%s", got, want)
	}
}

func TestInputIsWrittenAsItsJSONTagsSay(t *testing.T) {
	for i := range someInputs {
		want, err := json.Marshal(someInputs[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := appendInput(nil, &someInputs[i]); !bytes.Equal(got, want) {
			t.Errorf("input %d is\n%s\nwant\n%s", i, got, want)
		}
	}
}

func TestOutgoingKnowsWhetherBytesWereTaken(t *testing.T) {
	out := encode(someInputs)
	body, _ := out.open()
	if out.seal() {
		t.Error("bytes were taken before any was read")
	}
	if n, err := body.Read(make([]byte, 8)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, after the request was over", n, err)
	}

	out = encode(someInputs)
	body, _ = out.open()
	if _, err := io.ReadFull(body, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !out.seal() {
			t.Error("no bytes were taken after some were read")
		}
	}
}

func TestOutgoingForgetsAnAttemptThatReachedNobody(t *testing.T) {
	out := encode(someInputs)
	first, _ := out.open()
	if _, err := io.ReadAll(first); err != nil {
		t.Fatal(err)
	}
	second, _ := out.open()
	if out.seal() {
		t.Error("bytes were taken after the body was opened again")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestOutgoingReadsTheSameEachTime(t *testing.T) {
	out := encode(someInputs)
	defer out.seal()
	want := string(out.buf)
	for range 2 {
		body, _ := out.open()
		got, err := io.ReadAll(body)
		if err != nil || string(got) != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
		_ = body.Close()
		if n, err := body.Read(make([]byte, 8)); n != 0 || err == nil {
			t.Errorf("read %d bytes, %v, after close", n, err)
		}
	}
}
