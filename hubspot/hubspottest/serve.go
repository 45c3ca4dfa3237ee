package hubspottest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// write serves the batch write: what HubSpot's rules refuse is refused at once; then the faults have their say, time passes, the
// inputs are written and the answer goes out.
func (s *Sim) write(w http.ResponseWriter, r *http.Request) {
	work := works.Get().(*work)
	defer work.free()
	x := &work.x
	x.ctx = r.Context()

	refused, latency := s.receive(x, r, work)
	if refused != nil {
		s.reply(w, x, refused)
		return
	}
	if !s.wait(latency) {
		s.finish(x, "cut")
		panic(http.ErrAbortHandler)
	}
	if !s.settle(x) {
		s.finish(x, "cut")
		panic(http.ErrAbortHandler)
	}
	switch x.ending {
	case hangs:
		select {
		case <-x.ctx.Done():
		case <-s.done:
		}
		s.finish(x, "hang")
		panic(http.ErrAbortHandler)
	case cuts:
		s.finish(x, "cut")
		panic(http.ErrAbortHandler)
	case answers, halves:
	}
	if x.answer != nil {
		s.reply(w, x, x.answer)
		return
	}
	work.out = s.appendBatch(work.out[:0], x, time.Now())
	s.replyBatch(w, x, work.out)
}

// work is what serving a request needs, used again and again.
type work struct {
	x    exchange
	body bytes.Buffer
	out  []byte
}

var works = sync.Pool{New: func() any { return new(work) }}

func (w *work) free() {
	clear(w.x.inputs)
	w.x = exchange{inputs: w.x.inputs[:0]}
	w.body.Reset()
	works.Put(w)
}

// receive reads and checks a request and opens its keys. It returns the refusal, or else how long the request takes.
func (s *Sim) receive(x *exchange, r *http.Request, work *work) (*Answer, time.Duration) {
	_, err := work.body.ReadFrom(io.LimitReader(r.Body, int64(s.config.BodyLimit)+1))
	x.body = work.body.Bytes()
	if refused := s.admit(x, r); refused != nil {
		return refused, 0
	}
	if err != nil { // the caller went away, and nobody reads the answer
		return s.refuse(http.StatusBadRequest, problem{Message: "The request body was cut off"}), 0
	}
	if len(x.body) > s.config.BodyLimit {
		return s.refuse(http.StatusRequestEntityTooLarge, tooLarge), 0
	}
	x.inputs, err = readInputs(x.body, x.inputs)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		message := err.Error()
		if e, ok := err.(*schemaError); ok { //nolint:errorlint // it is never wrapped
			message = e.at(x.body)
		}
		s.violate("request %d does not follow the schema", x.number)
		return s.refusal(http.StatusBadRequest, problem{Message: message}, nil), 0
	}
	if refused := s.open(x); refused != nil {
		return refused, 0
	}
	s.strike(x)
	if s.config.Latency != nil {
		return nil, s.config.Latency()
	}
	return nil, 0
}

// admit numbers and counts the request and checks everything but its body.
func (s *Sim) admit(x *exchange, r *http.Request) *Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	x.received = time.Now() // here, so that requests are in order of time
	x.number, x.generation = s.received, s.generation
	x.token = bearer(r)
	for _, rule := range []struct {
		kept bool
		text string
	}{
		{x.token != "", "has no bearer token"},
		{isJSON(r.Header.Get("Content-Type")), "is not declared as JSON"},
		{strings.Contains(r.Header.Get("Accept"), "application/json"), "does not accept JSON"},
		{r.Header.Get("User-Agent") != "", "does not say who sends it"},
	} {
		if !rule.kept {
			s.violate("request %d %s", x.number, rule.text)
		}
	}
	if refused := s.authorize(r); refused != nil {
		return refused
	}
	if refused := s.spend(x.received, "request "+strconv.Itoa(x.number)); refused != nil {
		return refused
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return s.refusal(http.StatusUnsupportedMediaType, wrongType, nil)
	}
	return nil
}

// bearer returns the token of a request, or nothing.
func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// authorize refuses a request without an accepted token. The caller holds mu.
func (s *Sim) authorize(r *http.Request) *Answer {
	switch token := bearer(r); {
	case token == "":
		return s.refusal(http.StatusUnauthorized, noCredentials, nil)
	case len(s.tokens) > 0 && !slices.Contains(s.tokens, token):
		return s.refusal(http.StatusUnauthorized, badToken, nil)
	}
	return nil
}

func isJSON(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(mediaType) == "application/json"
}

// spend takes one request from the limits. Refused ones count for neither. The caller holds mu.
func (s *Sim) spend(at time.Time, who string) *Answer {
	if s.daily.spent(at) {
		return s.refusal(http.StatusTooManyRequests, dailyLimit, nil)
	}
	if !s.rolling.take(at) {
		if !s.config.LimitIsMet {
			s.violate("%s met the limit of %d requests in %v", who, s.config.Limit, s.config.Interval)
		}
		return s.refusal(http.StatusTooManyRequests, tenSecondly, nil)
	}
	s.daily.take(at)
	return nil
}

// open takes the keys of a request, so that another request with one of them is seen. The caller holds mu.
func (s *Sim) open(x *exchange) *Answer {
	switch {
	case len(x.inputs) == 0: // what HubSpot does with none is not documented
		return s.refusal(http.StatusBadRequest, noInputs, nil)
	case len(x.inputs) > s.config.BatchLimit:
		return s.refusal(http.StatusBadRequest, tooMany(s.config.BatchLimit), nil)
	}
	for i := range x.inputs {
		in := &x.inputs[i]
		in.entry = s.entry(&in.Input)
		switch holder := in.entry.open; {
		case holder == x:
			s.violate("request %d has a key twice", x.number)
			s.release(x)
			return s.refusal(http.StatusBadRequest, duplicate(in), nil)
		case holder != nil && holder.ctx.Err() == nil:
			holder.overlaps++
		}
		in.entry.open = x
	}
	return nil
}

// release gives the keys back. A key that another request took meanwhile was in two requests at once, unless the caller of
// this one has given up. The caller holds mu.
func (s *Sim) release(x *exchange) {
	for i := range x.inputs {
		if e := x.inputs[i].entry; e != nil && e.open == x {
			e.open = nil
		}
	}
	if x.overlaps > 0 && x.ctx.Err() == nil {
		s.violate("%d keys of request %d came again before it was answered", x.overlaps, x.number)
	}
	x.overlaps = 0
}

// settle writes the inputs as their fates have it. It reports false when the Sim is closed.
func (s *Sim) settle(x *exchange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if x.generation != s.generation {
		return true
	}
	at := time.Now()
	for i := range x.inputs {
		in := &x.inputs[i]
		in.fate.reason = noChange
		if in.fate.apply == atOnce {
			in.fate.reason = s.apply(x, in, at)
		}
	}
	s.settleLater(x)
	return true
}

// settleLater sets a timer for the inputs that are written late. The caller holds mu.
func (s *Sim) settleLater(x *exchange) {
	byDelay := make(map[time.Duration][]input)
	for _, in := range x.inputs {
		if in.fate.apply == later {
			byDelay[in.fate.late] = append(byDelay[in.fate.late], in)
		}
	}
	for delay, inputs := range byDelay {
		origin := &exchange{number: x.number, token: x.token, received: x.received, generation: x.generation}
		var timer *time.Timer
		timer = time.AfterFunc(delay, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.late, timer)
			if s.closed || origin.generation != s.generation {
				return
			}
			at := time.Now()
			for i := range inputs {
				s.apply(origin, &inputs[i], at)
			}
		})
		s.late[timer] = struct{}{}
	}
}
