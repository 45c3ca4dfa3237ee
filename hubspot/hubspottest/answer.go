package hubspottest

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// Answer is a whole HTTP answer.
type Answer struct {
	Status int
	Header http.Header // may be nil
	Body   string

	own    bool   // HubSpot's, and not its edge's: with its headers
	policy string // of a 429, for the Outcome
}

// problem is the body of a refusal: Error in HubSpot's OpenAPI file, with what real ones have besides. Most fields are absent
// from most of them.
type problem struct {
	Status        string              `json:"status"`
	Message       string              `json:"message"`
	CorrelationID string              `json:"correlationId"`
	Category      string              `json:"category,omitzero"`
	ErrorType     string              `json:"errorType,omitzero"`
	PolicyName    string              `json:"policyName,omitzero"`
	GroupName     string              `json:"groupName,omitzero"`
	RequestID     string              `json:"requestId,omitzero"`
	Context       map[string][]string `json:"context,omitzero"`
	Errors        []problemDetail     `json:"errors,omitzero"`
	Links         map[string]string   `json:"links,omitzero"`
}

type problemDetail struct {
	Message string              `json:"message"`
	Context map[string][]string `json:"context,omitzero"`
}

// What HubSpot's documentation and its users show of refusals. A 429 has errorType where others have category.
var (
	noCredentials = problem{Category: "INVALID_AUTHENTICATION", Message: "Authentication credentials not found."}
	badToken      = problem{Category: "INVALID_AUTHENTICATION", Message: "The access token is invalid."}
	expired       = problem{
		Category: "EXPIRED_AUTHENTICATION", Message: "The OAuth token used to make this call expired 75 second(s) ago.",
		Context: map[string][]string{"expire time": {"2022-06-21T10:37:52.040Z"}},
	}
	tenSecondly = problem{
		ErrorType: "RATE_LIMIT", PolicyName: "TEN_SECONDLY_ROLLING",
		GroupName: "publicapi:private_app-api-calls-ten-secondly:1512050:26892217",
		Message:   "You have reached your ten_secondly_rolling limit.",
	}
	dailyLimit = problem{
		ErrorType: "RATE_LIMIT", PolicyName: "DAILY", RequestID: "3d3e35b7-0dae-4b9f-a6e3-9c230cbcf8dd",
		Message: "You have reached your daily limit.",
	}
	tooLarge  = problem{Message: "The request body is too large"}
	wrongType = problem{Message: "HTTP 415 Unsupported Media Type"}
	noInputs  = problem{Category: "VALIDATION_ERROR", Message: "There must be at least one input in a batch"}
)

func tooMany(limit int) problem {
	return problem{Category: "VALIDATION_ERROR", Message: fmt.Sprintf("The maximum number of inputs supported in a batch is %d. "+
		"Please reduce the number of items and try again", limit)}
}

func duplicate(in *input) problem {
	return problem{
		Category: "VALIDATION_ERROR",
		Message:  fmt.Sprintf("Duplicate IDs found in batch input: [%s]. IDs must be unique", in.SubscriberID),
		Context:  map[string][]string{"ids": {in.SubscriberID}},
	}
}

func lacking(scopes []string) problem {
	return problem{
		Category: "MISSING_SCOPES",
		Message: "This app hasn't been granted all required scopes to make this call. " +
			"Read more about required scopes here: https://developers.hubspot.com/scopes.",
		Errors: []problemDetail{{
			Message: "One or more of the following scopes are required.",
			Context: map[string][]string{"requiredGranularScopes": scopes},
		}},
		Links: map[string]string{"scopes": "https://developers.hubspot.com/scopes"},
	}
}

// refusal makes an answer of p. The caller holds mu, for the correlation id.
func (s *Sim) refusal(status int, p problem, h http.Header) *Answer {
	p.Status, p.CorrelationID = "error", s.uuid()
	body, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		panic(err) // strings and maps of strings
	}
	header := http.Header{"X-Hubspot-Correlation-Id": {p.CorrelationID}}
	maps.Copy(header, h)
	return &Answer{Status: status, Header: header, Body: string(body), own: true, policy: p.PolicyName}
}

// uuid returns a correlation id. The caller holds mu.
func (s *Sim) uuid() string {
	a, b := s.random.Uint64(), s.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// words returns message and context of an error about in.
func (n Naming) words(in *input) (message string, context map[string][]string) {
	message, context = "The status cannot be updated", map[string][]string{}
	id := fmt.Sprint(in.SubscriptionID)
	switch n {
	case ByContext:
		context["subscriberIdString"], context["subscriptionId"] = []string{in.SubscriberID}, []string{id}
	case ByAddress:
		context["subscriberIdString"] = []string{in.SubscriberID}
	case BySubscription:
		context["subscriptionId"] = []string{id}
	case ByMessage:
		message = "Subscription " + id + " for " + in.SubscriberID + " cannot be updated"
	}
	return message, context
}

// outcome names the answer for the counts.
func (a *Answer) outcome() Outcome {
	return Outcome(strings.TrimSpace(fmt.Sprint(a.Status) + " " + a.policy))
}
