package main

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	sessionTimeout = 4 * time.Second
	silenceMax     = 3 * time.Second        // a link that says nothing for so long is given up
	roundPause     = 200 * time.Millisecond // between two rounds over all servers
)

var open = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

// rotation offers the servers in turn, for ever; each client begins elsewhere.
type rotation struct {
	guard     sync.Mutex
	servers   []string
	at, tried int
}

func (r *rotation) Init([]string) error { return nil }
func (r *rotation) Len() int            { return len(r.servers) }

func (r *rotation) Next() (string, bool) {
	r.guard.Lock()
	defer r.guard.Unlock()
	if r.tried++; r.tried > len(r.servers) {
		time.Sleep(roundPause)
		r.tried = 1
	}
	r.at = (r.at + 1) % len(r.servers)
	return r.servers[r.at], false
}

func (r *rotation) Connected() {
	r.guard.Lock()
	r.tried = 0
	r.guard.Unlock()
}

// impatient bounds every wait for bytes, the one for a connect reply too.
type impatient struct{ net.Conn }

func (c impatient) SetReadDeadline(at time.Time) error {
	if latest := time.Now().Add(silenceMax); at.IsZero() || at.After(latest) {
		at = latest
	}
	return c.Conn.SetReadDeadline(at)
}

func dial(network, address string, _ time.Duration) (net.Conn, error) {
	link, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return nil, err
	}
	return impatient{link}, nil
}

// connect opens a session on any of the servers, the given one first.
func connect(servers []string, first int) (*zk.Conn, error) {
	r := &rotation{servers: servers, at: first - 1 + len(servers)}
	c, events, err := zk.Connect(servers, sessionTimeout, zk.WithLogger(quiet{}), zk.WithHostProvider(r), zk.WithDialer(dial))
	if err != nil {
		return nil, err
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c, nil
			}
		case <-limit:
			c.Close()
			return nil, errors.New("no session within 20 s")
		}
	}
}

// judged says what an error means for the operation.
func judged(err error) outcome {
	switch {
	case err == nil:
		return done
	case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrNoNode):
		return refused
	default:
		return unknown
	}
}
