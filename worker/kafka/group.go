package kafka

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
)

// The causes with which the context of a life ends, besides worker.ErrFenced.
var (
	ErrRebalance = errors.New("the group rebalances")
	ErrStopped   = errors.New("stopped as asked")
)

// Live is one life: what the worker does with one generation. It reads and sends until ctx ends, then takes in nothing
// more, finishes what is in flight within the drain timeout, committing meanwhile, and returns. Nil and errors that
// wrap worker.ErrFenced, ErrRebalance or ErrStopped lead to the next generation; any other error ends Run.
type Live func(ctx context.Context, gen worker.Generation) error

var errItself = errors.New("the life ended by itself")

// passing are the errors of a life that another generation mends.
var passing = []error{worker.ErrFenced, ErrRebalance, ErrStopped, errUnanswered}

const (
	quickest   = time.Second     // for a generation without partitions to end: see brake
	idleLook   = 5 * time.Second // how often a member without partitions looks whether that is right
	closeGrace = 5 * time.Second // beyond the drain, for a first JoinGroup that is not answered
	joinPause  = time.Second     // before joining again after an error
	watchEvery = 2 * time.Second // for new partitions
)

// Run waits for the topics, joins the group and calls live for each generation, one after the other, until ctx ends;
// then it returns nil. The life that ctx ends drains as a member of the group, which is left only after that. An error
// is one that another generation would not mend.
func (c *Cluster) Run(ctx context.Context, live func(ctx context.Context, gen worker.Generation) error) error {
	if err := c.WaitReady(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var farewells sync.WaitGroup // of names that kafka-go has given up
	defer farewells.Wait()
	names, stop := context.WithCancel(ctx)
	defer stop()
	say := func(member string) {
		farewells.Go(func() {
			for c.goodbye(names, member) != nil && pause(names, time.Second) {
			}
		})
	}
	for ctx.Err() == nil {
		if err := c.join(ctx, live, say); err != nil {
			return err
		}
	}
	return nil
}

// membership is one stay in the group.
type membership struct {
	c      *Cluster
	conns  *connections
	group  *kafka.ConsumerGroup
	member string        // the id that the coordinator gave us; empty when only kafka-go could know it
	left   chan struct{} // closed by leave, when kafka-go cannot join any more

	// farewell lets the group know, as soon as a coordinator listens, that a member is gone for good. Until it knows
	// it waits for that member in every rebalance, for a session timeout.
	farewell func(member string)
}

// join is one membership: it lasts until ctx ends, an error is for good, or a commit got no answer.
func (c *Cluster) join(ctx context.Context, live Live, farewell func(member string)) error {
	conns := newConnections(c.cfg.Dial)
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.cfg.Group, Brokers: c.cfg.Brokers, Topics: []string{c.cfg.Topic},
		Dialer: &kafka.Dialer{
			ClientID: c.cfg.ClientID, Timeout: c.cfg.timeout(), DialFunc: conns.dial, TLS: c.cfg.TLS, SASLMechanism: c.cfg.SASL,
		},
		HeartbeatInterval: c.cfg.HeartbeatInterval, SessionTimeout: c.cfg.SessionTimeout, RebalanceTimeout: c.cfg.RebalanceTimeout,
		JoinGroupBackoff: joinPause, Timeout: c.cfg.timeout(), StartOffset: kafka.FirstOffset,
		WatchPartitionChanges: true, PartitionWatchInterval: watchEvery,
	})
	if err != nil {
		return err
	}
	m := &membership{c: c, conns: conns, group: group, left: make(chan struct{}), farewell: farewell}
	defer m.leave()
	var told said
	for {
		gen, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if errors.Is(err, kafka.RebalanceInProgress) {
				continue // another member came or went meanwhile: kafka-go joins again
			}
			if m.member != "" {
				m.farewell(m.member) // kafka-go may have tried; it will join as somebody else
				m.member = ""
			}
			if told.changed(because(err)) {
				c.log.Warn("joining the group", slog.String("group", c.cfg.Group), slog.String("reason", told.last))
			}
			continue
		}
		told, m.member = said{}, gen.MemberID
		if over, err := m.generation(ctx, gen, live); over {
			return err
		}
	}
}

// generation runs one life in one function of the generation: kafka-go joins the next one when that function returns.
// It reports whether the membership is over.
func (m *membership) generation(ctx context.Context, gen *kafka.Generation, live Live) (over bool, err error) {
	done := make(chan struct{})
	gen.Start(func(ended context.Context) {
		over, err = m.c.life(ctx, ended, gen, live)
		close(done)
		if over {
			<-m.left // returning earlier would join the next generation only to leave it again
		}
	})
	<-done
	return over, err
}

// leave gives up the membership. kafka-go would first join once more if a rebalance has begun, and would wait for the
// others; so the member says goodbye itself and cuts kafka-go's connections. Only in its first JoinGroup it does not
// know its own name and has to wait: were it to vanish there, its partitions would stand still for a session timeout.
func (m *membership) leave() {
	if m.member == "" {
		late := time.AfterFunc(m.c.cfg.Drain+closeGrace, m.conns.cut)
		defer late.Stop()
	} else {
		if err := m.c.goodbye(context.Background(), m.member); err != nil {
			m.c.log.Warn("the group could not be left", slog.String("group", m.c.cfg.Group), slog.String("reason", because(err)))
			m.farewell(m.member)
		}
		m.conns.cut()
	}
	close(m.left)
	_ = m.group.Close()
}

// goodbye takes a member out of the group. That it was not in it is no error. (The errors of Client.LeaveGroup cannot
// be read: it takes the throttle time for the error code.)
func (c *Cluster) goodbye(ctx context.Context, member string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.timeout())
	defer cancel()
	found, err := c.client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: c.cfg.Group, KeyType: kafka.CoordinatorKeyTypeConsumer})
	if err != nil {
		return err
	}
	if found.Error != nil {
		return found.Error
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = c.cfg.Group, member
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	req.Members = append(req.Members, m)
	res, err := exchange[*kmsg.LeaveGroupResponse](ctx, c, req, broker(int32(found.Coordinator.NodeID)))
	if err != nil {
		return err
	}
	if res.ErrorCode != 0 && kafka.Error(res.ErrorCode) != kafka.UnknownMemberId {
		return kafka.Error(res.ErrorCode)
	}
	return nil
}

// life is one generation, from the assignment to the end of the drain. ended is over when kafka-go has learnt that the
// generation is. It reports whether the membership ends with it.
func (c *Cluster) life(ctx, ended context.Context, gen *kafka.Generation, live Live) (over bool, err error) {
	began := time.Now()
	intake, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(ErrStopped) })()
	defer context.AfterFunc(ended, func() { cancel(ErrRebalance) })()

	g := &generation{c: c, id: gen.ID, member: gen.MemberID, cancel: cancel}
	g.assignments, g.partitions, err = c.assign(ctx, intake, gen)
	if err == nil {
		c.log.Info("generation begins", slog.Int("generation", int(gen.ID)), slog.Int("assigned", len(g.assignments)), slog.Int("of", g.partitions))
		var idle sync.WaitGroup // ends with the intake
		if len(g.assignments) == 0 {
			idle.Go(func() { c.watchIdle(intake, cancel) })
		}
		err = live(intake, g)
		cancel(errItself) // says nothing new if the intake has ended before
		idle.Wait()
		c.log.Info("generation over", slog.Int("generation", int(gen.ID)), slog.Any("cause", context.Cause(intake)))
	}

	switch cause := context.Cause(intake); {
	case errors.Is(cause, worker.ErrTopicGone):
		return true, cause
	case err != nil && !slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) }):
		return true, err
	case g.unanswered.Load(), errors.Is(err, errUnanswered):
		c.log.Warn("a commit got no answer; joining as another member", slog.String("group", c.cfg.Group))
		return true, nil
	case ctx.Err() != nil:
		return true, nil
	}
	if len(gen.Assignments[c.cfg.Topic]) == 0 {
		brake(ctx, began)
	}
	return ctx.Err() != nil, nil
}

// brake lets a generation without partitions not end too soon: while something is wrong with the topic, kafka-go joins
// a hundred generations a second, and returning late is the only way to slow it down. Whoever has partitions must not
// be slow here, because the whole group waits for its JoinGroup.
func brake(ctx context.Context, began time.Time) { pause(ctx, quickest-time.Since(began)) }

// watchIdle looks after a member that got no partitions. Usually the others have them all. But when a topic comes into
// being while the group's leader looks for it, nobody gets any, and nobody would notice: then the generation is ended.
func (c *Cluster) watchIdle(ctx context.Context, end context.CancelCauseFunc) {
	for pause(ctx, idleLook) {
		if gone := c.deleted(ctx); errors.Is(gone, worker.ErrTopicGone) {
			end(gone)
		} else if gone == nil && c.nobodyOwns(ctx) {
			end(ErrRebalance)
		}
	}
}

// nobodyOwns reports whether the group has settled with no partition of the topic given to anybody.
func (c *Cluster) nobodyOwns(ctx context.Context) bool {
	res, err := c.client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{c.cfg.Group}})
	if err != nil || len(res.Groups) != 1 || res.Groups[0].Error != nil || res.Groups[0].GroupState != "Stable" {
		return false
	}
	for _, m := range res.Groups[0].Members {
		for _, t := range m.MemberAssignments.Topics {
			if t.Topic == c.cfg.Topic && len(t.Partitions) > 0 {
				return false
			}
		}
	}
	return true
}
