package worker

import (
	"slices"
	"time"
)

// partition is what the ledger knows of one assigned partition in this life.
type partition struct {
	id        int32
	entries   []*entry // from the mark on, in offset order; entries[:head] are done with
	head      int
	mark      int64 // everything below is settled (invariant 1)
	next      int64 // the next offset to be admitted
	end       int64 // the end of the log as last seen
	acked     int64 // the mark that the coordinator acknowledged last
	reach     int64 // the acknowledged reach: nothing at or beyond it is read
	need      int64 // read ahead up to here before grants are cut
	ahead     bool
	shadow    time.Time // an earlier life's requests may be applied until then
	gaps      []Span    // settled by earlier lives, not admitted yet
	held      []*chain  // wait until the partition has been read ahead
	bytes     int       // of all entries from the mark on
	unsettled int
	stopped   string
}

// advance moves the mark over what is settled.
func (p *partition) advance() {
	for p.head < len(p.entries) && p.entries[p.head].state == settled {
		p.bytes -= p.entries[p.head].event.size()
		p.entries[p.head] = nil
		p.head++
	}
	if p.head == len(p.entries) {
		p.entries, p.head = p.entries[:0], 0
		p.mark = max(p.mark, p.next)
		return
	}
	p.mark = p.entries[p.head].event.Offset
	if p.head > 1024 && p.head > len(p.entries)/2 {
		p.entries = slices.Delete(p.entries, 0, p.head)
		p.head = 0
	}
}

// inherited reports whether an earlier life settled the offset. Offsets are asked for in ascending order.
func (p *partition) inherited(offset int64) bool {
	for len(p.gaps) > 0 && p.gaps[0].To <= offset {
		p.gaps = p.gaps[1:]
	}
	return len(p.gaps) > 0 && p.gaps[0].From <= offset
}

// settledSpans lists what is settled above the mark, in this life or an earlier one.
func (p *partition) settledSpans() []Span {
	var spans []Span
	add := func(from, to int64) {
		if n := len(spans); n > 0 && spans[n-1].To >= from {
			spans[n-1].To = max(spans[n-1].To, to)
			return
		}
		spans = append(spans, Span{from, to})
	}
	open := false // the entry before was settled: the offsets between hold nothing that is owed
	var last int64
	for _, e := range p.entries[p.head:] {
		if e.state == settled {
			from := e.event.Offset
			if open {
				from = last
			}
			add(from, e.event.Offset+1)
			last, open = e.event.Offset+1, true
			continue
		}
		open = false
	}
	for _, g := range p.gaps {
		if from := max(g.From, p.next); from < g.To && from > p.mark {
			add(from, g.To)
		}
	}
	return spans
}
