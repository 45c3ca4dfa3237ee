package hubspottest

import (
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// finish gives the keys of a request back and counts it. It comes before the answer: once the caller has read that, it
// may send the keys again.
func (s *Sim) finish(x *exchange, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(x)
	if x.generation != s.generation {
		return
	}
	s.outcomes[o]++
	if !s.config.KeepHistory {
		return
	}
	line := Request{Number: x.number, Token: x.token, Received: x.received, Answered: time.Now(), Outcome: o}
	for i := range x.inputs {
		line.Inputs = append(line.Inputs, x.inputs[i].Input)
	}
	s.log = append(s.log, line)
}

// refuse is refusal for those who do not hold mu.
func (s *Sim) refuse(status int, p problem) *Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal(status, p, nil)
}

// reply sends an answer that is no batch response.
func (s *Sim) reply(w http.ResponseWriter, x *exchange, a *Answer) {
	s.finish(x, a.outcome())
	s.send(w, a)
}

func (s *Sim) send(w http.ResponseWriter, a *Answer) {
	h := w.Header()
	maps.Copy(h, a.Header)
	if a.own {
		s.ownHeaders(h)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	if a.Status == http.StatusNoContent {
		delete(h, "Content-Length")
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // a caller that went away misses it
}

// replyBatch sends a batch response, or half of it.
func (s *Sim) replyBatch(w http.ResponseWriter, x *exchange, body []byte) {
	status := x.batch.codeOf()
	outcome := Outcome(strconv.Itoa(status))
	if x.ending == halves {
		outcome += " cut"
	}
	s.finish(x, outcome)
	h := w.Header()
	s.ownHeaders(h)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if x.ending == halves {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // a caller that went away misses it
}

// ownHeaders writes what HubSpot itself puts on its answers, unlike its edge.
func (s *Sim) ownHeaders(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limitHeaders(h, time.Now())
	h["Content-Type"] = []string{"application/json;charset=utf-8"}
	if h["X-Hubspot-Correlation-Id"] == nil {
		h["X-Hubspot-Correlation-Id"] = []string{s.uuid()}
	}
}

// definitions serves the list of subscription types. It counts for the limits, but not as a write, and meets no fault.
func (s *Sim) definitions(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refused := s.authorize(r)
	if refused == nil {
		refused = s.spend(time.Now(), "a request for definitions")
	}
	s.mu.Unlock()
	if refused != nil {
		s.send(w, refused)
		return
	}
	type definition struct {
		ID                  string `json:"id"`
		Name                string `json:"name"`
		Description         string `json:"description"`
		Purpose             string `json:"purpose"`
		CommunicationMethod string `json:"communicationMethod"`
		IsActive            bool   `json:"isActive"`
		IsDefault           bool   `json:"isDefault"`
		IsInternal          bool   `json:"isInternal"`
		BusinessUnitID      int64  `json:"businessUnitId"`
		CreatedAt           string `json:"createdAt"`
		UpdatedAt           string `json:"updatedAt"`
	}
	now := time.Now().UTC().Format(timeForm)
	var answer struct {
		Status      string       `json:"status"`
		Results     []definition `json:"results"`
		StartedAt   string       `json:"startedAt"`
		CompletedAt string       `json:"completedAt"`
	}
	answer.Status, answer.StartedAt, answer.CompletedAt = "COMPLETE", now, now
	for _, d := range s.config.Definitions {
		answer.Results = append(answer.Results, definition{
			ID: strconv.FormatInt(d.ID, 10), Name: d.Name, Description: d.Name, Purpose: "Marketing", CommunicationMethod: "Email",
			IsActive: true, CreatedAt: "2024-01-01T00:00:00.000Z", UpdatedAt: "2024-01-01T00:00:00.000Z",
		})
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings, numbers and booleans
	}
	s.send(w, &Answer{Status: http.StatusOK, Body: string(body), own: true})
}

// nowhere answers everything that the Sim does not know.
func (s *Sim) nowhere(w http.ResponseWriter, _ *http.Request) {
	s.send(w, s.refuse(http.StatusNotFound, problem{Message: "resource not found"}))
}
