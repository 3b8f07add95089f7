package main

import (
	"strings"
	"testing"
	"time"
)

// good is a short history of two clients on one key: writes, a lost swap, one of unknown outcome, reads.
func good() []op {
	return []op{
		{client: 1, session: 1, kind: write, value: "a", call: 10, ret: 20, version: 1, zxid: 101},
		{client: 2, session: 2, kind: swap, expect: 0, value: "b", call: 12, ret: 25, outcome: refused},
		{client: 2, session: 2, kind: fenced, got: "a", call: 30, ret: 40, version: 1, zxid: 101, fence: 102},
		{client: 1, session: 1, kind: write, value: "c", call: 35, ret: 90, outcome: unknown},
		{client: 1, session: 3, kind: swap, expect: 2, value: "d", call: 100, ret: 110, version: 3, zxid: 105},
		{client: 2, session: 2, kind: plain, got: "c", call: 105, ret: 107, version: 2, zxid: 104},
		{client: 2, session: 2, kind: synced, got: "d", call: 120, ret: 130, version: 3, zxid: 105},
	}
}

func TestGoodHistoryPasses(t *testing.T) {
	if err := witness(good(), true); err != nil {
		t.Error(err)
	}
	if err := search(good(), true, time.Second); err != nil {
		t.Error(err)
	}
}

func TestDoctoredHistoriesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		doctor func(h []op) []op
		say    string // what the witness says
		search bool   // porcupine sees it too
	}{
		"lost write": {func(h []op) []op {
			h[6].got, h[6].version, h[6].zxid = "a", 1, 101
			return h
		}, "stale", true},
		"stale behind a fence": {func(h []op) []op {
			h[2].got, h[2].version, h[2].zxid = initial, 0, 100
			return h
		}, "older than its fence", true},
		"two swaps of one version": {func(h []op) []op {
			return append(h, op{client: 2, session: 2, kind: swap, expect: 2, value: "e", call: 140, ret: 150, version: 3, zxid: 106})
		}, "versions do not grow", true},
		"swap of another version": {func(h []op) []op {
			h[4].expect = 1
			return h
		}, "another version than asked", true},
		"time runs against zxids": {func(h []op) []op {
			h[4].zxid, h[5].zxid, h[6].zxid = 99, 99, 99
			return h
		}, "versions do not grow", false},
		"a later write of another key with an earlier zxid": {func(h []op) []op {
			return append(h, op{client: 2, session: 2, kind: write, key: 1, value: "z", call: 140, ret: 150, version: 1, zxid: 103})
		}, "earlier zxid", false},
		"invented value": {func(h []op) []op {
			h[6].got = "?"
			return h
		}, "nobody wrote", true},
		"refused, yet there": {func(h []op) []op {
			h[2].got = "b"
			return h
		}, "refused", true},
		"a session goes back": {func(h []op) []op {
			return append(h, op{client: 2, session: 2, kind: plain, got: "c", call: 140, ret: 150, version: 2, zxid: 104})
		}, "went back", false},
		"a session goes back on another key": {func(h []op) []op {
			return append(h,
				op{client: 1, session: 1, kind: write, key: 1, value: "z", call: 101, ret: 102, version: 1, zxid: 106},
				op{client: 2, session: 9, kind: plain, key: 1, got: "z", call: 140, ret: 141, version: 1, zxid: 106},
				op{client: 2, session: 9, kind: plain, got: "c", call: 150, ret: 151, version: 2, zxid: 104})
		}, "", false},
	} {
		history := c.doctor(good())
		err := witness(history, true)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: the witness said %v", name, err)
		}
		if found := search(history, true, time.Second) != nil; found != c.search {
			t.Errorf("%s: the search found it: %v", name, found)
		}
	}
}

func TestSyncedReadsCountOnlyWhereSyncIsSound(t *testing.T) {
	history := good()
	history[6].session, history[6].got, history[6].version, history[6].zxid = 8, "a", 1, 101
	if witness(history, true) == nil || search(history, true, time.Second) == nil {
		t.Error("a stale synced read passed")
	}
	if err := witness(history, false); err != nil {
		t.Error(err)
	}
	if err := search(history, false, time.Second); err != nil {
		t.Error(err)
	}
}

func TestLostNodesAreFound(t *testing.T) {
	tree := map[string]node{"/unique/a": {}, "/unique/gone": {}}
	for name, made := range map[string][]made{
		"lost":         {{path: "/unique/b", outcome: done}},
		"came back":    {{path: "/unique/gone", outcome: done, deleted: done, wasDeleted: true}},
		"twice":        {{path: "/unique/a", outcome: done}, {path: "/unique/a", outcome: done}},
		"another zxid": {{path: "/unique/a", outcome: done, zxid: 7}},
	} {
		if survived(made, tree) == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if err := survived([]made{{path: "/unique/a", outcome: done}, {path: "/unique/b", outcome: unknown}}, tree); err != nil {
		t.Error(err)
	}
}
