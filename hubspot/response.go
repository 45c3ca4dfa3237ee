package hubspot

import "time"

// Response is an answer with a 2xx status: BatchResponsePublicStatus in HubSpot's OpenAPI file. It is no promise that
// anything was written: only an element of Results is, for its own key, if its status is the one that was asked for.
type Response struct {
	StatusCode    int         // 200 to 299
	Status        string      // COMPLETE, PENDING, PROCESSING, CANCELED, or what else HubSpot says
	Results       []Result    // in no promised order
	Errors        []ItemError // may or may not say which input they mean
	NumErrors     int         // as HubSpot counts; need not agree with Errors
	StartedAt     time.Time
	CompletedAt   time.Time
	CorrelationID string
	Limits        Limits
	// Malformed says that the body was no whole JSON object of the expected kind: empty, HTML, cut off, longer than 8 MiB,
	// or with results that are no list. Results and Errors are then empty.
	Malformed bool
}

// Result is HubSpot's word on one input: PublicStatus in HubSpot's OpenAPI file. Fields that were null, missing or
// unreadable are zero.
type Result struct {
	SubscriberID          string // the address as HubSpot echoes it; letter case may differ from what was sent
	SubscriptionID        int64
	Channel               Channel
	Status                Status // any text HubSpot sent; compare it with what was asked for
	Reason                string // setStatusSuccessReason, such as NO_STATUS_CHANGE or RESUBSCRIBE_OCCURRED
	Source                string
	Timestamp             time.Time // of HubSpot's clock
	BusinessUnitID        int64
	LegalBasis            LegalBasis
	LegalBasisExplanation string
	SubscriptionName      string
}

// ItemError is one element of the errors in a 2xx: StandardError in HubSpot's OpenAPI file. Message, Context and Details may
// hold addresses.
type ItemError struct {
	Status      string // a status code or the word "error"
	Category    string
	SubCategory string // an object is kept as its JSON text
	Message     string
	ID          string
	Context     map[string][]string // a bare value instead of a list is a list of one; a context that is no object is under ""
	Details     []Detail
}

// Detail is one element of the errors inside an error: ErrorDetail in HubSpot's OpenAPI file.
type Detail struct {
	Message     string
	Code        string
	In          string // the field in which the fault was found
	SubCategory string
	Context     map[string][]string
}

// Limits is what the headers of an answer say about the allowance of the app and of the account.
type Limits struct {
	Max, Remaining        int           // requests in Interval
	Interval              time.Duration // zero when not given
	Daily, DailyRemaining int           // requests of the account in a day; HubSpot does not send them to OAuth apps
	Known                 bool          // Max and Remaining were given
	DailyKnown            bool          // Daily and DailyRemaining were given
}
