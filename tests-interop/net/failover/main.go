// How long an ensemble of three takes no write when its leader goes: killed with -9, and asked to go with SIGTERM.
// Arguments: NAME=COMMAND for each kind of server (run as COMMAND zoo.cfg), in turn. ROUNDS is how many leaders of each
// kind go each way (10), OUT a directory for data and logs.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	members    = 3
	blocks     = 2 // each kind's rounds are split, so that the kinds take turns
	path       = "/failover"
	startLimit = 60 * time.Second
	gapLimit   = 30 * time.Second
	callLimit  = time.Second
	retryPause = 2 * time.Millisecond
	observed   = 3 * time.Second // how long writes are watched around a SIGTERM
)

type member struct {
	port    int
	config  string
	process *exec.Cmd
	exited  chan struct{}
}

func main() {
	rounds, err := strconv.Atoi(os.Getenv("ROUNDS"))
	if err != nil {
		rounds = 10
	}
	killed, asked := map[string][]time.Duration{}, map[string][]time.Duration{}
	for block := 0; block < blocks; block++ {
		for _, kind := range os.Args[1:] {
			name, command, _ := strings.Cut(kind, "=")
			home := filepath.Join(os.Getenv("OUT"), fmt.Sprintf("%s-%d", name, block))
			if err := measure(command, home, (rounds+blocks-1)/blocks, func(kill, term time.Duration) {
				killed[name], asked[name] = append(killed[name], kill), append(asked[name], term)
				fmt.Printf("%s: kill -9 %.3f s, SIGTERM %.3f s\n", name, kill.Seconds(), term.Seconds())
			}); err != nil {
				fmt.Printf("%s: FAILED %v; logs in %s\n", name, err, home)
				os.Exit(1)
			}
		}
	}
	for _, kind := range os.Args[1:] {
		name, _, _ := strings.Cut(kind, "=")
		fmt.Printf("%-8s kill -9 to first write: %s\n%-8s write gap at SIGTERM:   %s\n",
			name, summary(killed[name]), name, summary(asked[name]))
	}
}

func summary(times []time.Duration) string {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	n := len(times)
	return fmt.Sprintf("median %.3f s (least %.3f, most %.3f, of %d)",
		(times[(n-1)/2]+times[n/2]).Seconds()/2, times[0].Seconds(), times[n-1].Seconds(), n)
}

// measure runs one ensemble through its rounds.
func measure(command, home string, rounds int, report func(kill, term time.Duration)) error {
	ensemble, err := prepare(home)
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range ensemble {
			m.end(syscall.SIGKILL)
		}
	}()
	for _, m := range ensemble {
		if err := m.start(command); err != nil {
			return err
		}
	}
	if err := firstNode(ensemble); err != nil {
		return err
	}
	for round := 0; round < rounds; round++ {
		kill, err := replaced(ensemble, command, afterKill)
		if err != nil {
			return err
		}
		term, err := replaced(ensemble, command, aroundTerm)
		if err != nil {
			return err
		}
		report(kill, term)
	}
	return nil
}

func prepare(home string) ([]*member, error) {
	var ports [members * 3]int
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	lines := ""
	for n := 0; n < members; n++ {
		lines += fmt.Sprintf("server.%d=127.0.0.1:%d:%d\n", n+1, ports[3*n+1], ports[3*n+2])
	}
	var ensemble []*member
	for n := 0; n < members; n++ {
		data := filepath.Join(home, fmt.Sprint(n+1), "data")
		if err := os.MkdirAll(data, 0o755); err != nil {
			return nil, err
		}
		m := &member{port: ports[3*n], config: filepath.Join(home, fmt.Sprint(n+1), "zoo.cfg")}
		text := fmt.Sprintf("tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nclientPort=%d\n"+
			"clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n%s",
			data, m.port, lines)
		if err := os.WriteFile(m.config, []byte(text), 0o644); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), []byte(fmt.Sprintln(n+1)), 0o644); err != nil {
			return nil, err
		}
		ensemble = append(ensemble, m)
	}
	return ensemble, nil
}

func (m *member) start(command string) error {
	words := append(strings.Fields(command), m.config)
	process := exec.Command(words[0], words[1:]...)
	log, err := os.OpenFile(filepath.Join(filepath.Dir(m.config), "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	m.process, m.exited = process, make(chan struct{})
	go func(exited chan struct{}) {
		_ = process.Wait()
		close(exited)
	}(m.exited)
	return nil
}

func (m *member) end(signal syscall.Signal) {
	if m.process != nil {
		_ = m.process.Process.Signal(signal)
		select {
		case <-m.exited:
		case <-time.After(gapLimit):
			_ = m.process.Process.Kill()
			<-m.exited
		}
		m.process = nil
	}
}

func (m *member) address() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

func (m *member) mode() string {
	link, err := net.DialTimeout("tcp", m.address(), callLimit)
	if err != nil {
		return ""
	}
	defer link.Close()
	_ = link.SetDeadline(time.Now().Add(callLimit))
	_, _ = link.Write([]byte("srvr"))
	answer, _ := io.ReadAll(link)
	if _, rest, found := strings.Cut(string(answer), "Mode: "); found {
		mode, _, _ := strings.Cut(rest, "\n")
		return mode
	}
	return ""
}

// roles waits until there are a leader and followers, and gives the leader first.
func roles(ensemble []*member) ([]*member, error) {
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var leaders, followers []*member
		for _, m := range ensemble {
			switch m.mode() {
			case "leader":
				leaders = append(leaders, m)
			case "follower":
				followers = append(followers, m)
			}
		}
		if len(leaders) == 1 && len(followers) == members-1 {
			return append(leaders, followers...), nil
		}
	}
	return nil, fmt.Errorf("no leader with two followers within %v", startLimit)
}

func firstNode(ensemble []*member) error {
	ordered, err := roles(ensemble)
	if err != nil {
		return err
	}
	s, err := open(ordered[0].address(), 10*time.Second)
	if err != nil {
		return err
	}
	defer s.link.Close()
	return s.create(path, 10*time.Second)
}

// replaced measures one leader's going and brings it back.
func replaced(ensemble []*member, command string, gap func(leader *member, rest []*member) (time.Duration, error)) (time.Duration, error) {
	ordered, err := roles(ensemble)
	if err != nil {
		return 0, err
	}
	time.Sleep(time.Second) // a quiet second, with everybody in place
	took, err := gap(ordered[0], ordered[1:])
	if err != nil {
		return 0, err
	}
	return took, ordered[0].start(command)
}

// writer writes through one server again and again, and reports when each write was acknowledged.
func writer(m *member, stop <-chan struct{}, acked func(begun, ended time.Time)) {
	var s *session
	for {
		select {
		case <-stop:
			if s != nil {
				s.link.Close()
			}
			return
		default:
		}
		begun, err := time.Now(), error(nil)
		if s == nil {
			s, err = open(m.address(), callLimit)
		}
		if err == nil {
			err = s.set(path, callLimit)
		}
		if err == nil {
			acked(begun, time.Now())
			continue
		}
		if s != nil {
			s.link.Close()
			s = nil
		}
		time.Sleep(retryPause)
	}
}

// writing has a writer at each of the servers until the returned function is called.
func writing(servers []*member, acked func(begun, ended time.Time)) (end func()) {
	stop, done := make(chan struct{}), sync.WaitGroup{}
	var guard sync.Mutex
	for _, m := range servers {
		done.Add(1)
		go func(m *member) {
			defer done.Done()
			writer(m, stop, func(begun, ended time.Time) {
				guard.Lock()
				acked(begun, ended)
				guard.Unlock()
			})
		}(m)
	}
	return func() { close(stop); done.Wait() }
}

// afterKill: from the kill to the first acknowledgement of a write that began after it.
func afterKill(leader *member, rest []*member) (time.Duration, error) {
	killed := time.Now()
	leader.end(syscall.SIGKILL)
	gone := time.Now()
	first := make(chan time.Duration, 1)
	end := writing(rest, func(begun, ended time.Time) {
		if begun.After(gone) {
			select {
			case first <- ended.Sub(killed):
			default:
			}
		}
	})
	defer end()
	select {
	case took := <-first:
		return took, nil
	case <-time.After(gapLimit):
		return 0, fmt.Errorf("no write within %v of the kill", gapLimit)
	}
}

// aroundTerm: the longest time between two acknowledgements, whoever got them.
func aroundTerm(leader *member, rest []*member) (time.Duration, error) {
	var times []time.Time
	end := writing(rest, func(_, ended time.Time) { times = append(times, ended) })
	time.Sleep(observed / 3)
	asked := time.Now()
	leader.end(syscall.SIGTERM)
	time.Sleep(observed)
	end()
	var worst time.Duration
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap > worst && times[i].After(asked) {
			worst = gap
		}
	}
	if len(times) == 0 || times[len(times)-1].Before(asked.Add(worst)) {
		return 0, fmt.Errorf("no writes after the SIGTERM")
	}
	return worst, nil
}
