package main

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	keys       = 8
	initial    = "initial"
	registrars = 4 // clients that write and read registers
	readers    = 2 // clients that only read, each register in turn
	makers     = 3 // clients that create and delete nodes: one of ephemeral ones
	pace       = 8 * time.Millisecond
	joinLimit  = 30 * time.Second
)

// made is a node that a client created, and perhaps deleted.
type made struct {
	path       string
	zxid       int64 // of its creation, 0 when not known
	outcome    outcome
	wasDeleted bool
	deleted    outcome
	owner      int64 // the session of an ephemeral node
}

// load is what all clients of a run do, and what they saw.
type load struct {
	servers []string
	began   time.Time
	stop    chan struct{}
	wait    sync.WaitGroup
	lastAck atomic.Int64 // when the newest acknowledged write began, in nanoseconds of the run

	guard   sync.Mutex
	history []op
	nodes   []made
	owners  []*zk.Conn // sessions of ephemeral nodes, kept open
	broken  error
}

func (l *load) now() int64 { return int64(time.Since(l.began)) }

func register0(key int) string { return fmt.Sprintf("/register/%d", key) }

func newLoad(servers []string) (*load, error) {
	l := &load{servers: servers, began: time.Now(), stop: make(chan struct{})}
	c, err := connect(servers, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	paths := []string{"/register", "/fence", "/sequence", "/unique", "/ephemeral"}
	for key := 0; key < keys; key++ {
		paths = append(paths, register0(key))
	}
	for client := 0; client < registrars; client++ {
		paths = append(paths, fmt.Sprintf("/fence/%d", client))
	}
	for _, path := range paths {
		if _, err := c.Create(path, []byte(initial), 0, open); err != nil {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
	}
	return l, nil
}

func (l *load) start() {
	for i := 0; i < registrars; i++ {
		l.run(i, l.registrar)
	}
	for i := 0; i < readers; i++ {
		l.run(registrars+i, l.reader)
	}
	for i := 0; i < makers; i++ {
		l.run(registrars+readers+i, l.maker)
	}
}

func (l *load) run(client int, work func(client int) error) {
	l.wait.Add(1)
	go func() {
		defer l.wait.Done()
		if err := work(client); err != nil {
			l.guard.Lock()
			l.broken = fmt.Errorf("client %d: %w", client, err)
			l.guard.Unlock()
		}
	}()
}

// finish ends the clients' work; the sessions of ephemeral nodes stay.
func (l *load) finish() error {
	close(l.stop)
	ended := make(chan struct{})
	go func() { l.wait.Wait(); close(ended) }()
	select {
	case <-ended:
		return l.broken
	case <-time.After(joinLimit):
		return fmt.Errorf("a client still waits for an answer after %v", joinLimit)
	}
}

// paused waits a little; false when the run is over.
func (l *load) paused() bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(pace/2 + time.Duration(rand.Int63n(int64(pace)))):
		return true
	}
}

func (l *load) record(o op) {
	if o.writes() && o.outcome == done && o.call > l.lastAck.Load() {
		l.lastAck.Store(o.call)
	}
	l.guard.Lock()
	l.history = append(l.history, o)
	l.guard.Unlock()
}

func (l *load) keep(m made) {
	l.guard.Lock()
	l.nodes = append(l.nodes, m)
	l.guard.Unlock()
}

// registrar writes, swaps and reads registers at random.
func (l *load) registrar(client int) error {
	c, err := connect(l.servers, client)
	if err != nil {
		return err
	}
	defer c.Close()
	versions := [keys]int32{}
	for n := 0; l.paused(); n++ {
		o := op{client: client, kind: kind(rand.Intn(int(plain) + 1)), key: rand.Intn(keys)}
		if o.writes() {
			o.value, o.expect = fmt.Sprintf("%d-%d", client, n), -1
		}
		if o.kind == swap {
			o.expect = versions[o.key]
		}
		o = l.perform(c, o)
		if o.outcome == done {
			versions[o.key] = o.version
		}
		l.record(o)
	}
	return nil
}

// reader reads plainly; its session must never go back.
func (l *load) reader(client int) error {
	c, err := connect(l.servers, client)
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 0; l.paused(); n++ {
		l.record(l.perform(c, op{client: client, kind: plain, key: n % keys}))
	}
	return nil
}

// perform carries an operation out and notes what it saw, and in which session.
func (l *load) perform(c *zk.Conn, o op) op {
	path, session := register0(o.key), c.SessionID()
	var stat *zk.Stat
	var err error
	o.call = l.now()
	switch o.kind {
	case write, swap:
		stat, err = c.Set(path, []byte(o.value), o.expect)
	case fenced:
		if stat, err = c.Set(fmt.Sprintf("/fence/%d", o.client), nil, -1); err == nil {
			o.fence = stat.Mzxid
		}
	case synced:
		_, err = c.Sync(path)
	}
	if err == nil && !o.writes() {
		var data []byte
		data, stat, err = c.Get(path)
		o.got = string(data)
	}
	o.ret = l.now()
	o.outcome = judged(err)
	if o.outcome == done {
		o.version, o.zxid = stat.Version, stat.Mzxid
	}
	if session != 0 && session == c.SessionID() {
		o.session = session
	} else if !o.writes() {
		o.outcome = unknown // it may have been read in another session than it was fenced in
	}
	return o
}

// maker creates sequence nodes and unique nodes, deletes some; the last of the makers makes ephemeral ones.
func (l *load) maker(client int) error {
	c, err := connect(l.servers, client)
	if err != nil {
		return err
	}
	ephemeral := client == registrars+readers+makers-1
	if ephemeral {
		l.guard.Lock()
		l.owners = append(l.owners, c)
		l.guard.Unlock()
	} else {
		defer c.Close()
	}
	for n := 0; l.paused(); n++ {
		path, flags := fmt.Sprintf("/unique/%d-%d", client, n), int32(0)
		switch {
		case ephemeral:
			path, flags = fmt.Sprintf("/ephemeral/%d-%d", client, n), zk.FlagEphemeral
		case n%2 == 0:
			path, flags = "/sequence/n-", zk.FlagSequence
		}
		l.keep(l.make(c, path, flags, n%5 == 1))
	}
	return nil
}

func (l *load) make(c *zk.Conn, path string, flags int32, remove bool) made {
	name, session := path, c.SessionID()
	created, err := c.Create(path, nil, flags, open)
	m := made{path: name, outcome: judged(err)}
	if m.outcome == done {
		m.path = created
	}
	if flags&zk.FlagEphemeral != 0 {
		if m.owner = session; session != c.SessionID() {
			m.outcome = unknown
		}
	}
	if remove && m.outcome == done {
		m.wasDeleted, m.deleted = true, judged(c.Delete(created, -1))
	}
	return m
}
