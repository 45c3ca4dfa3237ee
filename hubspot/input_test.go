package hubspot

import (
	"strings"
	"testing"
)

func TestInputsThatHubSpotForbidsAreRefused(t *testing.T) {
	good := Input{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: Unsubscribed, Channel: Email}
	for name, c := range map[string]struct {
		change func(*Input)
		want   string // "": accepted
	}{
		"nothing wrong":         {func(*Input) {}, ""},
		"with a legal basis":    {func(in *Input) { in.LegalBasis = ProcessAndStore }, ""},
		"empty address":         {func(in *Input) { in.SubscriberID = "" }, "hubspot: input 1: the address is empty"},
		"address not UTF-8":     {func(in *Input) { in.SubscriberID = "\xff@example.com" }, "hubspot: input 1: text that is not UTF-8"},
		"explanation not UTF-8": {func(in *Input) { in.LegalBasisExplanation = "\xff" }, "hubspot: input 1: text that is not UTF-8"},
		"zero id":               {func(in *Input) { in.SubscriptionID = 0 }, "hubspot: input 1: subscription id 0 is not positive"},
		"negative id":           {func(in *Input) { in.SubscriptionID = -3 }, "hubspot: input 1: subscription id -3 is not positive"},
		"no status":             {func(in *Input) { in.Status = "" }, "hubspot: input 1: unknown status"},
		"status in lower case":  {func(in *Input) { in.Status = "subscribed" }, "hubspot: input 1: unknown status"},
		"no channel":            {func(in *Input) { in.Channel = "" }, "hubspot: input 1: unknown channel"},
		"another channel":       {func(in *Input) { in.Channel = "SMS" }, "hubspot: input 1: unknown channel"},
		"unknown basis":         {func(in *Input) { in.LegalBasis = "ann@example.com" }, "hubspot: input 1: unknown legal basis"},
	} {
		t.Run(name, func(t *testing.T) {
			in := good
			c.change(&in)
			got := ""
			if err := check([]Input{good, in}); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("check says %q, want %q", got, c.want)
			}
		})
	}
}

func TestAllMistakesAmongInputsAreReportedAtOnce(t *testing.T) {
	err := check([]Input{{}, {SubscriberID: "ann@example.com"}})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("check says %v, want two lines", err)
	}
	if err := check(nil); err == nil {
		t.Error("no inputs are accepted")
	}
}

func TestWordsOfTheAPIAreValidAndNoOthers(t *testing.T) {
	for _, s := range []Status{Subscribed, Unsubscribed, NotSpecified} {
		if !s.Valid() {
			t.Errorf("status %s is not valid", s)
		}
	}
	for _, b := range []LegalBasis{
		ConsentWithNotice, LegitimateInterestClient, LegitimateInterestOther, LegitimateInterestPQL,
		NonGDPR, PerformanceOfContract, ProcessAndStore,
	} {
		if !b.Valid() {
			t.Errorf("legal basis %s is not valid", b)
		}
	}
	if Status("").Valid() || Channel("").Valid() || LegalBasis("").Valid() || !Email.Valid() {
		t.Error("an empty word is valid, or EMAIL is not")
	}
}
