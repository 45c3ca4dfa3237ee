package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"consent-worker/worker"
)

// errUnanswered says that nobody knows whether a commit was stored, or will be.
var errUnanswered = errors.New("no answer to a commit")

// Commit implements worker.Generation. It tries again, for as long as one request may take, what the coordinator has
// refused for the moment: a refusal stores nothing, so nothing can land late.
func (g *generation) Commit(ctx context.Context, commits map[int32]worker.Commit) error {
	ctx, cancel := context.WithTimeout(ctx, g.c.cfg.timeout())
	defer cancel()
	left := maps.Clone(commits)
	var tooLarge []int32
	for wait := 20 * time.Millisecond; len(left) > 0; wait = min(2*wait, 500*time.Millisecond) {
		refused, err := g.c.commit(ctx, g.id, g.member, left)
		if err == nil {
			err = g.sort(left, refused, &tooLarge)
		}
		if err != nil && !notSent(err) {
			return g.end(err)
		}
		if len(left) > 0 && !pause(ctx, wait) {
			return fmt.Errorf("commit refused until time was up: %w", errors.Join(append(slices.Collect(maps.Values(refused)), err)...))
		}
	}
	if len(tooLarge) > 0 {
		slices.Sort(tooLarge)
		return &worker.MetadataTooLargeError{Partitions: tooLarge}
	}
	return nil
}

// sort takes out of left what is done with: stored, or refused for its metadata. It returns an error when a partition
// was refused for good.
func (g *generation) sort(left map[int32]worker.Commit, refused map[int32]error, tooLarge *[]int32) error {
	for p := range left {
		switch err := refused[p]; {
		case err == nil:
			delete(left, p)
		case errors.Is(err, kafka.OffsetMetadataTooLarge):
			delete(left, p)
			*tooLarge = append(*tooLarge, p)
		case errors.Is(err, kafka.UnknownMemberId), errors.Is(err, kafka.IllegalGeneration):
			return fmt.Errorf("%w: %w", worker.ErrFenced, err)
		case errors.Is(err, kafka.RebalanceInProgress):
			// The group waits for members; this generation's commits are taken again or refused for good soon.
			g.cancel(ErrRebalance)
		case errors.Is(err, kafka.NotCoordinatorForGroup), errors.Is(err, kafka.GroupLoadInProgress), errors.Is(err, kafka.GroupCoordinatorNotAvailable):
		case errors.Is(err, kafka.RequestTimedOut):
			return fmt.Errorf("%w: %w", errUnanswered, err)
		default:
			return fmt.Errorf("commit of partition %d refused: %w", p, err)
		}
	}
	return nil
}

// end ends the intake for an error that ends the life.
func (g *generation) end(err error) error {
	switch {
	case errors.Is(err, worker.ErrFenced):
		g.cancel(worker.ErrFenced)
	case errors.Is(err, errUnanswered):
		g.unanswered.Store(true)
	}
	return err
}

// commit sends one OffsetCommit and returns what was refused, by partition. After an error nobody knows what was
// stored, unless notSent says so.
func (c *Cluster) commit(ctx context.Context, generation int32, member string, commits map[int32]worker.Commit) (map[int32]error, error) {
	list := make([]kafka.OffsetCommit, 0, len(commits))
	for _, p := range slices.Sorted(maps.Keys(commits)) {
		list = append(list, kafka.OffsetCommit{Partition: int(p), Offset: commits[p].Offset, Metadata: commits[p].Metadata})
	}
	res, err := c.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: c.cfg.Group, GenerationID: int(generation), MemberID: member,
		Topics: map[string][]kafka.OffsetCommit{c.cfg.Topic: list},
	})
	if err != nil {
		if notSent(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	answered := res.Topics[c.cfg.Topic]
	if len(answered) != len(list) {
		return nil, fmt.Errorf("%w: %d partitions committed, %d in the answer", errUnanswered, len(list), len(answered))
	}
	refused := map[int32]error{}
	for _, p := range answered {
		if p.Error != nil {
			refused[int32(p.Partition)] = p.Error
		}
	}
	return refused, nil
}

// notSent knows errors that come before a request has left: there was no connection, or no broker to connect to.
func notSent(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return true
	}
	return errors.Is(err, kafka.BrokerNotAvailable)
}
