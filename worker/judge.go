package worker

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"consent-worker/hubspot"
)

// Verdict is our reading of what an answer says of one input.
type Verdict int8

// The verdicts.
const (
	VerdictRetry    Verdict = iota // nothing is said of the input; it goes again
	VerdictWritten                 // HubSpot holds it
	VerdictRejected                // refused for its own fault, by name
	VerdictRefused                 // refused while it was alone, but not by name
	VerdictUnknown                 // an answer that accounts for others does not account for it
)

// Refusal is why an input is refused, for its dead letter.
type Refusal struct {
	Reason        Reason
	Cause         string // no address in it
	Category      string
	CorrelationID string
}

// Judgement is our reading of what became of one request.
type Judgement struct {
	Reaction   Reaction
	Verdicts   []Verdict       // one for each input; nil when all are to go again or the request was refused as a whole
	Refusals   map[int]Refusal // of the inputs that have one, by index
	Accepted   bool            // at least one input was written
	Suspect    bool            // the batch's
	Refused    bool            // as a whole, for its content: somebody in it is the culprit
	Culprit    int             // the one input that a refusal names, else -1
	Unanswered bool            // it may still be applied
	MaxInputs  int             // how many HubSpot takes in one request, where the answer says so
	RetryAfter time.Duration
	Limits     hubspot.Limits
	Cause      string // for the log: what HubSpot said, no address in it
}

// Judge reads the end of a request. It never takes silence for success: an input is written only if a result names its
// key and the status asked for.
func Judge(b *Batch, res hubspot.Response, err error) *Judgement {
	if err != nil {
		return judgeError(b, err)
	}
	j := &Judgement{Culprit: -1, Suspect: b.Suspect, Limits: res.Limits, Verdicts: make([]Verdict, len(b.Inputs))}
	for i := range j.Verdicts {
		j.Verdicts[i] = VerdictUnknown
	}
	written := j.results(b, res.Results)
	named := j.errors(b, &res)
	j.Accepted = written > 0
	switch {
	case written == len(b.Inputs):
		j.Reaction = ReactionAccepted
	case written > 0 || named > 0:
		j.Reaction = ReactionPartial
	case len(b.Inputs) == 1:
		// Alone and not accounted for: as likely its own fault as the system's. It counts against the input only.
		j.Reaction = ReactionUnaccounted
	default:
		j.Reaction, j.Verdicts = ReactionUnaccounted, nil
	}
	if j.Reaction == ReactionUnaccounted {
		j.Cause = "a success that tells of no input"
	}
	for i := range j.Verdicts {
		if j.Verdicts[i] == VerdictUnknown {
			if _, ok := j.Refusals[i]; !ok {
				j.refuse(i, Refusal{Reason: ReasonUnaccounted, Cause: "neither a result nor an error tells of the input", CorrelationID: res.CorrelationID})
			}
		}
	}
	return j
}

func (j *Judgement) refuse(i int, r Refusal) {
	if j.Refusals == nil {
		j.Refusals = map[int]Refusal{}
	}
	j.Refusals[i] = r
}

// results marks the inputs that a result accounts for and returns how many were written. The result's place is only
// where the search begins: what counts is the key.
func (j *Judgement) results(b *Batch, results []hubspot.Result) (written int) {
	var index map[Key]int
	contradicted := map[int]bool{}
	for n := range results {
		r := &results[n]
		i := -1
		if n < len(b.Inputs) && r.SubscriberID == b.Inputs[n].SubscriberID && r.SubscriptionID == b.Inputs[n].SubscriptionID &&
			r.Channel == b.Inputs[n].Channel {
			i = n
		} else {
			if index == nil {
				index = make(map[Key]int, len(b.Keys))
				for k, key := range b.Keys {
					index[key] = k
				}
			}
			if k, ok := index[KeyOf(r.SubscriberID, r.SubscriptionID, r.Channel)]; ok {
				i = k
			}
		}
		switch {
		case i < 0:
		case r.Status != b.Inputs[i].Status:
			contradicted[i] = true
		case j.Verdicts[i] != VerdictWritten:
			j.Verdicts[i] = VerdictWritten
			written++
		}
	}
	for i := range contradicted { // whatever else is said of it
		if j.Verdicts[i] == VerdictWritten {
			written--
		}
		j.Verdicts[i] = VerdictUnknown
		j.refuse(i, Refusal{Reason: ReasonUnaccounted, Cause: "HubSpot reports another status than the one asked for"})
	}
	return written
}

// errors gives each entry of errors to the one input that it names unmistakably, and returns how many it could give.
func (j *Judgement) errors(b *Batch, res *hubspot.Response) (named int) {
	for n := range res.Errors {
		e := &res.Errors[n]
		refusal := Refusal{Reason: ReasonRejected, Cause: Scrub(cmp.Or(e.Message, e.Category)), Category: e.Category, CorrelationID: res.CorrelationID}
		i := j.names(b, e.Message, e.Context, e.Details)
		alone := false
		if i < 0 && len(b.Inputs) == 1 && j.Verdicts[0] == VerdictUnknown {
			i, alone = 0, true
		}
		if i < 0 {
			continue
		}
		named++
		j.refuse(i, refusal)
		switch {
		case !faultOfInput(e.Category):
			j.Verdicts[i] = VerdictUnknown
		case alone:
			j.Verdicts[i] = VerdictRefused
		default:
			j.Verdicts[i] = VerdictRejected
		}
	}
	return named
}

// faultOfInput reports whether an error of this category can only be the input's. The set of categories is open: what is
// not known here counts as unknown, not as a refusal.
func faultOfInput(category string) bool {
	switch category {
	case "VALIDATION_ERROR", "OBJECT_NOT_FOUND", "CONFLICT", "OBJECT_ALREADY_EXISTS", "INVALID_EMAIL":
		return true
	}
	return false
}

// names returns the one input, of those not written, that an error speaks of: by its address as a whole word, else by its
// subscription id where only one input has that; -1 when there is none or more than one.
func (j *Judgement) names(b *Batch, message string, context map[string][]string, details []hubspot.Detail) int {
	words := tokens(nil, message)
	add := func(context map[string][]string) {
		for _, values := range context {
			for _, v := range values {
				words = tokens(words, v)
			}
		}
	}
	add(context)
	for _, d := range details {
		words = tokens(words, d.Message)
		add(d.Context)
	}
	byAddress, byID := -1, -1
	addresses, ids := 0, 0
	for i := range b.Inputs {
		if j.Verdicts != nil && j.Verdicts[i] == VerdictWritten {
			continue
		}
		id := strconv.FormatInt(b.Inputs[i].SubscriptionID, 10)
		hasID := slices.Contains(words, id)
		if slices.Contains(words, b.Keys[i].Address) {
			addresses++
			if byAddress < 0 || hasID {
				byAddress = i
			}
		}
		if hasID {
			ids++
			byID = i
		}
	}
	switch {
	case addresses == 1:
		return byAddress
	case addresses > 1:
		return j.unique(b, words)
	case ids == 1:
		return byID
	}
	return -1
}

// unique returns the one input of which both address and subscription id are named; -1 when there is not exactly one.
func (j *Judgement) unique(b *Batch, words []string) int {
	found := -1
	for i := range b.Inputs {
		if j.Verdicts != nil && j.Verdicts[i] == VerdictWritten || !slices.Contains(words, b.Keys[i].Address) ||
			!slices.Contains(words, strconv.FormatInt(b.Inputs[i].SubscriptionID, 10)) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

// tokens appends the words of a text, normalised as addresses are.
func tokens(words []string, text string) []string {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`,;:()[]{}<>=", r) }) {
		words = append(words, Normalise(strings.TrimRight(w, ".!?")))
	}
	return words
}

// maximum finds the number in HubSpot's text about batches that are too large.
var maximum = regexp.MustCompile(`(?i)maximum number of inputs[^0-9]{0,60}([0-9]{1,6})`)

func judgeError(b *Batch, err error) *Judgement {
	j := &Judgement{Reaction: react(err), Culprit: -1, Suspect: b.Suspect}
	e, ok := errors.AsType[*hubspot.Error](err)
	if !ok {
		j.Cause = Scrub(err.Error())
		return j
	}
	j.RetryAfter, j.Limits, j.Unanswered = e.RetryAfter, e.Limits, e.Unanswered
	j.Cause = Scrub(cmp.Or(e.Message, e.Error()))
	switch j.Reaction {
	case ReactionTooMany:
		if m := maximum.FindStringSubmatch(e.Message); m != nil {
			j.MaxInputs, _ = strconv.Atoi(m[1])
		}
		if j.MaxInputs < 1 || j.MaxInputs >= len(b.Inputs) {
			j.MaxInputs = max(1, len(b.Inputs)/2)
		}
	case ReactionRefused, ReactionTooLarge:
		j.Refused = true
		if len(b.Inputs) > 1 && j.Reaction == ReactionRefused {
			j.Culprit = j.names(b, e.Message, e.Context, e.Details)
		}
		refusal := Refusal{Reason: ReasonRejected, Cause: j.Cause, Category: e.Category, CorrelationID: e.CorrelationID}
		if i := max(j.Culprit, 0); len(b.Inputs) == 1 || j.Culprit >= 0 {
			j.refuse(i, refusal)
		}
	}
	return j
}

// address matches anything that looks like an address, encoded @ signs too.
var address = regexp.MustCompile(`(?i)[^\s"'<>()\[\],;:=]+(@|%40)[^\s"'<>()\[\],;:=]+`)

// maxCause bounds what of a foreign text goes into logs and headers, in bytes.
const maxCause = 300

// Scrub takes every address out of a foreign text and bounds its length (invariant 8).
func Scrub(text string) string {
	text = address.ReplaceAllString(strings.ToValidUTF8(text, "?"), "[address]")
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	return text
}
