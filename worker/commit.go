package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// commit is the end of one commit.
type commit struct {
	marks map[int32]mark
	err   error
}

// commit commits the marks: on the tick, before a window comes to its end, and once before anything is sent.
func (l *life) commit(now time.Time) {
	tick := !now.Before(l.nextCommit)
	if l.committing || l.noCommit || len(l.readers) == 0 || !tick && (l.draining || !l.ledger.Urgent()) {
		return
	}
	l.nextCommit = now.Add(l.CommitEvery)
	if tick && !l.draining && !l.ledger.Changed() {
		return
	}
	l.startCommit(l.ledger.Marks(now, false))
}

func (l *life) startCommit(marks map[int32]mark) {
	commits := make(map[int32]Commit, len(marks))
	for id, m := range marks {
		if l.bare[id] {
			m.Gaps = nil
		}
		commits[id] = Commit{Offset: m.offset, Metadata: m.encode(m.offset)}
	}
	l.committing = true
	l.tasks.Go(func() { // one commit; ends with its answer or its timeout
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.work), l.CommitTimeout)
		defer cancel()
		l.commits <- commit{marks, l.gen.Commit(ctx, commits)}
	})
}

// committed takes the answer to a commit. One that got none may land late, and must not land after a newer one: the life
// ends without another commit.
func (l *life) committed(c commit) {
	l.committing = false
	now := time.Now()
	if large, ok := errors.AsType[*MetadataTooLargeError](c.err); ok && !l.bare[large.Partitions[0]] {
		for _, id := range large.Partitions {
			l.bare[id] = true
			l.Logger.Warn("the broker refuses the metadata of a commit; committing without the gaps", slog.Int("partition", int(id)))
		}
		l.startCommit(c.marks)
		return
	}
	switch {
	case c.err == nil && len(l.bare) > 0:
		l.Observer.Committed(CommitTrimmed)
	case c.err == nil:
		l.Observer.Committed(CommitAcknowledged)
	case errors.Is(c.err, ErrFenced):
		l.Observer.Committed(CommitFenced)
		l.Logger.Warn("the group has moved on; letting go of what is in flight", slog.Int("generation", int(l.gen.ID())))
		l.noCommit = true
		l.drain()
		l.stopWork()
		return
	default:
		l.Observer.Committed(CommitUnanswered)
		l.Logger.Warn("a commit got no answer; the generation ends", slog.Any("error", c.err))
		l.noCommit = true
		l.drain()
		return
	}
	l.commitAt = now
	l.ledger.Committed(c.marks)
}
