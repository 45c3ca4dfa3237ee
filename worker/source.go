package worker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Record is one record of the source topic as it was fetched. A nil value is a tombstone; an empty one is not.
// Nobody changes what Key, Value and Headers point to.
type Record struct {
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Header is one header of a record, byte for byte.
type Header struct {
	Key   string
	Value []byte
}

// size is what the record weighs in its partition's window, in bytes. The constant stands for the ledger's own
// bookkeeping of one event, so that a million tiny records are bounded as well.
func (r *Record) size() int {
	n := 256 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// Assignment is what a generation inherits with one partition.
type Assignment struct {
	Partition int32
	Start     int64  // the first offset to read: the committed one, or where a life without one begins
	Metadata  string // of the committed offset, as an earlier life wrote it; empty when there is none
	First     bool   // no offset is committed: no earlier life sent anything of this partition
	End       int64  // the end of the log as asked after the assignment
}

// Fetched is what one fetch found.
type Fetched struct {
	Records []Record // in offset order; may be empty although Next moved: markers, aborted and compacted records
	Next    int64    // the offset to ask for next; never below the one asked for
	End     int64    // the end of what may be read (last stable offset); -1 when the broker did not say
}

// Commit is what the coordinator keeps for one partition.
type Commit struct {
	Offset   int64
	Metadata string
}

// Generation is one assignment of partitions, for as long as it lasts. Its methods may be called from any goroutine.
type Generation interface {
	// ID is the generation's number in the group.
	ID() int32
	// Assignments lists the partitions of this generation. It may be empty.
	Assignments() []Assignment
	// Partitions is how many partitions the topic has, whoever owns them.
	Partitions() int
	// Fetch returns records of the partition from offset on, waiting a moment for the first. It retries nothing; an
	// *OutOfRangeError says that the log does not hold the offset, ErrTopicGone that there is no such topic any more.
	// At most one call for each partition is under way.
	Fetch(ctx context.Context, partition int32, offset int64) (Fetched, error)
	// Commit returns nil when the coordinator has acknowledged every partition's commit. It is called by one goroutine
	// at a time. A *MetadataTooLargeError names partitions that were refused for their metadata alone while the others were
	// acknowledged. Any other error leaves open what was stored, and ends the life: see ErrFenced.
	Commit(ctx context.Context, commits map[int32]Commit) error
}

// ErrFenced says that the group has given the partitions to somebody else: nothing may be sent any more.
var ErrFenced = errors.New("fenced: the group has moved on to another generation")

// ErrTopicGone says that the source topic does not exist any more.
var ErrTopicGone = errors.New("the source topic does not exist any more")

// OutOfRangeError says that the log does not hold the offset asked for.
type OutOfRangeError struct {
	Partition          int32
	Offset, Start, End int64 // asked for; what the log holds is [Start, End), -1 when unknown
}

func (e *OutOfRangeError) Error() string {
	return fmt.Sprintf("partition %d: offset %d is out of range, the log holds %d to %d", e.Partition, e.Offset, e.Start, e.End)
}

// MetadataTooLargeError says which partitions' commits the broker refused for the size of their metadata alone.
type MetadataTooLargeError struct{ Partitions []int32 }

func (e *MetadataTooLargeError) Error() string {
	return fmt.Sprintf("commit metadata too large for partitions %v", e.Partitions)
}

// Reason says why an event became a dead letter.
type Reason string

// The reasons, as the header dead-letter-reason and the label reason spell them.
const (
	ReasonInvalidEvent Reason = "invalid_event" // the event cannot be an input
	ReasonRejected     Reason = "rejected"      // HubSpot refused the input for its own fault
	ReasonUnaccounted  Reason = "unaccounted"   // neither a result nor an error ever told of the input
	ReasonStaleRedrive Reason = "stale_redrive" // a newer event of the key was found for a redriven one
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonInvalidEvent, ReasonRejected, ReasonUnaccounted, ReasonStaleRedrive}
}

// DeadLetter is a record that no further attempt can settle, and why.
type DeadLetter struct {
	Record        Record
	Reason        Reason
	Cause         string // for people; no address in it
	Attempts      int    // requests that carried the input
	Category      string // HubSpot's, may be empty
	CorrelationID string // HubSpot's, may be empty
	At            time.Time
}

// DeadLetters is the dead-letter topic.
type DeadLetters interface {
	// Bury appends the letters. When it returns nil, Kafka has acknowledged every one of them on all in-sync replicas.
	// It tries again until ctx ends; after an error some letters may have been appended nevertheless.
	Bury(ctx context.Context, letters []DeadLetter) error
}
