package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"consent-worker/hubspot"
)

// mistakes gathers what is wrong.
type mistakes []error

func (m *mistakes) add(name, format string, args ...any) {
	*m = append(*m, fmt.Errorf("  %s: "+format, append([]any{name}, args...)...))
}

// positive notes a duration that does not parse or is not above zero.
func (m *mistakes) positive(name string, d duration) {
	switch {
	case d.mistake != "":
		m.add(name, "%s", d.mistake)
	case d.Duration <= 0:
		m.add(name, "%v is not above zero", d.Duration)
	}
}

// within notes a number that does not parse or is out of its range.
func (m *mistakes) within(name string, n number, low, high int) {
	switch {
	case n.mistake != "":
		m.add(name, "%s", n.mistake)
	case n.n < low || n.n > high:
		m.add(name, "%d is not from %d to %d", n.n, low, high)
	}
}

// topicName is what brokers take for the name of a topic.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (m *mistakes) topic(name, topic string) {
	if !topicName.MatchString(topic) || topic == "." || topic == ".." {
		m.add(name, "%q is no name of a topic", topic)
	}
}

// client notes what the HubSpot client says of one value.
func (m *mistakes) client(name string, err error) {
	if err != nil {
		m.add(name, "%s", strings.TrimPrefix(err.Error(), "hubspot: "))
	}
}

// secret returns what a variable or the file that is given instead holds, trimmed; given says that there was either.
func (m *mistakes) secret(name string, value hubspot.Secret, file string) (secret hubspot.Secret, given bool) {
	if value != "" && file != "" {
		m.add(name, "is given twice, as itself and as %s_FILE", name)
	}
	if file != "" {
		name += "_FILE"
		content := m.file(name, file)
		if content == nil {
			return "", true
		}
		value = hubspot.Secret(content)
	} else if value == "" {
		return "", false
	}
	secret = hubspot.Secret(strings.TrimSpace(value.Reveal()))
	if secret == "" {
		m.add(name, "holds nothing but blanks")
	}
	return secret, true
}

// file reads a file; nil when none is named or it cannot be read. The mistake does not show the path: a secret is easily
// put where its file is asked for.
func (m *mistakes) file(name, path string) []byte {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		m.add(name, "the file cannot be read: %v", err)
		return nil
	}
	return content
}

// isAddr reports whether text is a host, which may be empty, and a port from low up.
func isAddr(text string, low uint64) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "@/ ") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n >= low
}
