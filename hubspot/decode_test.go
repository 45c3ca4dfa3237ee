package hubspot

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func utc(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestResponseIsReadFromGoldenBodies(t *testing.T) {
	for name, want := range map[string]Response{
		"complete.json": {
			Status: "COMPLETE",
			Results: []Result{
				{
					SubscriberID: "ann@example.com", SubscriptionID: 63722844, Channel: Email, Status: Unsubscribed,
					Reason: "REQUESTED_CHANGE_OCCURRED", Source: "Public status API", Timestamp: utc("2024-08-02T21:46:29.110Z"),
				},
				{
					SubscriberID: "bob@example.com", SubscriptionID: 530858989, Channel: Email, Status: Subscribed,
					Reason: "RESUBSCRIBE_OCCURRED", Source: "Public status API, App ID:5848098",
					Timestamp: utc("2025-01-08T06:34:39.478Z"), BusinessUnitID: 4, LegalBasis: LegitimateInterestPQL,
					LegalBasisExplanation: "asked for", SubscriptionName: "Customer Service Communication",
				},
			},
			StartedAt: utc("2024-08-02T21:46:29.088Z"), CompletedAt: utc("2024-08-02T21:46:29.228Z"),
		},
		"partial.json": {
			Status: "COMPLETE",
			Results: []Result{{
				SubscriberID: "ann@example.com", SubscriptionID: 7, Channel: Email, Status: Unsubscribed,
				Source: "Public status API", Timestamp: utc("2024-08-15T17:09:13.610Z"),
			}},
			NumErrors: 3,
			Errors: []ItemError{
				{
					Status: "error", Category: "VALIDATION_ERROR", SubCategory: "SubscriptionError.UNKNOWN",
					Message: "Subscription 8 for bob@example.com cannot be updated", ID: "e-1",
					Context: map[string][]string{"subscriptionId": {"8"}, "subscriberIdString": {"bob@example.com"}},
					Details: []Detail{{
						Message: "unknown", Code: "NOT_FOUND", In: "subscriptionId", SubCategory: "X",
						Context: map[string][]string{"ids": {"8"}},
					}},
				},
				{
					Category: "CONFLICT", Message: "not now", SubCategory: `{"name": "BUSY"}`,
					Context: map[string][]string{"id": {"9"}, "ids": {"10", "11", ""}, "address": {"cy@example.com"}, "none": nil},
				},
				{Message: "nameless"},
			},
			StartedAt: utc("2024-08-15T17:09:13.610Z"), CompletedAt: utc("2024-08-15T17:09:13.910Z"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodeResponse(golden(t, name), nil)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorIsReadFromGoldenBodies(t *testing.T) {
	for name, want := range map[string]*Error{
		"forbidden.json": {
			Category: "MISSING_SCOPES", CorrelationID: "dc49c0a8-9952-4937-aad4-e322b1e5cee0",
			Message: "This app hasn't been granted all required scopes to make this call. " +
				"Read more about required scopes here: https://developers.hubspot.com/scopes.",
			Details: []Detail{{
				Message: "One or more of the following scopes are required.",
				Context: map[string][]string{"requiredGranularScopes": {"communication_preferences.statuses.batch.write"}},
			}},
		},
		"daily.json": {
			Category: "RATE_LIMIT", PolicyName: "DAILY", Message: "You have reached your daily limit.",
			CorrelationID: "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, decodeError(golden(t, name)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOddFieldsOfAResultBecomeZeroAndTakeNothingAlong(t *testing.T) {
	good := Result{SubscriberID: "ann@example.com", SubscriptionID: 7, Channel: Email, Status: Unsubscribed}
	with := func(change func(*Result)) []Result {
		r := good
		change(&r)
		return []Result{r}
	}
	for member, want := range map[string][]Result{
		``:                                      {good},
		`,"new":{"a":[1,"]}",null]}`:            {good},
		`,"status":null`:                        with(func(r *Result) { r.Status = "" }),
		`,"status":"PAUSED"`:                    with(func(r *Result) { r.Status = "PAUSED" }),
		`,"status":7`:                           with(func(r *Result) { r.Status = "7" }),
		`,"subscriptionId":"8"`:                 with(func(r *Result) { r.SubscriptionID = 8 }),
		`,"subscriptionId":8.0`:                 with(func(r *Result) { r.SubscriptionID = 8 }),
		`,"subscriptionId":8e2`:                 with(func(r *Result) { r.SubscriptionID = 800 }),
		`,"subscriptionId":-8`:                  with(func(r *Result) { r.SubscriptionID = -8 }),
		`,"subscriptionId":8.5`:                 with(func(r *Result) { r.SubscriptionID = 0 }),
		`,"subscriptionId":1e99`:                with(func(r *Result) { r.SubscriptionID = 0 }),
		`,"subscriptionId":9223372036854775807`: with(func(r *Result) { r.SubscriptionID = 1<<63 - 1 }),
		`,"subscriptionId":9223372036854775808`: with(func(r *Result) { r.SubscriptionID = 0 }),
		`,"subscriptionId":true`:                with(func(r *Result) { r.SubscriptionID = 0 }),
		`,"subscriptionId":[8]`:                 with(func(r *Result) { r.SubscriptionID = 0 }),
		`,"subscriberIdString":"b\u006fb\u0040example.com"`:       with(func(r *Result) { r.SubscriberID = "bob@example.com" }),
		`,"subscriberIdString":"\"q\\\"@example.com"`:             with(func(r *Result) { r.SubscriberID = `"q\"@example.com` }),
		`,"s\u0074atus":"SUBSCRIBED"`:                             with(func(r *Result) { r.Status = Subscribed }),
		`,"source":"` + "a\xffb" + `"`:                            with(func(r *Result) { r.Source = "a\uFFFDb" }),
		`,"source":"\ud800"`:                                      with(func(r *Result) { r.Source = "\uFFFD" }),
		`,"timestamp":"2024-05-22T12:151:01.145Z"`:                {good},
		`,"timestamp":"yesterday"`:                                {good},
		`,"timestamp":{}`:                                         {good},
		`,"timestamp":"2024-08-02T21:46:29.110+02:00"`:            with(func(r *Result) { r.Timestamp = utc("2024-08-02T19:46:29.110Z") }),
		`,"timestamp":"2024-08-02T21:46:29.110+0200"`:             with(func(r *Result) { r.Timestamp = utc("2024-08-02T19:46:29.110Z") }),
		`,"timestamp":"2024-08-02T21:46:29.110"`:                  with(func(r *Result) { r.Timestamp = utc("2024-08-02T21:46:29.110Z") }),
		`,"timestamp":"2024-08-02 21:46:29"`:                      with(func(r *Result) { r.Timestamp = utc("2024-08-02T21:46:29Z") }),
		`,"timestamp":1722635189110`:                              with(func(r *Result) { r.Timestamp = utc("2024-08-02T21:46:29.110Z") }),
		`,"businessUnitId":null,"legalBasis":null`:                {good},
		`},7,null,"ann@example.com",[],{"subscriptionId":9,"x":1`: {good, {SubscriptionID: 9}},
	} {
		body := `{"results":[{"subscriberIdString":"ann@example.com","subscriptionId":7,"channel":"EMAIL","status":"UNSUBSCRIBED"` +
			member + `}]}`
		got := decodeResponse([]byte(body), someInputs)
		if diff := cmp.Diff(Response{Results: want}, got); diff != "" {
			t.Errorf("with %s (-want +got):\n%s", member, diff)
		}
	}
}

func TestOddFieldsOfAResponseAreReadAsFarAsPossible(t *testing.T) {
	for body, want := range map[string]Response{
		`{}`:                         {},
		" \n{}\n":                    {},
		"\xef\xbb\xbf{}":             {},
		`{"results":null}`:           {},
		`{"results":[ ]}`:            {},
		`{"results":{}}`:             {Malformed: true},
		`{"results":"none"}`:         {Malformed: true},
		`{"status":"error"}`:         {Status: "error"},
		`{"numErrors":"2"}`:          {NumErrors: 2},
		`{"numErrors":99999999999}`:  {NumErrors: 1<<31 - 1},
		`{"numErrors":"two"}`:        {},
		`{"correlationId":"abc"}`:    {CorrelationID: "abc"},
		`{"errors":null}`:            {},
		`{"errors":[]}`:              {},
		`{"errors":"broken"}`:        {Errors: []ItemError{{Message: "broken"}}},
		`{"errors":["a",{},null]}`:   {Errors: []ItemError{{Message: "a"}, {}, {}}},
		`{"errors":{"message":"a"}}`: {Errors: []ItemError{{Message: "a"}}},
		`{"errors":[{"message":"a","context":"bob@example.com","errors":"b"}]}`: {Errors: []ItemError{{
			Message: "a", Context: map[string][]string{"": {"bob@example.com"}}, Details: []Detail{{Message: "b"}},
		}}},
		`{"errors":[{"context":["a",1]}]}`:                       {Errors: []ItemError{{Context: map[string][]string{"": {"a", "1"}}}}},
		`{"errors":[{"context":{"a":{"b":[1]}}}]}`:               {Errors: []ItemError{{Context: map[string][]string{"a": {`{"b":[1]}`}}}}},
		`{"errors":[{"context":{"a":"1","a":["2"]}}]}`:           {Errors: []ItemError{{Context: map[string][]string{"a": {"1", "2"}}}}},
		`{"errors":[{"status":400,"id":12,"subCategory":true}]}`: {Errors: []ItemError{{Status: "400", ID: "12", SubCategory: "true"}}},
		`{"results":[{"subscriptionId":1}],"results":[{"subscriptionId":2}]}`: {
			Results: []Result{{SubscriptionID: 1}, {SubscriptionID: 2}},
		},
	} {
		got := decodeResponse([]byte(body), nil)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestBodyThatIsNotWholeJSONGivesNoResult(t *testing.T) {
	bodies := []string{
		"", " ", "null", "[]", "7", `"text"`, "{", "<html></html>", `{"results":[{"subscriptionId":1}]} trailing`,
		`{"results":[{"subscriptionId":1}],}`, `{"results":[{"subscriptionId":01}]}`, `{"results":[{'a':1}]}`, "{}{}",
		strings.Repeat(`{"results":[`, 20000),
	}
	whole := strings.TrimSpace(string(golden(t, "complete.json")))
	for i := range whole {
		bodies = append(bodies, whole[:i])
	}
	for _, body := range bodies {
		if got, want := decodeResponse([]byte(body), someInputs), (Response{Malformed: true}); !cmp.Equal(got, want) {
			t.Errorf("%.80q gives %+v, want %+v", body, got, want)
		}
		if got := decodeError([]byte(body)); !cmp.Equal(got, new(Error)) {
			t.Errorf("%.80q gives %+v, want nothing", body, got)
		}
	}
}

func TestResultsDoNotShareTheBufferTheyWereReadFrom(t *testing.T) {
	body := golden(t, "complete.json")
	got := decodeResponse(body, nil)
	before := fmt.Sprint(got)
	clear(body)
	if after := fmt.Sprint(got); after != before {
		t.Errorf("the response changed with the buffer:\n%s\n%s", before, after)
	}
}
