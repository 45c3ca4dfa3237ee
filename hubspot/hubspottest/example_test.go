package hubspottest_test

import (
	"context"
	"fmt"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

func Example() {
	sim := hubspottest.New(hubspottest.Config{Token: "secret", Limit: 190})
	defer sim.Close()
	client, err := hubspot.New(hubspot.Config{
		BaseURL: "http://hubspot.test", Version: "v4", Tokens: hubspot.StaticToken("secret"), Transport: sim.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ann := hubspot.Input{SubscriberID: "Ann@example.com", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email}

	// The first request is written, but its answer gets lost.
	sim.Inject(hubspottest.Fault{Effect: hubspottest.Cut(), Applied: true, Times: 1})
	for range 2 {
		response, err := client.WriteStatuses(context.Background(), []hubspot.Input{ann})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(response.Results[0].Reason)
	}
	entry, _ := sim.Entry(hubspottest.KeyOf(ann))
	fmt.Println(entry.Status, "after", entry.Writes, "writes")
	// Output:
	// hubspot: no answer, may have been applied: EOF
	// NO_STATUS_CHANGE
	// UNSUBSCRIBED after 2 writes
}

func ExampleSim_Inject() {
	sim := hubspottest.New(hubspottest.Config{})
	defer sim.Close()
	fault := sim.Inject(hubspottest.Fault{
		Effect: hubspottest.PartialErrors(207, hubspottest.ByMessage),
		Inputs: func(in hubspot.Input) bool { return in.SubscriptionID == 8 },
		Times:  3,
	})
	fmt.Println(fault.Struck())
	fault.Remove()
	// Output: 0
}
