package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
)

var errCut = errors.New("connections are cut")

// connections opens connections and remembers them, so that a wait that nothing else ends can be cut short: kafka-go
// has no other way out of a JoinGroup that the coordinator does not answer, nor out of a produce request.
type connections struct {
	via func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	open map[*connection]struct{} // nil once cut
}

type connection struct {
	net.Conn
	of *connections
}

func newConnections(via func(context.Context, string, string) (net.Conn, error)) *connections {
	return &connections{via: via, open: map[*connection]struct{}{}}
}

func (cs *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := cs.via(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &connection{nc, cs}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open == nil {
		_ = nc.Close()
		return nil, errCut
	}
	cs.open[c] = struct{}{}
	return c, nil
}

// cut closes every connection and lets nobody open another.
func (cs *connections) cut() {
	cs.mu.Lock()
	open := cs.open
	cs.open = nil
	cs.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
