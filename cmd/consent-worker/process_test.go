package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// asMain makes the test binary be the command itself, so that tests can kill it.
const asMain = "CONSENT_WORKER_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// scene is a topic, a simulated HubSpot on a port, and processes of the command.
type scene struct {
	t             *testing.T
	k             *kafkatest.Cluster
	sim           *hubspottest.Sim
	url           string
	topic, group  string
	letters       string
	seed          uint64
	env           []string
	logs          []*bytes.Buffer
	adminOfLatest string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, k: kafkatest.Start(t)}
	s.topic, s.letters, s.group = s.k.Topic("events", 4), s.k.Topic("letters", 1), s.k.Name("group")
	s.sim = hubspottest.New(hubspottest.Config{Token: "very-secret", KeepHistory: true, Latency: hubspottest.Latency(5 * time.Millisecond)})
	server := httptest.NewServer(s.sim)
	s.url = server.URL
	t.Cleanup(func() { s.sim.Close(); server.Close() })
	s.env = []string{
		asMain + "=1", "KAFKA_BROKERS=" + strings.Join(s.k.Addrs(), ","), "KAFKA_TOPIC=" + s.topic, "KAFKA_GROUP=" + s.group,
		"KAFKA_DEAD_LETTER_TOPIC=" + s.letters, "KAFKA_START=earliest", "KAFKA_SESSION_TIMEOUT=6s", "HUBSPOT_BASE_URL=" + s.url,
		"HUBSPOT_TOKEN=very-secret", "HUBSPOT_TIMEOUT=1s", "HUBSPOT_AFTERLIFE=1s", "WORKER_DRAIN_TIMEOUT=2s", "WORKER_LINGER=50ms",
		"HUBSPOT_RATE_LIMIT=2000",
	}
	return s
}

// start runs the command as a process of its own and keeps its log.
func (s *scene) start() *exec.Cmd {
	s.t.Helper()
	log := new(bytes.Buffer)
	s.logs = append(s.logs, log)
	return s.launch(log)
}

// launch runs the command as a process of its own.
func (s *scene) launch(log io.Writer) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.adminOfLatest = freeAddr(s.t)
	cmd := exec.Command(self, "run")
	cmd.Env = append(os.Environ(), append(s.env, "ADMIN_ADDR="+s.adminOfLatest)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// crowd appends n changes.
func (s *scene) crowd(n int) {
	s.t.Helper()
	s.seed++
	r := rand.New(rand.NewPCG(s.seed, 1))
	records := make([]*kgo.Record, n)
	for i := range records {
		address := fmt.Sprintf("a%d@example.com", r.IntN(500))
		status := []hubspot.Status{hubspot.Subscribed, hubspot.Unsubscribed}[r.IntN(2)]
		records[i] = kafkatest.Record(s.topic, address, fmt.Sprintf(`{"subscriberIdString":%q,"subscriptionId":1,"statusState":%q}`, address, status))
		if r.IntN(100) == 0 {
			records[i].Value = []byte("rubbish")
		}
	}
	s.k.Write(records...)
}

// rest waits until everything is committed.
func (s *scene) rest() {
	s.t.Helper()
	ends, err := s.k.Ends(s.t.Context(), s.topic)
	if err != nil {
		s.t.Fatal(err)
	}
	s.k.WaitMarks(s.group, s.topic, func(marks map[int32]int64) bool {
		for p, end := range ends {
			if marks[p] < end {
				return false
			}
		}
		return true
	})
}

// waitInputs waits until HubSpot has applied n inputs in all.
func (s *scene) waitInputs(n int) {
	s.t.Helper()
	s.wait(fmt.Sprintf("HubSpot has applied %d inputs", n), func() bool { return s.sim.Inputs() >= n })
}

// wait waits for the other process to have done something that only a look can tell.
func (s *scene) wait(what string, done func() bool) {
	s.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not after a minute: %s", what)
		}
	}
}

// judge compares topic, dead letters and HubSpot.
func (s *scene) judge() {
	s.t.Helper()
	dead := map[string]bool{}
	for _, d := range s.k.Read(s.letters) {
		var at [2]string
		for _, h := range d.Headers {
			switch h.Key {
			case "dead-letter-partition":
				at[0] = string(h.Value)
			case "dead-letter-offset":
				at[1] = string(h.Value)
			}
		}
		dead[at[0]+"/"+at[1]] = true
	}
	newest := map[worker.Key]hubspot.Status{}
	for _, r := range s.k.Read(s.topic) {
		e := worker.Decode(worker.Record{Partition: r.Partition, Offset: r.Offset, Value: r.Value})
		isDead := dead[fmt.Sprintf("%d/%d", r.Partition, r.Offset)]
		if isDead != (e.Cause != "") {
			s.t.Errorf("%d/%d: dead letter %v, though its mistake is %q", r.Partition, r.Offset, isDead, e.Cause)
		}
		if e.Cause == "" {
			newest[e.Key] = e.Input.Status
		}
	}
	for k, want := range newest {
		if got := s.sim.Status(hubspottest.Key{Address: k.Address, SubscriptionID: k.Subscription, Channel: k.Channel}); got != want {
			s.t.Errorf("a key is %s, its newest word says %s", got, want)
		}
	}
	for _, l := range s.logs {
		if text := l.String(); strings.Contains(text, "@example.com") || strings.Contains(text, "very-secret") {
			s.t.Error("the log shows an address or the token")
		}
	}
}

// end waits for a process and returns its exit status.
func (s *scene) end(cmd *exec.Cmd) int {
	s.t.Helper()
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		_ = cmd.Wait() // its exit status is what counts
	}()
	select {
	case <-done:
		return cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		s.t.Fatalf("the process does not end\n%s", s.logs[len(s.logs)-1])
		return -1
	}
}

func TestIntegrationProcessStopsOnSIGTERMAndGoesOnAfterwards(t *testing.T) {
	s := newScene(t)
	s.crowd(3000)
	cmd := s.start()
	s.waitInputs(100)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.end(cmd); code != 0 {
		t.Errorf("exit status %d, want 0\n%s", code, s.logs[0])
	}
	s.crowd(1000)
	next := s.start()
	s.rest()
	_ = next.Process.Signal(syscall.SIGTERM)
	if code := s.end(next); code != 0 {
		t.Errorf("exit status %d, want 0\n%s", code, s.logs[1])
	}
	s.judge()
}

func TestIntegrationProcessLosesNothingWhenKilled(t *testing.T) {
	s := newScene(t)
	for round := range 3 {
		s.crowd(2000)
		before := s.sim.Inputs()
		cmd := s.start()
		s.waitInputs(before + 50)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if code := s.end(cmd); code != -1 {
			t.Errorf("round %d: exit status %d of a killed process", round, code)
		}
	}
	last := s.start()
	s.rest()
	_ = last.Process.Signal(syscall.SIGTERM)
	if code := s.end(last); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	s.judge()
}

func TestIntegrationProcessShowsHowItIs(t *testing.T) {
	s := newScene(t)
	s.crowd(500)
	cmd := s.start()
	s.rest()
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/": "/metrics", "/metrics": `consent_worker_events_total{outcome="written"}`,
	} {
		if code, body := get(t, "http://"+s.adminOfLatest+path); code != 200 || !strings.Contains(body, want) || strings.Contains(body, "@example") {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
	if code, _ := get(t, "http://"+s.adminOfLatest+"/elsewhere"); code != 404 {
		t.Errorf("GET /elsewhere: %d, want 404", code)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := s.end(cmd); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for line := range strings.Lines(s.logs[0].String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has a line that is not JSON: %s", line)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestIntegrationProcessEndsAtOnceOnASecondSignal(t *testing.T) {
	s := newScene(t)
	s.env = append(s.env, "HUBSPOT_TIMEOUT=50s", "WORKER_DRAIN_TIMEOUT=55s", "KAFKA_SESSION_TIMEOUT=2m") // the last of a name counts
	hang := s.sim.Inject(hubspottest.Fault{Effect: hubspottest.Hang()})
	s.crowd(100)
	log, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := s.launch(write)
	_ = write.Close() // the process has its own
	s.wait("a request hangs", func() bool { return hang.Struck() > 0 })

	began := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "asked to stop") {
		continue
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	if code := s.end(cmd); code != 1 || time.Since(began) > 30*time.Second {
		t.Errorf("exit status %d after %v, want 1 at once", code, time.Since(began))
	}
	if !strings.Contains(last, "a second signal") {
		t.Errorf("the last word is %q", last)
	}
}
