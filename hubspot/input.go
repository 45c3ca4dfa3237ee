package hubspot

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Status is the state of one subscription of one address.
type Status string

// The states of HubSpot's OpenAPI file.
const (
	Subscribed   Status = "SUBSCRIBED"
	Unsubscribed Status = "UNSUBSCRIBED"
	NotSpecified Status = "NOT_SPECIFIED"
)

// Valid reports whether HubSpot accepts s in a request.
func (s Status) Valid() bool {
	switch s {
	case Subscribed, Unsubscribed, NotSpecified:
		return true
	}
	return false
}

// Channel is the way by which people are reached.
type Channel string

// Email is the only channel that HubSpot's OpenAPI file allows.
const Email Channel = "EMAIL"

// Valid reports whether HubSpot accepts c in a request.
func (c Channel) Valid() bool { return c == Email }

// LegalBasis is the ground on which an address may be written to. The zero value says nothing about it.
type LegalBasis string

// The grounds of HubSpot's OpenAPI file.
const (
	ConsentWithNotice        LegalBasis = "CONSENT_WITH_NOTICE"
	LegitimateInterestClient LegalBasis = "LEGITIMATE_INTEREST_CLIENT"
	LegitimateInterestOther  LegalBasis = "LEGITIMATE_INTEREST_OTHER"
	LegitimateInterestPQL    LegalBasis = "LEGITIMATE_INTEREST_PQL"
	NonGDPR                  LegalBasis = "NON_GDPR"
	PerformanceOfContract    LegalBasis = "PERFORMANCE_OF_CONTRACT"
	ProcessAndStore          LegalBasis = "PROCESS_AND_STORE"
)

// Valid reports whether HubSpot accepts b in a request. The zero value is not valid: it is left out instead.
func (b LegalBasis) Valid() bool {
	switch b {
	case ConsentWithNotice, LegitimateInterestClient, LegitimateInterestOther, LegitimateInterestPQL,
		NonGDPR, PerformanceOfContract, ProcessAndStore:
		return true
	}
	return false
}

// Input is one status to be written: PublicStatusRequest in HubSpot's OpenAPI file. The last two fields are optional.
type Input struct {
	SubscriberID          string     `json:"subscriberIdString"` // the address
	SubscriptionID        int64      `json:"subscriptionId"`
	Status                Status     `json:"statusState"`
	Channel               Channel    `json:"channel"`
	LegalBasis            LegalBasis `json:"legalBasis,omitzero"`
	LegalBasisExplanation string     `json:"legalBasisExplanation,omitzero"`
}

// check says what is wrong with the inputs, all of it, without quoting an address.
func check(inputs []Input) error {
	if len(inputs) == 0 {
		return errors.New("hubspot: no inputs")
	}
	var all []error
	for i := range inputs {
		if err := inputs[i].check(); err != nil {
			all = append(all, fmt.Errorf("hubspot: input %d: %w", i, err))
		}
	}
	return errors.Join(all...)
}

// check says the first thing that is wrong with in. Values are not quoted: a field in the wrong place may be an address.
func (in *Input) check() error {
	switch {
	case in.SubscriberID == "":
		return errors.New("the address is empty")
	case !utf8.ValidString(in.SubscriberID) || !utf8.ValidString(in.LegalBasisExplanation):
		return errors.New("text that is not UTF-8")
	case in.SubscriptionID <= 0:
		return fmt.Errorf("subscription id %d is not positive", in.SubscriptionID)
	case !in.Status.Valid():
		return errors.New("unknown status")
	case !in.Channel.Valid():
		return errors.New("unknown channel")
	case in.LegalBasis != "" && !in.LegalBasis.Valid():
		return errors.New("unknown legal basis")
	}
	return nil
}
