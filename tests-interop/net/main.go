// Ensembles on real networks and disks: each server in a network namespace of its own, connected by packets that this
// program carries, delays and drops. Clients of github.com/go-zookeeper/zk work meanwhile, and their history is judged.
// OXHERD names the binary, OUT a directory for logs and data, RESULTS a file for lines PASS|FAIL, tab, name. FULL=1
// takes longer; arguments choose the scenarios whose names contain one of them.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	inside      = "OXHERD_NET_INSIDE"
	warmUp      = 2 * time.Second
	healed      = 3 * time.Second
	holdShort   = 8 * time.Second
	holdLong    = 20 * time.Second
	serveLimit  = 30 * time.Second
	equalLimit  = 20 * time.Second
	searchLimit = 30 * time.Second
)

func main() {
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		skip(err)
	}
	f, err := newFabric(5)
	if err != nil {
		skip(err)
	}
	failed := false
	for i, s := range scenarios() {
		if !chosen(s.name) {
			continue
		}
		began := time.Now()
		home := filepath.Join(os.Getenv("OUT"), fmt.Sprintf("scenario-%02d", i+1))
		err := play(f, s, home)
		verdict := "PASS"
		if err != nil {
			failed, verdict = true, "FAIL"
			fmt.Printf("%s: FAILED %v; logs in %s\n", s.name, err, home)
		} else {
			discard(home)
		}
		fmt.Printf("%s: %s in %.0f s\n", s.name, verdict, time.Since(began).Seconds())
		report(verdict + "\t" + s.name)
	}
	if failed {
		os.Exit(1)
	}
}

// discard removes what a scenario left, small disks too.
func discard(home string) {
	mounts, _ := filepath.Glob(filepath.Join(home, "*", "data"))
	for _, data := range mounts {
		_ = unix.Unmount(data, 0)
	}
	_ = os.RemoveAll(home)
}

// enter runs this program again in new namespaces, which end with it.
func enter() int {
	self, err := os.Executable()
	if err != nil {
		skip(err)
	}
	again := exec.Command(self, os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	flags := uintptr(unix.CLONE_NEWNET | unix.CLONE_NEWNS)
	again.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		flags |= unix.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	again.SysProcAttr.Cloneflags = flags
	if err := again.Start(); err != nil {
		skip(err)
	}
	if again.Wait() != nil {
		return 1
	}
	return 0
}

func skip(err error) {
	fmt.Printf("skipped: no network namespaces with TUN devices here: %v\n", err)
	os.Exit(0)
}

func chosen(name string) bool {
	for _, wanted := range os.Args[1:] {
		if strings.Contains(name, wanted) {
			return true
		}
	}
	return len(os.Args) == 1
}

func report(line string) {
	if path := os.Getenv("RESULTS"); path != "" {
		if file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err == nil {
			_, _ = fmt.Fprintln(file, line)
			_ = file.Close()
		}
	}
}

func both(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// play runs one scenario: load, fault, healing, and what has to be true then.
func play(f *fabric, p scenario, home string) error {
	e, err := newEnsemble(f, home, p)
	if err != nil {
		return err
	}
	defer e.killAll()
	defer f.set(nil)
	s := &scene{ensemble: e, hold: holdShort}
	if p.named {
		if s.names, err = newNames(home); err != nil {
			return err
		}
		defer s.names.end()
		if err := s.names.know(1, 2, 3); err != nil {
			return err
		}
	}
	if os.Getenv("FULL") != "" {
		s.hold = holdLong
	}
	if p.before != nil {
		if err := p.before(s); err != nil {
			return err
		}
	}
	if err := both(e.startAll(), until(serveLimit, e.serving)); err != nil {
		return fmt.Errorf("at the start: %w", err)
	}
	var addresses []string
	for n := 1; n <= p.servers; n++ {
		addresses = append(addresses, hostport(n))
	}
	if s.load, err = newLoad(addresses); err != nil {
		return err
	}
	s.load.start()
	time.Sleep(warmUp)
	err = p.fault(s)
	again := time.Now()
	healing := until(serveLimit, e.serving)
	fmt.Printf("%s: every server serves %.1f s after the fault\n", p.name, time.Since(again).Seconds())
	if healing == nil {
		healing = s.writes()
	}
	err = both(err, both(healing, s.load.finish()))
	if err == nil && p.loses != nil {
		return s.noticed(p)
	}
	return both(err, s.judge(p))
}

// writes lets the clients go on after a fault and sees that they can write.
func (s *scene) writes() error {
	from := s.load.now()
	time.Sleep(healed)
	if s.load.lastAck.Load() < from {
		return fmt.Errorf("every server serves, but no write was acknowledged for %v", healed)
	}
	return nil
}

// noticed loses what was acknowledged, and wants the judge to say so.
func (s *scene) noticed(p scenario) error {
	if err := both(p.loses(s), until(serveLimit, s.serving)); err != nil {
		return err
	}
	if err := s.judge(p); err == nil || !strings.Contains(err.Error(), "lost") {
		return fmt.Errorf("acknowledged writes were thrown away, and the judge said %v", err)
	}
	return nil
}

// judge compares what the clients saw with what the servers hold.
func (s *scene) judge(p scenario) error {
	l := s.load
	defer func() {
		for _, c := range l.owners {
			c.Close()
		}
	}()
	tree, err := s.settled(p)
	l.describe(p.name, len(tree))
	return both(err, both(witness(l.history, !p.deposes), search(l.history, !p.deposes, searchLimit)))
}

// settled is the tree that every server has, when it holds what it has to.
func (s *scene) settled(p scenario) (map[string]node, error) {
	var tree map[string]node
	err := until(equalLimit, func() (err error) {
		tree, err = same(p.servers)
		return err
	})
	err = both(err, both(survived(s.load.nodes, tree), registersSurvived(s.load.history, tree)))
	if err != nil {
		return tree, err
	}
	return tree, until(equalLimit, func() (err error) { // sessions of the fault's time still have to expire
		if tree, err = same(p.servers); err != nil {
			return err
		}
		alive := map[int64]bool{}
		for _, c := range s.load.owners {
			alive[c.SessionID()] = true
		}
		return ephemeralsLive(s.load.nodes, alive, tree)
	})
}

func (l *load) describe(name string, nodes int) {
	counts := map[outcome]int{}
	for _, o := range l.history {
		counts[o.outcome]++
	}
	fmt.Printf("%s: %d operations on registers, %d refused, %d of unknown outcome; %d nodes made; %d nodes stand\n",
		name, len(l.history), counts[refused], counts[unknown], len(l.nodes), nodes)
}
