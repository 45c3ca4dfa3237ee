package hubspottest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
)

// Transport returns a round tripper that reaches the Sim without sockets, so that it works in a bubble of testing/synctest.
// Requests go through the same handler, as the same bytes; a context that ends is obeyed at once, while the Sim goes on with the
// request. Whatever host a request names, it comes here.
func (s *Sim) Transport() http.RoundTripper { return transport{s} }

type transport struct{ sim *Sim }

// RoundTrip hands a request to the handler and waits for its answer.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if ctx.Err() != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, context.Cause(ctx)
	}
	received, err := receivedRequest(r)
	if err != nil {
		return nil, err
	}
	w := &answerWriter{header: make(http.Header), done: make(chan struct{})}
	if !t.sim.start(func() { w.serve(t.sim, received) }) {
		return nil, net.ErrClosed
	}
	select {
	case <-w.done:
		return w.response(r)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// start runs a handler, unless the Sim is closed; Close waits for it.
func (s *Sim) start(handler func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers.Go(handler)
	return true
}

// receivedRequest is a request as the server's side sees it: nothing is shared with the caller's but the context, which ends
// when the caller has given up.
func receivedRequest(r *http.Request) (*http.Request, error) {
	body := new(bytes.Buffer)
	if r.Body != nil {
		defer r.Body.Close()
		body.Grow(int(max(0, min(r.ContentLength, 8<<20))) + bytes.MinRead)
		if _, err := body.ReadFrom(r.Body); err != nil {
			return nil, err
		}
	}
	received := r.Clone(r.Context())
	received.ContentLength = int64(body.Len())
	received.Body, received.GetBody = io.NopCloser(body), nil
	received.RequestURI = r.URL.RequestURI()
	if received.Host == "" {
		received.Host = r.URL.Host
	}
	return received, nil
}

// answerWriter is the server's side of an answer. The handler's goroutine writes it; once done is closed, the caller reads it.
type answerWriter struct {
	header  http.Header
	status  int // 0: nothing was sent
	body    bytes.Buffer
	aborted bool
	done    chan struct{}
}

// serve ends with the handler. A handler that aborts cuts the connection, any other panic is a defect.
func (w *answerWriter) serve(h http.Handler, r *http.Request) {
	defer close(w.done)
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			w.aborted = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
}

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *answerWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush does nothing: what was written is read all at once.
func (w *answerWriter) Flush() {}

func (w *answerWriter) response(r *http.Request) (*http.Response, error) {
	if w.aborted && w.status == 0 {
		return nil, io.EOF // what net/http says of a connection that ends before the answer
	}
	w.WriteHeader(http.StatusOK)
	body := &answerBody{ctx: r.Context(), rest: &w.body, end: io.EOF}
	length := int64(w.body.Len())
	if w.aborted {
		body.end, length = io.ErrUnexpectedEOF, -1
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: body, ContentLength: length, Request: r,
	}, nil
}

// answerBody is the caller's side of an answer's body.
type answerBody struct {
	ctx  context.Context
	rest *bytes.Buffer
	end  error
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.rest.Read(p)
	if err != nil {
		err = b.end
	}
	return n, err
}

func (*answerBody) Close() error { return nil }
