package hubspot_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

func ExampleClient_WriteStatuses() {
	sim := hubspottest.New(hubspottest.Config{Token: "secret"})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()

	client, err := hubspot.New(hubspot.Config{
		BaseURL: server.URL, // https://api.hubapi.com
		Version: "v4",
		Tokens:  hubspot.StaticToken("secret"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := client.WriteStatuses(context.Background(), []hubspot.Input{
		{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range response.Results {
		fmt.Println(r.SubscriptionID, r.Status, r.Reason)
	}
	// Output: 7 UNSUBSCRIBED REQUESTED_CHANGE_OCCURRED
}

func ExampleError() {
	sim := hubspottest.New(hubspottest.Config{})
	defer sim.Close()
	sim.Inject(hubspottest.Fault{Effect: hubspottest.Page(504)})
	client, err := hubspot.New(hubspot.Config{
		BaseURL: "https://api.hubapi.com", Version: "v4", Tokens: hubspot.StaticToken("secret"), Transport: sim.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.WriteStatuses(context.Background(), []hubspot.Input{
		{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email},
	})
	if e, ok := errors.AsType[*hubspot.Error](err); ok {
		fmt.Println(e)
		fmt.Println(e.StatusCode, e.Unanswered)
	}
	// Output:
	// hubspot: status 504, may have been applied
	// 504 true
}
