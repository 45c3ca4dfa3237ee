package worker

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestProgressSurvivesItsMetadata(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		mark := r.Int64N(1 << 40)
		p := Progress{Clean: r.IntN(2) == 0}
		at := mark
		for range r.IntN(20) {
			from := at + 1 + r.Int64N(1<<uint(r.IntN(20)))
			to := from + 1 + r.Int64N(1<<uint(r.IntN(20)))
			p.Gaps, at = append(p.Gaps, Span{from, to}), to
		}
		p.Reach = at + r.Int64N(1000)
		got, err := decodeProgress(p.encode(mark), mark)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("mark %d: %+v became %+v, %v", mark, p, got, err)
		}
	}
}

func TestProgressCutsGapsOffFromTheHighestDown(t *testing.T) {
	p := Progress{Reach: 1 << 20}
	for i := range int64(5000) {
		p.Gaps = append(p.Gaps, Span{2*i + 1, 2*i + 2})
	}
	metadata := p.encode(0)
	got, err := decodeProgress(metadata, 0)
	if err != nil || len(metadata) > maxMetadata || len(metadata) < maxMetadata-10 {
		t.Fatalf("%d bytes, %v", len(metadata), err)
	}
	if n := len(got.Gaps); n < 1500 || !reflect.DeepEqual(got.Gaps, p.Gaps[:n]) {
		t.Errorf("%d gaps are left, the first of them %v", n, got.Gaps[:1])
	}
}

func FuzzProgress(f *testing.F) {
	f.Add(Progress{Reach: 9, Clean: true, Gaps: []Span{{3, 5}, {7, 8}}}.encode(2), int64(2))
	f.Add("", int64(0))
	f.Add("cw1,-1,c,", int64(0))
	f.Fuzz(func(t *testing.T, metadata string, mark int64) {
		if mark < 0 {
			return
		}
		p, err := decodeProgress(metadata, mark)
		if err != nil {
			return
		}
		at := mark
		for _, g := range p.Gaps {
			if g.From <= at || g.To <= g.From || g.To > p.Reach {
				t.Fatalf("%q at %d: gap %v of %+v", metadata, mark, g, p)
			}
			at = g.To
		}
		again, err := decodeProgress(p.encode(mark), mark)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
