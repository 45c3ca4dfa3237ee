package worker

import (
	"fmt"
	"testing"
	"time"

	"consent-worker/hubspot"
)

// testLedger has partitions that a clean life left at their beginning, and is open.
func testLedger(t *testing.T, partitions int, size int, change ...func(*Assignment)) (*Ledger, time.Time) {
	t.Helper()
	now := time.Now()
	assigned := make([]Assignment, partitions)
	for i := range assigned {
		assigned[i] = Assignment{Partition: int32(i), First: true}
		for _, f := range change {
			f(&assigned[i])
		}
	}
	l := NewLedger(Limits{BatchSize: size, Linger: time.Second, Window: 100, WindowBytes: 1 << 20, MaxAttempts: 3, Afterlife: time.Minute}, now, assigned)
	l.Committed(l.Marks(now, false))
	return l, now
}

// admit appends changes of one partition: an address and S or U each.
func admit(t *testing.T, l *Ledger, now time.Time, p int32, from int64, words ...string) {
	t.Helper()
	events := make([]Event, len(words))
	for i, w := range words {
		status := hubspot.Subscribed
		if w[0] == 'U' {
			status = hubspot.Unsubscribed
		}
		events[i] = Decode(Record{Partition: p, Offset: from + int64(i), Time: now, Value: change(w[1:]+"@example.com", 1, status, "")})
		if events[i].Cause != "" {
			t.Fatal(events[i].Cause)
		}
	}
	l.Admit(now, p, events, from+int64(len(words)), from+int64(len(words)))
}

// words lists a batch as admit takes it.
func words(b *Batch) (all []string) {
	if b == nil {
		return nil
	}
	for _, in := range b.Inputs {
		all = append(all, string(in.Status[:1])+in.SubscriberID[:len(in.SubscriberID)-len("@example.com")])
	}
	return all
}

func verdicts(v Verdict, n int) *Judgement {
	j := &Judgement{Reaction: ReactionPartial, Culprit: -1, Verdicts: make([]Verdict, n), Accepted: v == VerdictWritten, Refusals: map[int]Refusal{}}
	for i := range j.Verdicts {
		j.Verdicts[i] = v
	}
	return j
}

func wantWords(t *testing.T, b *Batch, want ...string) {
	t.Helper()
	if got := words(b); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("cut %v, want %v", got, want)
	}
}

func TestLedgerSendsTheNewestWithdrawalOfAKeyBeforeAnythingElse(t *testing.T) {
	l, now := testLedger(t, 1, 10)
	admit(t, l, now, 0, 0, "Sa", "Ua", "Sa", "Ua", "Sa", "Sa")
	b := l.Cut(now, 10)
	wantWords(t, b, "Ua")
	if got := l.Cut(now, 10); got != nil {
		t.Fatalf("a key in two requests: %v", words(got))
	}
	l.Settle(now, b, verdicts(VerdictWritten, 1))
	b = l.Cut(now, 10)
	wantWords(t, b, "Sa")
	l.Settle(now, b, verdicts(VerdictWritten, 1))
	if r := l.Report(); r.Ended[Written] != 2 || r.Ended[Superseded] != 4 || l.Unsettled() != 0 || len(l.chains) != 0 {
		t.Errorf("ended %v, %d chains", r.Ended, len(l.chains))
	}
	if m := l.Marks(now, false)[0]; m.offset != 6 {
		t.Errorf("mark %d", m.offset)
	}
}

func TestLedgerOwesOlderWithdrawalsAgainWhenTheNewestIsRefused(t *testing.T) {
	l, now := testLedger(t, 1, 10)
	admit(t, l, now, 0, 0, "Ua", "Sa", "Ua", "Sa")
	b := l.Cut(now, 10)
	j := verdicts(VerdictRejected, 1)
	l.Settle(now, b, j)
	if got := l.Cut(now, 10); got != nil {
		t.Fatalf("cut %v while the dead letter is not acknowledged", words(got))
	}
	_, of := l.Dead(now)
	l.Buried(now, of)
	b = l.Cut(now, 10)
	wantWords(t, b, "Ua") // the older one; the grant between them went with the refused one
	l.Settle(now, b, verdicts(VerdictWritten, 1))
	wantWords(t, l.Cut(now, 10), "Sa")
	if r := l.Report(); r.Ended != [outcomes]int{Written: 1, Superseded: 1, Buried: 1} {
		t.Errorf("ended %v", r.Ended)
	}
}

func TestLedgerKeepsATenthForGrants(t *testing.T) {
	l, now := testLedger(t, 1, 10)
	for i := range 50 {
		admit(t, l, now, 0, int64(2*i), fmt.Sprint("Uu", i), fmt.Sprint("Sg", i))
	}
	grants := 0
	for range 3 {
		b := l.Cut(now, 10)
		for _, w := range words(b) {
			if w[0] == 'S' {
				grants++
			}
		}
	}
	if grants != 3 {
		t.Errorf("%d grants in three batches of ten, want 3", grants)
	}
	l, now = testLedger(t, 1, 1)
	for i := range 30 {
		admit(t, l, now, 0, int64(2*i), fmt.Sprint("Uu", i), fmt.Sprint("Sg", i))
	}
	grants = 0
	for range 20 {
		if words(l.Cut(now, 1))[0][0] == 'S' {
			grants++
		}
	}
	if grants != 2 {
		t.Errorf("%d grants in twenty batches of one, want 2", grants)
	}
}

func TestLedgerIsDueByLingerAndSooner(t *testing.T) {
	l, now := testLedger(t, 1, 3)
	if due := l.Due(now); !due.IsZero() {
		t.Errorf("an empty ledger is due at %v", due)
	}
	admit(t, l, now, 0, 0, "Sa")
	if due := l.Due(now); !due.Equal(now.Add(time.Second)) {
		t.Errorf("a grant is due after %v", due.Sub(now))
	}
	admit(t, l, now, 0, 1, "Ub")
	if due := l.Due(now); !due.Equal(now.Add(100 * time.Millisecond)) {
		t.Errorf("a withdrawal is due after %v", due.Sub(now))
	}
	admit(t, l, now, 0, 2, "Sc")
	if due := l.Due(now); !due.Equal(now) {
		t.Errorf("a full batch is due after %v", due.Sub(now))
	}
}

func TestLedgerSendsNothingBeforeTheFirstCommit(t *testing.T) {
	now := time.Now()
	l := NewLedger(Limits{BatchSize: 1, Window: 10, WindowBytes: 1 << 20}, now, []Assignment{{First: true}})
	if limit, ok := l.Limit(0); ok || !l.Urgent() {
		t.Errorf("may read to %d before the first commit", limit)
	}
	l.Committed(l.Marks(now, false))
	if limit, ok := l.Limit(0); !ok || limit != 10 {
		t.Errorf("may read to %d, %v after it, want 10", limit, ok)
	}
}

func TestLedgerReadsAheadBeforeItCutsGrants(t *testing.T) {
	was := Progress{Reach: 3, Clean: true, Gaps: []Span{{2, 3}}}
	l, now := testLedger(t, 1, 10, func(a *Assignment) { a.First, a.Metadata, a.End = false, was.encode(0), 5 })
	admit(t, l, now, 0, 0, "Sa", "Sb")
	if b := l.Cut(now, 10); b != nil {
		t.Fatalf("cut %v before the inherited reach was read", words(b))
	}
	admit(t, l, now, 0, 2, "Ua") // settled by the life before: it silences the grant
	wantWords(t, l.Cut(now, 10), "Sb")
	if r := l.Report(); r.Ended != [outcomes]int{Superseded: 1} {
		t.Errorf("ended %v", r.Ended)
	}
}

func TestLedgerLetsWithdrawalsWaitForTheReadAheadOnlySeconds(t *testing.T) {
	l, now := testLedger(t, 1, 10, func(a *Assignment) {
		a.First, a.Metadata, a.End = false, Progress{Reach: 50, Clean: true}.encode(0), 50
	})
	admit(t, l, now, 0, 0, "Sa", "Ub")
	if due := l.Due(now); !due.Equal(now.Add(earlyWithdrawal)) {
		t.Errorf("due after %v", due.Sub(now))
	}
	wantWords(t, l.Cut(now.Add(earlyWithdrawal), 10), "Ub")
}

func TestLedgerEchoesAWithdrawalInShadow(t *testing.T) {
	l, now := testLedger(t, 1, 10)
	admit(t, l, now, 0, 0, "Sa")
	l.Settle(now, l.Cut(now, 10), &Judgement{Reaction: ReactionUnanswered, Unanswered: true, Culprit: -1})
	admit(t, l, now, 0, 1, "Ua", "Sb")
	l.Settle(now, l.Cut(now, 10), verdicts(VerdictWritten, 2))
	if m := l.Marks(now, true)[0]; m.offset != 0 || m.Clean || len(m.Gaps) != 1 {
		t.Errorf("in shadow: %+v", m)
	}
	if b := l.Cut(now.Add(59*time.Second), 10); b != nil {
		t.Fatalf("cut %v in the shadow", words(b))
	}
	now = now.Add(time.Minute)
	b := l.Cut(now, 10)
	wantWords(t, b, "Ua")
	l.Settle(now, b, verdicts(VerdictWritten, 1))
	if m := l.Marks(now, true)[0]; m.offset != 3 || !m.Clean {
		t.Errorf("after the shadow: %+v", m)
	}
}

func TestLedgerLeavesAnInputInFlightToItsAnswer(t *testing.T) {
	gap := Progress{Reach: 9, Clean: true, Gaps: []Span{{5, 6}}}
	l, now := testLedger(t, 2, 10, func(a *Assignment) {
		a.First, a.Metadata, a.End = false, Progress{Clean: true}.encode(0), 0
		if a.Partition == 1 {
			a.Metadata, a.End = gap.encode(0), 9
		}
	})
	admit(t, l, now, 0, 0, "Sa")
	b := l.Cut(now, 10)
	wantWords(t, b, "Sa")
	admit(t, l, now, 1, 0, "Sb", "Sc", "Sd", "Se", "Sf", "Ua") // the same key on another partition, settled before
	admit(t, l, now, 0, 1, "Sa")
	l.Settle(now, b, verdicts(VerdictRetry, 1))
	wantWords(t, l.Cut(now, 10), "Sa") // the newer one
	if r := l.Report(); r.Ended[Superseded] != 1 || r.Violations != 0 || l.Marks(now, false)[0].offset != 1 {
		t.Errorf("ended %v, %d violations, mark %d", r.Ended, r.Violations, l.Marks(now, false)[0].offset)
	}
}
