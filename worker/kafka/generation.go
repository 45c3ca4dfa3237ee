package kafka

import (
	"context"
	"sync/atomic"

	"consent-worker/worker"
)

// generation is what one life sees of Kafka. All but unanswered is set before the life begins.
type generation struct {
	c           *Cluster
	id          int32
	member      string
	assignments []worker.Assignment
	partitions  int
	cancel      context.CancelCauseFunc // ends the intake
	unanswered  atomic.Bool             // set by Commit, read after the life
}

var _ worker.Generation = (*generation)(nil)

func (g *generation) ID() int32 { return g.id }

func (g *generation) Assignments() []worker.Assignment { return g.assignments }

func (g *generation) Partitions() int { return g.partitions }
