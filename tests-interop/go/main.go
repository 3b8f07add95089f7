// Checks a server with the Go client github.com/go-zookeeper/zk.
// ZK_HOSTPORT names the servers, with commas between them, RESULTS a file for lines PASS|FAIL, tab, name.
package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

var open = zk.WorldACL(zk.PermAll)

func servers() []string {
	return strings.Split(os.Getenv("ZK_HOSTPORT"), ",")
}

func connect() (*zk.Conn, error) {
	c, events, err := zk.Connect(servers(), 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return nil, err
	}
	limit := time.After(10 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c, nil
			}
		case <-limit:
			return nil, errors.New("no session within 10 s")
		}
	}
}

func want(ok bool, format string, args ...interface{}) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func code(got, wanted error) error {
	return want(errors.Is(got, wanted), "got %v, want %v", got, wanted)
}

func createGetSet(c *zk.Conn) error {
	_, e1 := c.Create("/go/a", []byte("1"), 0, open)
	data, stat, e2 := c.Get("/go/a")
	if err := first(e1, e2, want(string(data) == "1" && stat.Version == 0 && stat.DataLength == 1, "%q %+v", data, stat)); err != nil {
		return err
	}
	stat, e3 := c.Set("/go/a", []byte("22"), 0)
	if err := first(e3, want(stat.Version == 1, "%+v", stat)); err != nil {
		return err
	}
	_, bad := c.Set("/go/a", nil, 0)
	_, twice := c.Create("/go/a", nil, 0, open)
	_, _, none := c.Get("/go/none")
	return first(code(bad, zk.ErrBadVersion), code(twice, zk.ErrNodeExists), code(none, zk.ErrNoNode))
}

func sequences(c *zk.Conn) error {
	p1, e1 := c.Create("/go/s-", nil, zk.FlagSequence, open)
	p2, e2 := c.Create("/go/s-", nil, zk.FlagSequence|zk.FlagEphemeral, open)
	return first(e1, e2, want(len(p1) == len("/go/s-0000000000") && p1 < p2, "%s %s", p1, p2))
}

func children(c *zk.Conn) error {
	for _, name := range []string{"/go/kids", "/go/kids/x", "/go/kids/y"} {
		if _, err := c.Create(name, nil, 0, open); err != nil {
			return err
		}
	}
	names, stat, err := c.Children("/go/kids")
	sort.Strings(names)
	notEmpty := c.Delete("/go/kids", -1)
	return first(err, want(strings.Join(names, ",") == "x,y" && stat.NumChildren == 2, "%v", names), code(notEmpty, zk.ErrNotEmpty))
}

func watches(c *zk.Conn) error {
	if _, err := c.Create("/go/w", nil, 0, open); err != nil {
		return err
	}
	_, _, data, e1 := c.GetW("/go/w")
	_, _, kids, e2 := c.ChildrenW("/go/w")
	_, _, exists, e3 := c.ExistsW("/go/w/k")
	_, e4 := c.Create("/go/w/k", nil, 0, open)
	_, e5 := c.Set("/go/w", []byte("x"), -1)
	if err := first(e1, e2, e3, e4, e5); err != nil {
		return err
	}
	for _, w := range []struct {
		events <-chan zk.Event
		kind   zk.EventType
	}{{exists, zk.EventNodeCreated}, {kids, zk.EventNodeChildrenChanged}, {data, zk.EventNodeDataChanged}} {
		select {
		case e := <-w.events:
			if e.Type != w.kind {
				return fmt.Errorf("got %v, want %v", e.Type, w.kind)
			}
		case <-time.After(5 * time.Second):
			return fmt.Errorf("no %v", w.kind)
		}
	}
	return nil
}

func multi(c *zk.Conn) error {
	_, e1 := c.Multi(&zk.CreateRequest{Path: "/go/m", Acl: open}, &zk.SetDataRequest{Path: "/go/m", Data: []byte("m"), Version: 0},
		&zk.CheckVersionRequest{Path: "/go/m", Version: 1})
	_, e2 := c.Multi(&zk.CreateRequest{Path: "/go/m2", Acl: open}, &zk.CreateRequest{Path: "/go/m", Acl: open})
	there, _, e3 := c.Exists("/go/m2")
	return first(e1, code(e2, zk.ErrNodeExists), e3, want(!there, "half of a multi was done"))
}

func acls(c *zk.Conn) error {
	other, err := connect()
	if err != nil {
		return err
	}
	defer other.Close()
	if err := other.AddAuth("digest", []byte("go:secret")); err != nil {
		return err
	}
	_, e1 := other.Create("/go/acl", nil, 0, zk.AuthACL(zk.PermAll))
	// The other connection may be to another server, which need not have the node yet.
	_, synced := c.Sync("/go/acl")
	_, _, none := c.Get("/go/acl")
	list, _, e2 := other.GetACL("/go/acl")
	return first(e1, synced, code(none, zk.ErrNoAuth), e2, want(len(list) == 1 && list[0].Scheme == "digest", "%v", list))
}

func ephemerals(c *zk.Conn) error {
	other, err := connect()
	if err != nil {
		return err
	}
	if _, err := other.Create("/go/e", nil, zk.FlagEphemeral, open); err != nil {
		return err
	}
	_, child := c.Create("/go/e/x", nil, 0, open)
	_, _, gone, e1 := c.ExistsW("/go/e")
	other.Close()
	select {
	case e := <-gone:
		return first(code(child, zk.ErrNoChildrenForEphemerals), e1, want(e.Type == zk.EventNodeDeleted, "%v", e))
	case <-time.After(5 * time.Second):
		return errors.New("the node outlived its session")
	}
}

func locks(c *zk.Conn) error {
	var inside, worst int
	var guard sync.Mutex
	done := make(chan error, 3)
	for i := 0; i < 3; i++ {
		go func() {
			lock := zk.NewLock(c, "/go/lock", open)
			if err := lock.Lock(); err != nil {
				done <- err
				return
			}
			guard.Lock()
			inside++
			if inside > worst {
				worst = inside
			}
			guard.Unlock()
			guard.Lock()
			inside--
			guard.Unlock()
			done <- lock.Unlock()
		}()
	}
	for i := 0; i < 3; i++ {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-time.After(10 * time.Second):
			return errors.New("the lock was not passed on")
		}
	}
	return want(worst == 1, "%d had the lock at once", worst)
}

func fourLetters(*zk.Conn) error {
	// Only ruok: the client cannot read what any 3.9 server answers to srvr and cons.
	for _, ok := range zk.FLWRuok(servers(), 5*time.Second) {
		if !ok {
			return errors.New("ruok")
		}
	}
	return nil
}

func main() {
	results, err := os.Create(os.Getenv("RESULTS"))
	if err != nil {
		panic(err)
	}
	defer results.Close()
	c, err := connect()
	if err == nil {
		_, err = c.Create("/go", nil, 0, open)
	}
	tests := []struct {
		name string
		run  func(*zk.Conn) error
	}{{"createGetSet", createGetSet}, {"sequences", sequences}, {"children", children}, {"watches", watches}, {"multi", multi},
		{"acls", acls}, {"ephemerals", ephemerals}, {"locks", locks}, {"fourLetters", fourLetters}}
	for _, test := range tests {
		failure := err
		if failure == nil {
			failure = test.run(c)
		}
		verdict := "PASS"
		if failure != nil {
			verdict = "FAIL"
			fmt.Fprintf(os.Stderr, "%s: %v\n", test.name, failure)
		}
		fmt.Fprintf(results, "%s\t%s\n", verdict, test.name)
	}
}
