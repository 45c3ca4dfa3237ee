package hubspottest_test

import (
	"net/http"
	"testing"
	"time"

	"consent-worker/hubspot/hubspottest"

	"github.com/go-json-experiment/json"
)

// The schemas of HubSpot's OpenAPI file as types. A pointer is a field that must be there.
type (
	batchResponse struct {
		Status      *string           `json:"status"`
		Results     *[]publicStatus   `json:"results"`
		StartedAt   *time.Time        `json:"startedAt"`
		CompletedAt *time.Time        `json:"completedAt"`
		RequestedAt time.Time         `json:"requestedAt"`
		Errors      []standardError   `json:"errors"`
		NumErrors   int32             `json:"numErrors"`
		Links       map[string]string `json:"links"`
	}
	publicStatus struct {
		Channel                *string    `json:"channel"`
		Source                 *string    `json:"source"`
		Status                 *string    `json:"status"`
		SubscriberIDString     *string    `json:"subscriberIdString"`
		SubscriptionID         *int64     `json:"subscriptionId"`
		Timestamp              *time.Time `json:"timestamp"`
		BusinessUnitID         int64      `json:"businessUnitId"`
		LegalBasis             string     `json:"legalBasis"` // null in HubSpot's guide, which the file does not provide for
		LegalBasisExplanation  string     `json:"legalBasisExplanation"`
		SetStatusSuccessReason string     `json:"setStatusSuccessReason"`
		SubscriptionName       string     `json:"subscriptionName"`
	}
	standardError struct {
		Category    *string              `json:"category"`
		Context     *map[string][]string `json:"context"`
		Errors      *[]errorDetail       `json:"errors"`
		Links       *map[string]string   `json:"links"`
		Message     *string              `json:"message"`
		Status      *string              `json:"status"`
		ID          string               `json:"id"`
		SubCategory map[string]any       `json:"subCategory"`
	}
	apiError struct {
		CorrelationID *string             `json:"correlationId"`
		Message       *string             `json:"message"`
		Category      string              `json:"category"` // required by the file, and absent from many real bodies
		Context       map[string][]string `json:"context"`
		Errors        []errorDetail       `json:"errors"`
		Links         map[string]string   `json:"links"`
		SubCategory   string              `json:"subCategory"`
		// Not in the file, but in real bodies.
		Status     string `json:"status"`
		ErrorType  string `json:"errorType"`
		PolicyName string `json:"policyName"`
		GroupName  string `json:"groupName"`
		RequestID  string `json:"requestId"`
	}
	errorDetail struct {
		Message     *string             `json:"message"`
		Code        string              `json:"code"`
		Context     map[string][]string `json:"context"`
		In          string              `json:"in"`
		SubCategory string              `json:"subCategory"`
	}
)

func TestAnswersFollowHubSpotsSchema(t *testing.T) {
	for name, effect := range map[string]hubspottest.Effect{
		"complete": hubspottest.Twice(),
		"partial":  hubspottest.PartialErrors(200, hubspottest.ByContext),
		"nothing":  hubspottest.Omit(),
		"extra":    hubspottest.Extra(1),
		"counted":  hubspottest.NumErrors(3),
	} {
		sim := hubspottest.New(hubspottest.Config{})
		sim.Inject(hubspottest.Fault{Effect: effect})
		w := post(t, sim, `{"inputs":[`+ann+`]}`, nil)
		var got batchResponse
		err := json.Unmarshal(w.Body.Bytes(), &got, json.RejectUnknownMembers(true))
		if err != nil || got.Status == nil || got.Results == nil || got.StartedAt == nil || got.CompletedAt == nil {
			t.Fatalf("%s: %s\n%v", name, w.Body, err)
		}
		for _, r := range *got.Results {
			if r.Channel == nil || r.Source == nil || r.Status == nil || r.SubscriberIDString == nil || r.SubscriptionID == nil || r.Timestamp == nil {
				t.Errorf("%s: a required field is missing from a result of %s", name, w.Body)
			}
		}
		for _, e := range got.Errors {
			if e.Category == nil || e.Context == nil || e.Errors == nil || e.Links == nil || e.Message == nil || e.Status == nil {
				t.Errorf("%s: a required field is missing from an error of %s", name, w.Body)
			}
		}
	}
	for name, effect := range map[string]hubspottest.Effect{
		"unauthorized": hubspottest.Unauthorized(),
		"forbidden":    hubspottest.Forbidden("communication_preferences.statuses.batch.write"),
		"not found":    hubspottest.NotFound(),
		"locked":       hubspottest.Locked(),
		"ten-secondly": hubspottest.TenSecondly(),
		"daily":        hubspottest.Daily(),
		"failing":      hubspottest.Refuse(http.StatusInternalServerError, "INTERNAL_ERROR", "internal error"),
		"poison":       hubspottest.Poison(hubspottest.ByContext),
		"by column":    hubspottest.Poison(hubspottest.ByColumn),
	} {
		sim := hubspottest.New(hubspottest.Config{})
		sim.Inject(hubspottest.Fault{Effect: effect})
		w := post(t, sim, `{"inputs":[`+ann+`]}`, nil)
		var got apiError
		err := json.Unmarshal(w.Body.Bytes(), &got, json.RejectUnknownMembers(true))
		if err != nil || got.CorrelationID == nil || got.Message == nil || got.Status != "error" {
			t.Errorf("%s: %s\n%v", name, w.Body, err)
		}
	}
}
