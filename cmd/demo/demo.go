package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

const (
	topic      = "consent-changes"
	deadTopic  = topic + ".dead-letter"
	group      = "hubspot-consent-worker"
	partitions = 6
	replicas   = 2
	token      = "demo"

	// rateLimit is HubSpot's limit of private apps in paid accounts: requests in any ten seconds, of all replicas.
	rateLimit, rateInterval = 190, 10 * time.Second

	// patience is how long the workers may take to settle everything once the producer has stopped.
	patience = time.Minute
)

type config struct {
	rate    int // events a second in quiet times
	seed    uint64
	length  time.Duration // of the producing; 0: until intake ends
	outages bool
	broker  *kafkatest.Broker // holds none of our topics yet
	log     *slog.Logger      // of the workers
}

func brokerOptions() []kfake.Opt {
	return []kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}
}

// stage is how far the story has come.
type stage int32

const (
	producing stage = iota
	settling
	leaving
)

// demo is everything that takes part.
type demo struct {
	config
	began    time.Time
	sim      *hubspottest.Sim
	producer *producer
	replicas []*replica
	stage    atomic.Int32 // written by run, read by the view
	samples  []sample     // of the last rate interval; the view's
}

// open makes the topics and prepares everybody. Nothing runs yet.
func open(ctx context.Context, c config) (*demo, error) {
	d := &demo{config: c, began: time.Now()}
	d.sim = hubspottest.New(hubspottest.Config{
		Token: token, Limit: rateLimit, Interval: rateInterval, Seed: c.seed, KeepHistory: true,
		Latency:     hubspottest.LatencyBetween(40*time.Millisecond, 160*time.Millisecond, c.seed),
		Definitions: definitions(),
	})
	d.producer = newProducer(c, newFaults(d.sim))
	// A dead letter is larger than its event by our headers.
	err := errors.Join(
		c.broker.CreateTopic(ctx, topic, partitions, nil),
		c.broker.CreateTopic(ctx, deadTopic, 2, map[string]string{"max.message.bytes": "2097152"}),
	)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	for range replicas {
		r, err := openReplica(c, d.sim)
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		d.replicas = append(d.replicas, r)
	}
	return d, nil
}

func (d *demo) close() error {
	var errs []error
	for _, r := range d.replicas {
		errs = append(errs, r.cluster.Close())
	}
	d.sim.Close()
	return errors.Join(errs...)
}

// perform runs the demo and shows it, and returns the books. The end of intake stops the producer, the end of work all.
func (d *demo) perform(work, intake context.Context, s show) (*books, error) {
	type ending struct {
		books *books
		err   error
	}
	over := make(chan ending, 1)
	var story sync.WaitGroup
	defer story.Wait()
	story.Go(func() { // the demo itself; ends with the comparison
		b, err := d.run(work, intake)
		over <- ending{b, err}
	})
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	defer s.end()
	for {
		s.draw(d.look(time.Now()))
		select {
		case <-tick.C:
		case e := <-over:
			s.draw(d.look(time.Now()))
			return e.books, e.err
		}
	}
}

// run is the whole story.
func (d *demo) run(work, intake context.Context) (*books, error) {
	work, stop := context.WithCancelCause(work)
	defer stop(nil)
	var crew sync.WaitGroup
	for _, r := range d.replicas {
		crew.Go(func() { // one worker; ends with work, and takes all others along when it cannot go on
			if err := r.run(work); err != nil {
				stop(err)
			}
		})
	}
	intake, stopIntake := context.WithCancel(intake)
	defer stopIntake()
	defer context.AfterFunc(work, stopIntake)()
	if d.length > 0 {
		intake, stopIntake = context.WithTimeout(intake, d.length)
		defer stopIntake()
	}
	err := d.producer.run(work, intake)
	d.stage.Store(int32(settling))
	if err == nil {
		err = d.settle(work)
	}
	d.stage.Store(int32(leaving))
	stop(err)
	crew.Wait()
	if cause := context.Cause(work); cause != nil && !errors.Is(cause, context.Canceled) {
		return nil, cause
	}
	return d.compare(context.WithoutCancel(work))
}

// settle waits until the group has committed everything, or patience is over. An input that HubSpot refused becomes a dead
// letter only after HubSpot has accepted another one since; so while something is owed, somebody changes their mind.
func (d *demo) settle(work context.Context) error {
	deadline := time.Now().Add(patience)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for n := 1; time.Now().Before(deadline); n++ {
		if owed, err := d.owed(work); owed == 0 || err != nil {
			return err
		}
		if n%20 == 0 {
			if err := d.producer.nudge(work); err != nil {
				return err
			}
		}
		select {
		case <-look.C:
		case <-work.Done():
			return context.Cause(work)
		}
	}
	return nil
}

// owed is how many offsets of the topic the group has not committed.
func (d *demo) owed(ctx context.Context) (int64, error) {
	ends, err := d.broker.Ends(ctx, topic)
	if err != nil {
		return 0, err
	}
	commits, err := d.broker.Committed(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	owed := int64(0)
	for p, end := range ends {
		owed += end - commits[p].Offset
	}
	return owed, nil
}

// compare reads both topics and asks the simulated HubSpot.
func (d *demo) compare(ctx context.Context) (*books, error) {
	records, err := d.broker.Records(ctx, topic)
	if err != nil {
		return nil, err
	}
	letters, err := d.broker.Records(ctx, deadTopic)
	if err != nil {
		return nil, err
	}
	commits, err := d.broker.Committed(ctx, group, topic)
	if err != nil {
		return nil, err
	}
	marks := map[int32]int64{}
	for p, c := range commits {
		marks[p] = c.Offset
	}
	events := make([]worker.Event, len(records))
	for i, r := range records {
		events[i] = worker.Decode(worker.Record{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value})
	}
	buried, err := readLetters(letters)
	if err != nil {
		return nil, err
	}
	return audit(events, buried, marks, d.sim), nil
}
