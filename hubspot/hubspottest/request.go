package hubspottest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"consent-worker/hubspot"

	"github.com/go-json-experiment/json/jsontext"
)

// input is one element of a request, and what becomes of it.
type input struct {
	hubspot.Input
	end   int // where its JSON ends in the body, for errors that name a column
	entry *entry
	fate  fate
}

// schemaError is a body that is not BatchInputPublicStatusRequest of HubSpot's OpenAPI file, with the place of the mistake.
type schemaError struct {
	offset int
	text   string
}

func (e *schemaError) Error() string { return e.text }

// at gives line and column, both from 1, as HubSpot's messages do.
func (e *schemaError) at(body []byte) string {
	before := body[:min(e.offset, len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Sprintf("Invalid input JSON on line %d, column %d: %s", line, len(before)-bytes.LastIndexByte(before, '\n'), e.text)
}

var decoders = sync.Pool{New: func() any { return new(reader) }}

// reader reads a request strictly: no duplicate names, no bad UTF-8, no other types or words than the OpenAPI file has.
// Unknown fields are let pass, since the file does not forbid them.
type reader struct{ jsontext.Decoder }

// readInputs appends the inputs of a body to all.
func readInputs(body []byte, all []input) ([]input, error) {
	r := decoders.Get().(*reader)
	defer decoders.Put(r)
	r.Reset(bytes.NewBuffer(body))
	all, err := r.inputs(all)
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		err = &schemaError{int(syntax.ByteOffset), "Unexpected character or end of input"}
	} else if errors.Is(err, io.EOF) {
		err = &schemaError{0, "Unexpected character or end of input"}
	}
	return all, err
}

func (r *reader) inputs(all []input) ([]input, error) {
	present := false
	err := r.members("BatchInputPublicStatusRequest", func(name []byte) error {
		if string(name) != "inputs" {
			return r.SkipValue()
		}
		present = true
		if err := r.begin('[', "java.util.List"); err != nil {
			return err
		}
		for r.PeekKind() != ']' {
			all = append(all, input{})
			in := &all[len(all)-1]
			if err := r.input(in); err != nil {
				return err
			}
			in.end = int(r.InputOffset())
		}
		_, err := r.ReadToken()
		return err
	})
	if err != nil {
		return all, err
	}
	if !present {
		return all, r.missing("BatchInputPublicStatusRequest", "inputs")
	}
	if _, err := r.ReadToken(); !errors.Is(err, io.EOF) {
		return all, &schemaError{int(r.InputOffset()), "Unexpected content behind the end"}
	}
	return all, nil
}

func (r *reader) input(in *input) error {
	var hasID bool
	err := r.members("PublicStatusRequest", func(name []byte) (err error) {
		switch string(name) {
		case "subscriberIdString":
			in.SubscriberID, err = r.text()
		case "subscriptionId":
			in.SubscriptionID, hasID, err = r.integer()
		case "statusState":
			in.Status, err = word(r, "StatusState", statuses)
		case "channel":
			in.Channel, err = word(r, "Channel", channels)
		case "legalBasis":
			in.LegalBasis, err = word(r, "LegalBasis", legalBases)
		case "legalBasisExplanation":
			in.LegalBasisExplanation, err = r.text()
		default:
			err = r.SkipValue()
		}
		return err
	})
	if err != nil {
		return err
	}
	var missing []string
	for _, field := range []struct {
		name    string
		present bool
	}{
		{"channel", in.Channel != ""}, {"statusState", in.Status != ""},
		{"subscriberIdString", in.SubscriberID != ""}, {"subscriptionId", hasID},
	} {
		if !field.present {
			missing = append(missing, field.name)
		}
	}
	if missing != nil {
		return r.missing("PublicStatusRequest", missing...)
	}
	return nil
}

// The words of HubSpot's OpenAPI file.
var (
	statuses   = []hubspot.Status{hubspot.NotSpecified, hubspot.Subscribed, hubspot.Unsubscribed}
	channels   = []hubspot.Channel{hubspot.Email}
	legalBases = []hubspot.LegalBasis{
		hubspot.ConsentWithNotice, hubspot.LegitimateInterestClient, hubspot.LegitimateInterestOther,
		hubspot.LegitimateInterestPQL, hubspot.NonGDPR, hubspot.PerformanceOfContract, hubspot.ProcessAndStore,
	}
)

// members calls read behind each name of the object that comes next; read reads the value, and does not keep the name.
func (r *reader) members(class string, read func(name []byte) error) error {
	if err := r.begin('{', class); err != nil {
		return err
	}
	for r.PeekKind() != '}' {
		name, err := r.ReadValue()
		if err == nil {
			name, err = unquoted(name)
		}
		if err == nil {
			err = read(name)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return err
}

// begin reads the start of an object or array.
func (r *reader) begin(want jsontext.Kind, class string) error {
	token, err := r.ReadToken()
	switch {
	case err != nil:
		return err
	case token.Kind() != want:
		return r.wrongType(class, token.Kind(), r.InputOffset()-1)
	}
	return nil
}

// text reads a string, or null as the absent one.
func (r *reader) text() (string, error) {
	raw, err := r.ReadValue()
	switch {
	case err != nil:
		return "", err
	case raw.Kind() == 'n':
		return "", nil
	case raw.Kind() != '"':
		return "", r.wrongType("java.lang.String", raw.Kind(), r.InputOffset()-int64(len(raw)))
	}
	text, err := unquoted(raw)
	return string(text), err
}

// unquoted returns the content of a string.
func unquoted(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	return jsontext.AppendUnquote(nil, raw)
}

// integer reads a whole number of 64 bits, or null as the absent one.
func (r *reader) integer() (n int64, present bool, err error) {
	raw, err := r.ReadValue()
	at := r.InputOffset() - int64(len(raw))
	switch {
	case err != nil:
		return 0, false, err
	case raw.Kind() == 'n':
		return 0, false, nil
	case raw.Kind() != '0':
		return 0, false, r.wrongType("long", raw.Kind(), at)
	}
	n, err = strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, false, &schemaError{int(at), "Numeric value out of range of long, or not a whole number"}
	}
	return n, true, nil
}

// word reads one of a few known strings, or null as the absent one.
func word[T ~string](r *reader, class string, known []T) (T, error) {
	raw, err := r.ReadValue()
	at := r.InputOffset() - int64(len(raw))
	switch {
	case err != nil:
		return "", err
	case raw.Kind() == 'n':
		return "", nil
	case raw.Kind() != '"':
		return "", r.wrongType(class, raw.Kind(), at)
	}
	for _, k := range known {
		if string(raw[1:len(raw)-1]) == string(k) {
			return k, nil
		}
	}
	return "", &schemaError{int(at), fmt.Sprintf("Cannot deserialize value of type `%s` from String %s: "+
		"not one of the values accepted for Enum class: %v", class, raw, known)}
}

func (r *reader) missing(class string, names ...string) error {
	return &schemaError{int(r.InputOffset()) - 1, fmt.Sprintf(
		"Cannot build %s, some of required attributes are not set [%s]", class, strings.Join(names, ", "))}
}

// wrongType speaks as the deserialiser behind HubSpot's API does.
func (r *reader) wrongType(class string, got jsontext.Kind, at int64) error {
	what, token := "Object", "START_OBJECT"
	switch got {
	case '[':
		what, token = "Array", "START_ARRAY"
	case '"':
		what, token = "String", "VALUE_STRING"
	case '0':
		what, token = "Number", "VALUE_NUMBER"
	case 't', 'f':
		what, token = "Boolean", "VALUE_BOOLEAN"
	case 'n':
		what, token = "Null", "VALUE_NULL"
	}
	return &schemaError{int(at), fmt.Sprintf("Cannot deserialize value of type `%s` from %s value (token `JsonToken.%s`)",
		class, what, token)}
}
