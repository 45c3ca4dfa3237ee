package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"consent-worker/worker"
)

// decided begins the metadata of a commit that no life made: where the group shall start, as people have chosen. No
// life sends anything before it has replaced that commit by one of its own, so who finds it is the partition's first.
const decided = "start:"

var errUndecided = errors.New("the member that owns partition 0 has not yet stored where the group starts")

// assign finds out what the generation inherits. It tries again until that succeeds or the intake ends; then it returns
// the intake's cause. Other errors are for good. ctx outlives the intake.
func (c *Cluster) assign(ctx, intake context.Context, gen *kafka.Generation) (assignments []worker.Assignment, partitions int, err error) {
	var told said
	for {
		// kafka-go ends a generation at once whose topic it does not find, so looking for it must outlast the intake.
		var topics map[string]topic
		topics, err = c.look(ctx, c.cfg.Topic)
		if err == nil {
			err = topics[c.cfg.Topic].err
		}
		if errors.Is(err, kafka.UnknownTopicOrPartition) {
			if gone := c.deleted(ctx); errors.Is(gone, worker.ErrTopicGone) {
				return nil, 0, gone
			}
		}
		if err == nil {
			partitions = len(topics[c.cfg.Topic].leaders)
			assignments, err = c.inherit(intake, gen, topics[c.cfg.Topic].leaders)
		}
		switch {
		case err == nil, errors.Is(err, errNoStart), errors.Is(err, errUnanswered):
			return assignments, partitions, err
		case intake.Err() != nil:
			return nil, 0, context.Cause(intake)
		case errors.Is(err, errUndecided):
		case told.changed(because(err)):
			c.log.Warn("assignment not yet clear", slog.String("reason", told.last), slog.Int("generation", int(gen.ID)))
		}
		pause(intake, 250*time.Millisecond)
	}
}

// inherit asks the group and the leaders about the generation's partitions, once.
func (c *Cluster) inherit(ctx context.Context, gen *kafka.Generation, leaders []int32) ([]worker.Assignment, error) {
	var mine []int32
	for _, a := range gen.Assignments[c.cfg.Topic] {
		mine = append(mine, int32(a.ID))
	}
	slices.Sort(mine)

	committed, err := c.committed(ctx, len(leaders))
	if err != nil {
		return nil, err
	}
	if len(committed) == 0 {
		if err := c.decide(ctx, gen, leaders, mine); err != nil {
			return nil, err
		}
		if committed, err = c.committed(ctx, len(leaders)); err != nil {
			return nil, err
		}
	}
	first, err := c.offsets(ctx, leaders, mine, atFirst)
	if err != nil {
		return nil, err
	}
	end, err := c.offsets(ctx, leaders, mine, atEnd)
	if err != nil {
		return nil, err
	}
	assignments := make([]worker.Assignment, 0, len(mine))
	for _, p := range mine {
		a := worker.Assignment{Partition: p, Start: first[p], First: true, End: end[p]}
		if was, ok := committed[p]; ok {
			a.Start, a.Metadata, a.First = was.Offset, was.Metadata, false
			if strings.HasPrefix(was.Metadata, decided) {
				a.Metadata, a.First = "", true
			}
		}
		assignments = append(assignments, a)
	}
	return assignments, nil
}

// errNoStart is what Run returns when nobody has said where a new group begins.
var errNoStart = errors.New("it has never committed an offset, so people must say where it begins: set KAFKA_START to earliest, latest or a time")

// decide stores where a group without any commit starts, for every partition and in one request. Only the owner of
// partition 0 does that, so that the choice is made once: were each member to decide for its own partitions, the
// second one would find the commits of the first and take its own partitions for new ones of a known topic. The
// others wait until the commits are there.
func (c *Cluster) decide(ctx context.Context, gen *kafka.Generation, leaders, mine []int32) error {
	if !c.cfg.Start.chosen {
		return fmt.Errorf("group %s, topic %s: %w", c.cfg.Group, c.cfg.Topic, errNoStart)
	}
	if len(mine) == 0 {
		return nil // nothing to read, so nothing to wait for
	}
	if mine[0] != 0 {
		return errUndecided
	}
	all := make([]int32, len(leaders))
	for p := range all {
		all[p] = int32(p)
	}
	at, err := c.offsets(ctx, leaders, all, c.cfg.Start.at)
	if err != nil {
		return err
	}
	end, err := c.offsets(ctx, leaders, all, atEnd)
	if err != nil {
		return err
	}
	commits := map[int32]worker.Commit{}
	for _, p := range all {
		if at[p] < 0 { // no record is that young
			at[p] = end[p]
		}
		commits[p] = worker.Commit{Offset: at[p], Metadata: decided + c.cfg.Start.String()}
	}
	refused, err := c.commit(ctx, gen.ID, gen.MemberID, commits)
	if err != nil {
		return err
	}
	for _, err := range refused {
		return err
	}
	c.log.Info("the group starts here", slog.String("start", c.cfg.Start.String()), slog.Any("offsets", at))
	return nil
}

// committed returns the group's commits on all partitions of the topic that have one.
func (c *Cluster) committed(ctx context.Context, partitions int) (map[int32]worker.Commit, error) {
	all := make([]int, partitions)
	for p := range all {
		all[p] = p
	}
	res, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: c.cfg.Group, Topics: map[string][]int{c.cfg.Topic: all}})
	if err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, res.Error
	}
	if n := len(res.Topics[c.cfg.Topic]); n != partitions {
		return nil, fmt.Errorf("committed offsets of %d partitions asked, of %d told", partitions, n)
	}
	commits := map[int32]worker.Commit{}
	for _, p := range res.Topics[c.cfg.Topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		if p.CommittedOffset >= 0 {
			commits[int32(p.Partition)] = worker.Commit{Offset: p.CommittedOffset, Metadata: p.Metadata}
		}
	}
	return commits, nil
}
