package hubspot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	maxBody      = 8 << 20  // of a 2xx: 100 results are about 30 KiB
	maxErrorBody = 64 << 10 // of anything else
)

// Config is what a [Client] needs to know.
type Config struct {
	BaseURL   string        // absolute, http or https; such as https://api.hubapi.com
	Version   string        // of the API: v4, 2026-03, ...
	Tokens    TokenSource   // asked once for each request
	Timeout   time.Duration // of a whole request, from the token to the last byte of the answer; 0: 10 s
	Transport http.RoundTripper
	UserAgent string // "": consent-worker
}

var version = regexp.MustCompile(`^(v[0-9]+|[0-9]{4}-[0-9]{2})$`)

// check says everything that is wrong with c.
func (c Config) check() error {
	var all []error
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf("hubspot: "+format, args...)) }
	switch u, err := url.Parse(c.BaseURL); {
	case err != nil:
		wrong("the base URL is not a URL") // the cause would quote it, and it may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		wrong("the base URL is not absolute, with http or https")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		wrong("the base URL has a user, query or fragment")
	}
	if !version.MatchString(c.Version) {
		wrong("the version %q is neither like v4 nor like 2026-03", c.Version)
	}
	if c.Tokens == nil {
		wrong("no token source")
	}
	if c.Timeout < 0 {
		wrong("the timeout %v is negative", c.Timeout)
	}
	if strings.ContainsFunc(c.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		wrong("the user agent is not plain text")
	}
	return errors.Join(all...)
}

// Client writes statuses. It is safe for use by many goroutines at once.
type Client struct {
	endpoint  string
	tokens    TokenSource
	timeout   time.Duration
	transport http.RoundTripper
	userAgent string
}

// New returns a client, or everything that is wrong with the configuration.
func New(c Config) (*Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	client := &Client{
		endpoint:  strings.TrimRight(c.BaseURL, "/") + "/communication-preferences/" + c.Version + "/statuses/batch/write",
		tokens:    c.Tokens,
		timeout:   cmp.Or(c.Timeout, 10*time.Second),
		transport: c.Transport,
		userAgent: cmp.Or(c.UserAgent, "consent-worker"),
	}
	if client.transport == nil {
		client.transport = newTransport()
	}
	return client, nil
}

// newTransport returns a transport for many small requests to one host. It asks for no compression: unpacking an answer
// would cost more than everything else that is done with it.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// WriteStatuses sends the inputs in one request and returns HubSpot's answer.
//
// It returns a [Response] for every 2xx, an [*Error] for every other outcome of a request, and a plain error, with nothing
// sent, for inputs that HubSpot's OpenAPI file forbids. It blocks until the answer is read, the timeout is over or ctx ends.
// It makes one attempt: it does not retry, follow redirects, or look for duplicates among the inputs.
func (c *Client) WriteStatuses(ctx context.Context, inputs []Input) (Response, error) {
	if err := check(inputs); err != nil {
		return Response{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return Response{}, &Error{Err: fmt.Errorf("token: %w", withhold(err, token))}
	}
	if token == "" {
		return Response{}, &Error{Err: errors.New("token: empty")}
	}

	out := encode(inputs)
	defer out.seal() // last of all: the buffer goes back to its pool
	req, err := c.request(ctx, token, out)
	if err != nil {
		return Response{}, &Error{Err: withhold(err, token)}
	}
	// A round trip of the transport and not http.Client, which would follow redirects, and without the body at that.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Response{}, &Error{Unanswered: out.seal(), Err: withhold(err, token)}
	}
	defer resp.Body.Close()
	return read(resp, inputs, token)
}

func (c *Client) request(ctx context.Context, token Secret, out *outgoing) (*http.Request, error) {
	body, _ := out.open()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, body)
	if err != nil {
		return nil, err
	}
	req.GetBody = out.open // lets the transport move a request that was not sent from a dead connection to a new one
	req.ContentLength = int64(len(out.buf))
	req.Header = http.Header{
		"Accept":        {"application/json"},
		"Authorization": {"Bearer " + token.Reveal()},
		"Content-Type":  {"application/json"},
		"User-Agent":    {c.userAgent},
	}
	return req, nil
}

// read turns an answer into a Response or an Error. The inputs only spare it copies of addresses.
func read(resp *http.Response, inputs []Input, token Secret) (Response, error) {
	ok := resp.StatusCode/100 == 2
	limit := int64(maxErrorBody)
	if ok {
		limit = maxBody
	}
	buf := bodies.Get().(*bytes.Buffer)
	defer putBody(buf)
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		e := &Error{StatusCode: resp.StatusCode, CorrelationID: correlationID("", resp.Header), Unanswered: true}
		e.RetryAfter, e.Limits = retryAfter(resp.Header, time.Now()), limits(resp.Header)
		e.Err = withhold(err, token)
		return Response{}, e
	}
	if !ok {
		e := decodeError(buf.Bytes()[:min(int64(buf.Len()), limit)])
		e.StatusCode = resp.StatusCode
		e.CorrelationID = correlationID(e.CorrelationID, resp.Header)
		e.RetryAfter, e.Limits = retryAfter(resp.Header, time.Now()), limits(resp.Header)
		e.Unanswered = answeredByEdge(resp.StatusCode)
		return Response{}, e
	}
	r := Response{Malformed: true}
	if int64(buf.Len()) <= limit {
		r = decodeResponse(buf.Bytes(), inputs)
	}
	r.StatusCode = resp.StatusCode
	r.CorrelationID = correlationID(r.CorrelationID, resp.Header)
	r.Limits = limits(resp.Header)
	return r, nil
}

// bodies holds buffers in which answers are read. What is decoded from them is copied out.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func putBody(b *bytes.Buffer) {
	if b.Cap() > 1<<20 {
		return // one giant is not kept for all times
	}
	b.Reset()
	bodies.Put(b)
}
