package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"consent-worker/worker"
)

// maxTogether is how large a dead letter may be to share a batch with others. A broker refuses a batch that is too
// large as a whole, so larger ones go alone.
const maxTogether = 256 << 10

// The headers of a dead letter. One of these names that the record already carries is from an earlier round, and is
// replaced.
const (
	headReason        = "dead-letter-reason"
	headCause         = "dead-letter-cause"
	headTopic         = "dead-letter-topic"
	headPartition     = "dead-letter-partition"
	headOffset        = "dead-letter-offset"
	headAttempts      = "dead-letter-attempts"
	headCategory      = "dead-letter-category"
	headCorrelationID = "dead-letter-correlation-id"
	headAt            = "dead-letter-at"
	headRedrives      = "dead-letter-redrives"
	headTruncated     = "dead-letter-truncated"
)

var ourHeaders = []string{
	headReason, headCause, headTopic, headPartition, headOffset, headAttempts,
	headCategory, headCorrelationID, headAt, headRedrives, headTruncated,
}

// form is how much of its event a dead letter still carries.
type form int

const (
	whole form = iota
	withoutValue
	withoutHeaders // and without the value
)

// letter is a dead letter on its way.
type letter struct {
	*worker.DeadLetter
	form  form
	alone bool // in a batch of its own
}

func (c *Cluster) writer(batch int, linger time.Duration, bytes int64) *kafka.Writer {
	return &kafka.Writer{
		Addr: c.addr, Topic: c.cfg.DeadLetterTopic, Transport: c.transport,
		Balancer:     kafka.Murmur2Balancer{}, // as Kafka's own producers choose: the partition that the event's key had
		RequiredAcks: kafka.RequireAll,        // the default is none
		BatchSize:    batch, BatchTimeout: linger, BatchBytes: bytes,
		MaxAttempts: 1, // Bury tries again itself, and can be interrupted
		ReadTimeout: c.cfg.timeout(), WriteTimeout: c.cfg.timeout(),
	}
}

// Bury implements worker.DeadLetters. What failed is sent again, with growing pauses; each new reason is logged. A
// letter that is too large for the topic goes without its value, and if that is not enough without the event's headers.
func (c *Cluster) Bury(ctx context.Context, letters []worker.DeadLetter) error {
	left := make([]letter, len(letters))
	for i := range letters {
		left[i] = letter{DeadLetter: &letters[i]}
	}
	var told said
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		var err error
		if left, err = c.write(ctx, left); len(left) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d dead letters not acknowledged: %w", len(left), len(letters), context.Cause(ctx))
		}
		if err == nil {
			continue // only too large: the next form goes at once
		}
		if told.changed(because(err)) {
			c.log.Warn("dead letters wait", slog.Int("letters", len(left)), slog.String("topic", c.cfg.DeadLetterTopic), slog.String("reason", told.last))
		}
		pause(ctx, wait)
	}
}

// write sends each letter once and returns those that are still to be sent, the too large ones in a smaller form, and
// an error if there is a reason to wait before.
func (c *Cluster) write(ctx context.Context, letters []letter) (left []letter, wait error) {
	var together, alone []letter
	var batch, singles []kafka.Message
	for _, l := range letters {
		m := c.message(l)
		if l.alone = l.alone || size(&m) > maxTogether; l.alone {
			alone, singles = append(alone, l), append(singles, m)
		} else {
			together, batch = append(together, l), append(batch, m)
		}
	}
	var errs []error
	if len(batch) > 0 {
		errs = slices.Concat(errs, results(c.letters.WriteMessages(ctx, batch...), len(batch)))
	}
	if len(singles) > 0 {
		errs = slices.Concat(errs, results(c.alone.WriteMessages(ctx, singles...), len(singles)))
	}
	for i, l := range slices.Concat(together, alone) {
		switch err := errs[i]; {
		case err == nil:
		case !tooLarge(err):
			left, wait = append(left, l), err
		case !l.alone: // perhaps a neighbour was
			l.alone = true
			left = append(left, l)
		case l.form < withoutHeaders:
			l.form++
			left = append(left, l)
		default: // nothing is left to leave behind: only a change of the topic helps
			left, wait = append(left, l), err
		}
	}
	return left, wait
}

func tooLarge(err error) bool {
	_, local := errors.AsType[kafka.MessageTooLargeError](err)
	return local || errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge)
}

// results spreads what WriteMessages returned over its n messages.
func results(err error, n int) []error {
	if each, ok := errors.AsType[kafka.WriteErrors](err); ok && len(each) == n {
		return each
	}
	return slices.Repeat([]error{err}, n)
}

func size(m *kafka.Message) int {
	n := 64 + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += 8 + len(h.Key) + len(h.Value)
	}
	return n
}

// message is the letter as it is written.
func (c *Cluster) message(l letter) kafka.Message {
	r := &l.Record
	m := kafka.Message{Key: r.Key, Value: r.Value, Time: r.Time, Headers: make([]kafka.Header, 0, len(r.Headers)+len(ourHeaders))}
	redrives := uint64(0)
	for _, h := range r.Headers {
		if h.Key == headRedrives {
			redrives, _ = strconv.ParseUint(string(h.Value), 10, 32) // 0 when it is no number
		}
		if l.form < withoutHeaders && !slices.Contains(ourHeaders, h.Key) {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	add := func(key, value string) { m.Headers = append(m.Headers, kafka.Header{Key: key, Value: []byte(value)}) }
	add(headReason, string(l.Reason))
	add(headCause, l.Cause)
	add(headTopic, c.cfg.Topic)
	add(headPartition, strconv.Itoa(int(r.Partition)))
	add(headOffset, strconv.FormatInt(r.Offset, 10))
	add(headAttempts, strconv.Itoa(l.Attempts))
	if l.Category != "" {
		add(headCategory, l.Category)
	}
	if l.CorrelationID != "" {
		add(headCorrelationID, l.CorrelationID)
	}
	add(headAt, l.At.UTC().Format(time.RFC3339Nano))
	add(headRedrives, strconv.FormatUint(redrives, 10))
	switch l.form {
	case withoutValue:
		m.Value = nil
		add(headTruncated, "value")
	case withoutHeaders:
		m.Value = nil
		add(headTruncated, "value,headers")
	}
	return m
}
