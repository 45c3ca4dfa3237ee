package worker

import "time"

// Class tells inputs that take consent away from all others. An opt-out is never late for an opt-in's sake.
type Class int8

// The classes.
const (
	Grant Class = iota
	Withdrawal
	classes = 2
)

func (c Class) String() string {
	if c == Withdrawal {
		return "withdrawal"
	}
	return "grant"
}

// Classes lists every class.
func Classes() []Class { return []Class{Withdrawal, Grant} }

// Outcome is how an event ended. Every event ends as exactly one in one life (invariant 5).
type Outcome int8

// The outcomes.
const (
	Written    Outcome = iota // HubSpot holds it
	Superseded                // a newer input of its key was written, or a withdrawal over it was refused
	Buried                    // its dead letter is acknowledged
	Tombstone                 // a null value: nothing is owed
	outcomes   = 4
)

func (o Outcome) String() string {
	return [outcomes]string{"written", "superseded", "dead_letter", "tombstone"}[o]
}

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{Written, Superseded, Buried, Tombstone} }

// CommitOutcome is what became of a commit.
type CommitOutcome string

// The outcomes of commits.
const (
	CommitAcknowledged CommitOutcome = "acknowledged"
	CommitTrimmed      CommitOutcome = "trimmed"    // acknowledged after its gaps were left out for a partition
	CommitFenced       CommitOutcome = "fenced"     // refused: the group has moved on
	CommitUnanswered   CommitOutcome = "unanswered" // no answer: it may land late
)

// CommitOutcomes lists every outcome of a commit.
func CommitOutcomes() []CommitOutcome {
	return []CommitOutcome{CommitAcknowledged, CommitTrimmed, CommitFenced, CommitUnanswered}
}

// Observer is told the facts as they happen. Its methods are called on the loop's goroutine of Run and must not block;
// several generations of one process call it one after the other.
type Observer interface {
	Fetched(events int)
	Ended(outcome Outcome, events int)
	// Propagated is told of each input that HubSpot accepted: from occurredAt, else the record's time, to the answer.
	Propagated(class Class, took time.Duration)
	DeadLettered(reason Reason, events int)
	Answered(reaction Reaction, inputs int, took time.Duration)
	Closed(why Closure, d time.Duration)
	Committed(outcome CommitOutcome)
	// Missing is told when the log does not hold what is owed: records between the mark and the log's start.
	Missing(partition int32, records int64)
	// Foreign is told when a committed offset carries metadata that no life of this program wrote.
	Foreign(partition int32)
	OrderViolated()
	// Snapshot is told once a second and at the end of a life. The observer keeps s; Run does not touch it again.
	Snapshot(s *Snapshot)
}

// Snapshot is the state of one life at one moment, for gauges, health and the status page.
type Snapshot struct {
	At         time.Time
	Generation int32
	Began      time.Time
	Draining   bool
	Over       bool // the life has ended; what it held was let go
	InFlight   int
	Burying    int // events that wait for their dead letters to be acknowledged
	Partitions []PartitionSnapshot
	Unsettled  [classes]int
	Oldest     [classes]time.Time // occurredAt, else record time, of the oldest unsettled input; zero when none
	Gate       GateSnapshot
	CommitAt   time.Time // of the last acknowledged commit
}

// PartitionSnapshot is one assigned partition in a Snapshot. Offsets; Bytes is what its window holds.
type PartitionSnapshot struct {
	Partition int32
	Acked     int64 // the last acknowledged commit
	Mark      int64 // the committable offset
	Position  int64 // the next offset to be admitted
	Reach     int64 // the acknowledged reach
	End       int64 // the end of the log as last seen
	Unsettled int
	Bytes     int
	Stopped   string // why it is not read any more; empty when it is
}

// Lag is how many offsets of the partition are not known to be settled.
func (p PartitionSnapshot) Lag() int64 { return max(0, p.End-p.Mark) }
