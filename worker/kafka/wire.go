package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxAnswer bounds an answer's size: a length beyond it is not Kafka's. One record batch may be larger than a fetch
// asked for.
const maxAnswer = 256 << 20

// route chooses the broker for a request, from the cluster as the Transport sees it.
type route func(protocol.Cluster) (protocol.Broker, error)

func anyBroker(protocol.Cluster) (protocol.Broker, error) { return protocol.Broker{ID: -1}, nil }

func broker(id int32) route {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		b, ok := c.Brokers[id]
		if !ok {
			return protocol.Broker{}, kafka.BrokerNotAvailable
		}
		return b, nil
	}
}

func leader(topic string, partition int32) route {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		p, ok := c.Topics[topic].Partitions[partition]
		if !ok {
			return protocol.Broker{}, kafka.UnknownTopicOrPartition
		}
		b, ok := c.Brokers[p.Leader]
		if !ok {
			return protocol.Broker{}, kafka.LeaderNotAvailable
		}
		return b, nil
	}
}

// exchange sends franz-go's request over a connection of kafka-go's Transport and returns franz-go's response. ctx must
// have a deadline: nothing else ends the wait for a broker that is gone without a word.
func exchange[R kmsg.Response](ctx context.Context, c *Cluster, req kmsg.Request, to route) (R, error) {
	m := &message{Request: req, client: c.cfg.ClientID, to: to}
	var none R
	if _, err := c.transport.RoundTrip(ctx, c.addr, m); err != nil {
		return none, err
	}
	return m.response.(R), nil
}

// message is a request that writes itself and reads its answer, on a connection that nobody else uses meanwhile.
type message struct {
	kmsg.Request
	client   string
	to       route
	response kmsg.Response
}

var (
	_ protocol.BrokerMessage = (*message)(nil)
	_ protocol.RawExchanger  = (*message)(nil)
)

// ApiKey is asked by the Transport, to find the version that both sides speak.
func (m *message) ApiKey() protocol.ApiKey { return protocol.ApiKey(m.Key()) }

// Broker is asked by the Transport, to find the connection.
func (m *message) Broker(c protocol.Cluster) (protocol.Broker, error) { return m.to(c) }

// Required takes the version. kafka-go knows none with flexible headers for the requests sent here; if one day it
// does, the last inflexible one is still spoken.
func (m *message) Required(versions map[protocol.ApiKey]int16) bool {
	m.SetVersion(versions[m.ApiKey()])
	for m.IsFlexible() && m.GetVersion() > 0 {
		m.SetVersion(m.GetVersion() - 1)
	}
	return true
}

// RawExchange is called by the Transport with the connection.
func (m *message) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 1 // one request at a time; a connection with a broken one is closed
	out := kmsg.NewRequestFormatter(kmsg.FormatterClientID(m.client)).AppendRequest(nil, m.Request, correlation)
	if _, err := rw.Write(out); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, early(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 4 || size > maxAnswer || binary.BigEndian.Uint32(head[4:]) != correlation {
		return nil, errors.New("the answer is not Kafka's")
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, early(err)
	}
	res := m.ResponseKind()
	res.SetVersion(m.GetVersion())
	if err := res.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("answer to %s: %w", kmsg.NameForKey(m.Key()), err)
	}
	m.response = res
	return m, nil
}

// early makes clear that a connection which ends inside an answer is an error.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
