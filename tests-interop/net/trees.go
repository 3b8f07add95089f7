package main

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/go-zookeeper/zk"
)

const configNode = "/zookeeper/config"

// node is what a server shows of one.
type node struct {
	data string
	stat zk.Stat
}

// read takes the whole tree of one server, behind a sync.
func read(number int) (map[string]node, error) {
	c, err := connect([]string{hostport(number)}, 0)
	if err != nil {
		return nil, fmt.Errorf("server %d: %w", number, err)
	}
	defer c.Close()
	if _, err := c.Sync("/"); err != nil {
		return nil, fmt.Errorf("server %d: sync: %w", number, err)
	}
	tree, waiting := map[string]node{}, []string{"/"}
	for len(waiting) > 0 {
		path := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		data, stat, err := c.Get(path)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("server %d: get %s: %w", number, path, err)
		}
		if path == configNode {
			stat.Mtime = 0 // each server sets it by its own clock, as the original does
		}
		tree[path] = node{string(data), *stat}
		if stat.NumChildren == 0 {
			continue
		}
		names, _, err := c.Children(path)
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return nil, fmt.Errorf("server %d: children of %s: %w", number, path, err)
		}
		for _, name := range names {
			waiting = append(waiting, strings.TrimSuffix(path, "/")+"/"+name)
		}
	}
	return tree, nil
}

// equal says where two servers' trees differ, or nil.
func equal(a, b map[string]node) error {
	var differences []string
	for path, n := range a {
		if other, there := b[path]; !there || other != n {
			differences = append(differences, fmt.Sprintf("%s: %+v and %+v", path, n, other))
		}
	}
	for path := range b {
		if _, there := a[path]; !there {
			differences = append(differences, path+": only on one")
		}
	}
	if len(differences) == 0 {
		return nil
	}
	sort.Strings(differences)
	return fmt.Errorf("%d nodes differ, the first %s", len(differences), differences[0])
}

// same reads every server's tree and gives one when all are equal.
func same(count int) (map[string]node, error) {
	first, err := read(1)
	for n := 2; n <= count && err == nil; n++ {
		var other map[string]node
		if other, err = read(n); err == nil {
			if err = equal(first, other); err != nil {
				err = fmt.Errorf("servers 1 and %d: %w", n, err)
			}
		}
	}
	return first, err
}

// survived: what was acknowledged as created is there, once; what was acknowledged as deleted is not.
func survived(nodes []made, tree map[string]node) error {
	given := map[string]bool{}
	for _, m := range nodes {
		if m.outcome != done || m.owner != 0 {
			continue
		}
		if given[m.path] {
			return fmt.Errorf("%s was given to two creates", m.path)
		}
		given[m.path] = true
		n, there := tree[m.path]
		switch {
		case m.wasDeleted && m.deleted == done && there:
			return fmt.Errorf("%s is there again after an acknowledged delete", m.path)
		case !m.wasDeleted && !there:
			return fmt.Errorf("the acknowledged create of %s is lost", m.path)
		case there && m.zxid != 0 && n.stat.Czxid != m.zxid:
			return fmt.Errorf("%s has another czxid than at its creation", m.path)
		}
	}
	return nil
}

// registersSurvived: each register shows its newest acknowledged write, or a later one.
func registersSurvived(history []op, tree map[string]node) error {
	for key, writes := range acked(history) {
		last, n := writes[len(writes)-1], tree[register0(key)]
		if n.stat.Mzxid < last.zxid || (n.stat.Mzxid == last.zxid && n.data != last.value) {
			return fmt.Errorf("lost: %v; the tree has %q of zxid %#x", last, n.data, n.stat.Mzxid)
		}
	}
	return nil
}

// ephemeralsLive: an ephemeral node is there exactly as long as its session.
func ephemeralsLive(nodes []made, alive map[int64]bool, tree map[string]node) error {
	for _, m := range nodes {
		if _, there := tree[m.path]; m.owner != 0 && alive[m.owner] && m.outcome == done && !m.wasDeleted && !there {
			return fmt.Errorf("%s is gone before its session %#x", m.path, m.owner)
		}
	}
	for path, n := range tree {
		if owner := n.stat.EphemeralOwner; owner != 0 && !alive[owner] {
			return fmt.Errorf("%s outlived its session %#x", path, owner)
		}
	}
	return nil
}
