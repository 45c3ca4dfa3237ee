package hubspot

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Error is every outcome of a request that is not a 2xx: an answer with another status, or no answer at all. Message,
// Context and Details are HubSpot's words and may hold addresses; Error and the wrapped errors never do.
type Error struct {
	StatusCode    int    // 0: no answer was read
	Category      string // HubSpot's category, or its errorType where there is none
	SubCategory   string
	Message       string
	CorrelationID string // from the body, else from the header
	PolicyName    string // of a 429: which limit was met
	Context       map[string][]string
	Details       []Detail
	RetryAfter    time.Duration // 0: not given; at most 24 h
	Limits        Limits
	// Unanswered says that the request may have been applied, or may still be: it was at least partly handed to the network,
	// and HubSpot's own answer was not read to its end. So it is after a timeout, a cut connection, and the answers that an
	// edge or gateway gives in HubSpot's place (502, 504, 520 to 527). A 500 or 503 is HubSpot's own.
	Unanswered bool
	Err        error // what the transport or the token source said; nil when an answer was read
}

// Error describes e without any address, token or message of HubSpot's.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("hubspot: ")
	if e.StatusCode == 0 {
		b.WriteString("no answer")
	} else {
		fmt.Fprintf(&b, "status %d", e.StatusCode)
	}
	for _, part := range []struct{ name, text string }{
		{"", e.Category}, {"policy ", e.PolicyName}, {"correlation id ", e.CorrelationID},
	} {
		if isWord(part.text) {
			b.WriteString(", " + part.name + part.text)
		}
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", retry after %v", e.RetryAfter)
	}
	if e.Unanswered {
		b.WriteString(", may have been applied")
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause: [context.DeadlineExceeded] after a timeout, a [net.Error] of the transport, and so on.
func (e *Error) Unwrap() error { return e.Err }

// Daily reports whether the account's daily allowance is used up. HubSpot gives it back at midnight of the account's zone.
func (e *Error) Daily() bool { return e.limit("DAILY", "daily limit") }

// TenSecondly reports whether the app sent too many requests in the short window. A 429 may be neither this nor [Error.Daily].
func (e *Error) TenSecondly() bool { return !e.Daily() && e.limit("SECONDLY", "secondly") }

// limit reports whether a 429 is about the policy, by its name, or by its message where no name is given.
func (e *Error) limit(policy, phrase string) bool {
	if e.StatusCode != http.StatusTooManyRequests {
		return false
	}
	if e.PolicyName != "" {
		return strings.Contains(strings.ToUpper(e.PolicyName), policy)
	}
	return strings.Contains(strings.ToLower(e.Message), phrase)
}

// answeredByEdge reports whether the status is one that stands for a missing answer of HubSpot's. HubSpot's error page names
// 502, 504 and 521 to 526; the neighbours are Cloudflare's, which is HubSpot's edge.
func answeredByEdge(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout || 520 <= status && status <= 527
}

// isWord reports whether s is safe to show: a name or an id, and neither a sentence nor an address.
func isWord(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}

var errWithheld = errors.New("the transport's error is not shown, it quotes what was sent or received")

// withhold replaces an error whose text may show an address or the token. Transports quote the bytes of an answer that is no
// HTTP, and a broken proxy may echo anything.
func withhold(err error, token Secret) error {
	text := err.Error()
	if strings.Contains(text, "@") || strings.Contains(text, "%40") || token != "" && strings.Contains(text, token.Reveal()) {
		return errWithheld
	}
	return err
}
