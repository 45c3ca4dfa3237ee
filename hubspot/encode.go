package hubspot

import (
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// outgoing is one encoded request. Its buffer is pooled, and a transport may go on reading a body after its round trip has
// returned; so every reader goes through mu, and seal ends them all.
type outgoing struct {
	mu     sync.Mutex
	buf    []byte
	handed bool // the transport took bytes, so they may be on the wire
	sealed bool // buf is gone
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// encode returns the inputs, already checked, as BatchInputPublicStatusRequest of HubSpot's OpenAPI file.
func encode(inputs []Input) *outgoing {
	return &outgoing{buf: appendRequest((*buffers.Get().(*[]byte))[:0], inputs)}
}

func appendRequest(b []byte, inputs []Input) []byte {
	b = append(b, `{"inputs":[`...)
	for i := range inputs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendInput(b, &inputs[i])
	}
	return append(b, "]}"...)
}

// appendInput writes what json.Marshal would write for in. Status, channel and basis are known words and need no quoting.
func appendInput(b []byte, in *Input) []byte {
	b = append(b, `{"subscriberIdString":`...)
	b = appendQuoted(b, in.SubscriberID)
	b = append(b, `,"subscriptionId":`...)
	b = strconv.AppendInt(b, in.SubscriptionID, 10)
	b = append(append(b, `,"statusState":"`...), in.Status...)
	b = append(append(b, `","channel":"`...), in.Channel...)
	b = append(b, '"')
	if in.LegalBasis != "" {
		b = append(append(b, `,"legalBasis":"`...), in.LegalBasis...)
		b = append(b, '"')
	}
	if in.LegalBasisExplanation != "" {
		b = append(b, `,"legalBasisExplanation":`...)
		b = appendQuoted(b, in.LegalBasisExplanation)
	}
	return append(b, '}')
}

func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error is about bad UTF-8, which the check of the inputs has refused
	return b
}

// open returns a reader of the whole request; it is [http.Request.GetBody] too. A transport opens a body again only when it
// knows that the attempt before reached nobody, so what it took then no longer counts.
func (o *outgoing) open() (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handed = false
	return &outgoingReader{o: o}, nil
}

// seal ends all readers, gives the buffer back and reports whether the transport took any byte. After it no byte can follow.
func (o *outgoing) seal() (handed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.sealed {
		o.sealed = true
		b := o.buf
		o.buf = nil
		buffers.Put(&b)
	}
	return o.handed
}

type outgoingReader struct {
	o      *outgoing
	off    int
	closed bool
}

var errSealed = errors.New("the request is over")

func (r *outgoingReader) Read(p []byte) (int, error) {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	switch {
	case r.o.sealed || r.closed:
		return 0, errSealed
	case r.off == len(r.o.buf):
		return 0, io.EOF
	}
	n := copy(p, r.o.buf[r.off:])
	r.off += n
	r.o.handed = true
	return n, nil
}

func (r *outgoingReader) Close() error {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	r.closed = true
	return nil
}
