package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// reader fetches and decodes one partition. Its goroutine owns everything but busy, which the loop owns.
type reader struct {
	gen       Generation
	partition int32
	position  int64   // the next offset to fetch
	pending   []Event // fetched, at or beyond the limit of the last order
	end       int64
	orders    chan int64 // how far to read; one at a time, each answered by one chunk
	policy    LegalBasisPolicy
	log       *slog.Logger
	busy      bool // an order is under way
}

// chunk is the answer to one order.
type chunk struct {
	partition int32
	events    []Event
	next      int64 // the position after them; 0 when nothing was read
	end       int64
	err       error // an *OutOfRangeError, or what ends the life
}

// maxChunk bounds how many events the ledger gets at once, so that the loop is never busy for long.
const maxChunk = 2000

// run answers orders until ctx ends.
func (r *reader) run(ctx context.Context, chunks chan<- chunk) {
	for {
		select {
		case limit := <-r.orders:
			select {
			case chunks <- r.readTo(ctx, limit):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// readTo returns what lies below limit, as soon as there is anything. What a fetch brought beyond it waits here for the
// next order: it has not been admitted, so nobody acts on it.
func (r *reader) readTo(ctx context.Context, limit int64) chunk {
	warned := false
	for try := 0; len(r.pending) == 0; {
		got, err := r.gen.Fetch(ctx, r.partition, r.position)
		switch {
		case err == nil:
		case errors.As(err, new(*OutOfRangeError)), errors.Is(err, ErrTopicGone), ctx.Err() != nil:
			return chunk{partition: r.partition, err: err}
		default:
			if try++; try > 3 && !warned { // a moved leader or a cut connection is daily bread
				r.log.Warn("fetching fails; trying on", slog.Int("partition", int(r.partition)), slog.Any("error", err))
				warned = true
			}
			if !pause(ctx, min(2*time.Second, 20*time.Millisecond<<min(try, 7))) {
				return chunk{partition: r.partition, err: ctx.Err()}
			}
			continue
		}
		if warned {
			r.log.Info("fetching works again", slog.Int("partition", int(r.partition)))
		}
		warned, try = false, 0
		moved := got.Next > r.position
		r.position, r.end = max(r.position, got.Next), got.End
		if len(got.Records) > 0 {
			r.pending = make([]Event, len(got.Records))
			for i := range got.Records {
				r.pending[i] = Decode(got.Records[i])
				r.policy.apply(&r.pending[i])
			}
			break
		}
		if moved || got.End >= 0 { // nothing but markers and holes, or the end of the log: the ledger wants to know both
			return chunk{partition: r.partition, next: r.position, end: r.end}
		}
	}
	n := 0
	for n < len(r.pending) && n < maxChunk && r.pending[n].Offset < limit {
		n++
	}
	c := chunk{partition: r.partition, events: r.pending[:n:n], next: r.position, end: r.end}
	if r.pending = r.pending[n:]; len(r.pending) > 0 {
		c.next = r.pending[0].Offset // offsets between hold nothing
	}
	return c
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
