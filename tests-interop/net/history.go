package main

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

type kind int

const (
	write  kind = iota // set whatever the version
	swap               // set if the version is the one expected
	fenced             // get behind a write of the same session: linearizable
	synced             // get behind a sync: linearizable while no deposed leader is alive
	plain              // get: never back in time within a session
)

type outcome int

const (
	done    outcome = iota
	refused         // a swap that met another version
	unknown         // perhaps done, now or later
)

// op is one operation on a register.
type op struct {
	client    int
	session   int64
	kind      kind
	key       int
	value     string // written
	expect    int32  // version that a swap asks for
	call, ret int64  // nanoseconds since the run began
	outcome   outcome
	version   int32  // written or read
	got       string // read
	zxid      int64  // of the write, or of the write that was read
	fence     int64  // zxid of the fence before a fenced read
}

func (o op) writes() bool { return o.kind == write || o.kind == swap }

func (o op) String() string {
	name := [...]string{"set", "swap", "fenced get", "synced get", "get"}[o.kind]
	return fmt.Sprintf("%s of key %d by client %d session %#x at %.4f..%.4f s: version %d zxid %#x fence %#x value %q%q expects %d",
		name, o.key, o.client, o.session, float64(o.call)/1e9, float64(o.ret)/1e9, o.version, o.zxid, o.fence, o.value, o.got, o.expect)
}

// acked are the acknowledged writes by key, in zxid order.
func acked(history []op) map[int][]op {
	byKey := map[int][]op{}
	for _, o := range history {
		if o.writes() && o.outcome == done {
			byKey[o.key] = append(byKey[o.key], o)
		}
	}
	for _, writes := range byKey {
		sort.Slice(writes, func(i, j int) bool { return writes[i].zxid < writes[j].zxid })
	}
	return byKey
}

// newest is the last of the writes with a zxid up to the bound, or nil.
func newest(writes []op, bound int64) *op {
	at := sort.Search(len(writes), func(i int) bool { return writes[i].zxid > bound })
	if at == 0 {
		return nil
	}
	return &writes[at-1]
}

// witness judges a history by its zxids: versions grow with them, real time agrees with them, reads show what they
// have to. soundSync says that no deposed leader was alive, so synced reads count as linearizable too.
func witness(history []op, soundSync bool) error {
	for _, check := range []func() error{
		func() error { return versionsGrow(history) },
		func() error { return realTime(history) },
		func() error { return readsAreTrue(history) },
		func() error { return readsAreFresh(history, soundSync) },
		func() error { return sessionsMonotonic(history) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func versionsGrow(history []op) error {
	seen := map[int64]bool{}
	for _, writes := range acked(history) {
		for i, w := range writes {
			if seen[w.zxid] {
				return fmt.Errorf("two writes with one zxid: %v", w)
			}
			seen[w.zxid] = true
			if i > 0 && w.version <= writes[i-1].version {
				return fmt.Errorf("versions do not grow with zxids: %v, then %v", writes[i-1], w)
			}
			if w.kind == swap && w.version != w.expect+1 {
				return fmt.Errorf("swapped another version than asked: %v", w)
			}
		}
	}
	return nil
}

// realTime: what began after a write was acknowledged has a later zxid.
func realTime(history []op) error {
	type stamped struct {
		at, zxid int64
		op       op
	}
	var begins, ends []stamped
	for _, o := range history {
		zxid := o.zxid
		if o.kind == fenced {
			zxid = o.fence
		} else if !o.writes() {
			continue
		}
		if o.outcome == done {
			begins, ends = append(begins, stamped{o.call, zxid, o}), append(ends, stamped{o.ret, zxid, o})
		}
	}
	sort.Slice(begins, func(i, j int) bool { return begins[i].at < begins[j].at })
	sort.Slice(ends, func(i, j int) bool { return ends[i].at < ends[j].at })
	latest, next := stamped{zxid: math.MinInt64}, 0
	for _, b := range begins {
		for ; next < len(ends) && ends[next].at < b.at; next++ {
			if ends[next].zxid > latest.zxid {
				latest = ends[next]
			}
		}
		if b.zxid <= latest.zxid {
			return fmt.Errorf("began later with an earlier zxid: %v, then %v", latest.op, b.op)
		}
	}
	return nil
}

// readsAreTrue: what is read was written, by a write that had begun, with that zxid and version if it was acknowledged.
func readsAreTrue(history []op) error {
	written := map[string]op{}
	for _, o := range history {
		if o.writes() {
			written[o.value] = o
		}
	}
	for _, o := range history {
		if o.writes() || o.outcome != done || o.got == initial {
			continue
		}
		w, there := written[o.got]
		switch {
		case !there || w.key != o.key:
			return fmt.Errorf("read what nobody wrote there: %v", o)
		case w.outcome == refused:
			return fmt.Errorf("read what was refused: %v, %v", w, o)
		case w.call > o.ret:
			return fmt.Errorf("read before it was written: %v, %v", w, o)
		case w.outcome == done && (w.zxid != o.zxid || w.version != o.version):
			return fmt.Errorf("read with another zxid or version than written: %v, %v", w, o)
		}
	}
	return nil
}

// readsAreFresh: a fenced read shows the newest acknowledged write up to its fence, and it and, where sound, a
// synced one shows what was acknowledged before it began.
func readsAreFresh(history []op, soundSync bool) error {
	byKey := acked(history)
	byReturn := map[int][]op{}
	for key, writes := range byKey {
		sorted := append([]op(nil), writes...)
		sort.Slice(sorted, func(i, j int) bool { return sorted[i].ret < sorted[j].ret })
		for i := 1; i < len(sorted); i++ { // the newest of those that ended so far
			if sorted[i].zxid < sorted[i-1].zxid {
				ret := sorted[i].ret
				sorted[i] = sorted[i-1]
				sorted[i].ret = ret
			}
		}
		byReturn[key] = sorted
	}
	for _, o := range history {
		if o.outcome != done || o.writes() || o.kind == plain || (o.kind == synced && !soundSync) {
			continue
		}
		if w := newest(byKey[o.key], o.fence); o.kind == fenced && w != nil && o.zxid < w.zxid {
			return fmt.Errorf("older than its fence: %v, acknowledged: %v", o, w)
		}
		before := byReturn[o.key]
		at := sort.Search(len(before), func(i int) bool { return before[i].ret >= o.call })
		if at > 0 && o.zxid < before[at-1].zxid {
			return fmt.Errorf("stale: %v, acknowledged before: %v", o, before[at-1])
		}
	}
	return nil
}

// sessionsMonotonic: a session that saw a zxid never reads a state before it, of any key, on any server.
func sessionsMonotonic(history []op) error {
	byKey := acked(history)
	sessions := map[int64][]op{}
	for _, o := range history {
		if o.outcome == done && o.session != 0 {
			sessions[o.session] = append(sessions[o.session], o)
		}
	}
	for _, ops := range sessions {
		sort.Slice(ops, func(i, j int) bool { return ops[i].call < ops[j].call })
		var seen int64
		for _, o := range ops {
			if o.fence > seen {
				seen = o.fence
			}
			if w := newest(byKey[o.key], seen); !o.writes() && w != nil && o.zxid < w.zxid {
				return fmt.Errorf("a session went back behind zxid %#x: %v, acknowledged: %v", seen, o, w)
			}
			if o.zxid > seen {
				seen = o.zxid
			}
		}
	}
	return nil
}

// register is a state of the model.
type register struct {
	version int32
	value   string
}

func step(state, input, _ interface{}) (bool, interface{}) {
	s, o := state.(register), input.(op)
	next := register{s.version + 1, o.value}
	switch {
	case o.outcome == unknown && o.kind == swap && s.version != o.expect:
		return true, s
	case o.outcome == unknown:
		return true, next
	case o.outcome == refused:
		return s.version != o.expect, s
	case o.kind == swap:
		return s.version == o.expect && o.version == next.version, next
	case o.kind == write:
		return o.version == next.version, next
	default:
		return s.version == o.version && s.value == o.got, s
	}
}

// search asks porcupine. What is unknown may take effect at any time after it began, or, at the end, never.
func search(history []op, soundSync bool, limit time.Duration) error {
	keys := map[int][]porcupine.Operation{}
	for _, o := range history {
		if o.kind == plain || (o.kind == synced && !soundSync) || (!o.writes() && o.outcome != done) {
			continue
		}
		ret := o.ret
		if o.outcome == unknown {
			ret = math.MaxInt64
		}
		keys[o.key] = append(keys[o.key], porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Return: ret})
	}
	model := porcupine.Model{Init: func() interface{} { return register{0, initial} }, Step: step}
	for key, operations := range keys {
		switch porcupine.CheckOperationsTimeout(model, operations, limit) {
		case porcupine.Illegal:
			return fmt.Errorf("key %d is not linearizable", key)
		case porcupine.Unknown:
			return fmt.Errorf("key %d: no answer within %v for %d operations", key, limit, len(operations))
		}
	}
	return nil
}
