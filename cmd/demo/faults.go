package main

import (
	"strings"
	"sync/atomic"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

// faults is what goes wrong at HubSpot: some inputs always, everything during an outage.
type faults struct{ down atomic.Bool } // written by the producer, read by the simulator

// newFaults puts the faults in place. The simulator lets the first one that hits a request as a whole decide its answer; so
// those of an outage come first. The others have the last word on what is applied: a request that nobody answers may be
// applied nevertheless, but not what HubSpot refuses.
func newFaults(sim *hubspottest.Sim) *faults {
	f := new(faults)
	down := func(hubspot.Input) bool { return f.down.Load() }
	for _, fault := range []hubspottest.Fault{
		{Inputs: down, Effect: hubspottest.Hang(), Chance: 0.2},
		{Inputs: down, Effect: hubspottest.Hang(), Chance: 0.2, Applied: true},
		{Inputs: down, Effect: hubspottest.Hang(), Chance: 0.2, Late: timeout + time.Second},
		{Inputs: down, Effect: hubspottest.Cut(), Chance: 0.2, Applied: true},
		{Inputs: down, Effect: hubspottest.Refuse(503, "", "Service Unavailable")},

		// A bad address is refused by name and spares its neighbours. A type that is no more takes the whole request along.
		{Inputs: badAddress, Effect: hubspottest.PartialErrors(207, hubspottest.ByContext)},
		{Inputs: badType, Effect: hubspottest.PartialErrors(207, hubspottest.ByNothing)},
		{Inputs: badType, Effect: hubspottest.Poison(hubspottest.ByNothing)},
	} {
		sim.Inject(fault)
	}
	return f
}

func badAddress(in hubspot.Input) bool { return strings.HasSuffix(in.SubscriberID, refusedDomain) }

func badType(in hubspot.Input) bool { return in.SubscriptionID == discontinued }

// start begins an outage, unless one is on.
func (f *faults) start() { f.down.Store(true) }

// stop ends the outage, if one is on. Requests that hang go on hanging.
func (f *faults) stop() { f.down.Store(false) }
