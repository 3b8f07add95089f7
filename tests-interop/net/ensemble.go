package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is one member in its own namespace, with a directory of its own.
type server struct {
	number  int
	home    string
	process *exec.Cmd
	exited  chan struct{}
	// observes says that it has no vote.
	observes bool
}

type ensemble struct {
	fabric  *fabric
	servers map[int]*server
}

// members are the lines of all servers.
func members(p scenario) string {
	var lines strings.Builder
	for n := 1; n <= p.servers; n++ {
		host, role := address(n).String(), "participant"
		if p.named {
			host = hostname(n)
		}
		if p.observes(n) {
			role = "observer"
		}
		fmt.Fprintf(&lines, "server.%d=%s:%d:%d:%s\n", n, host, peerPort, electionPort, role)
	}
	return lines.String()
}

func newEnsemble(f *fabric, home string, p scenario) (*ensemble, error) {
	e := &ensemble{fabric: f, servers: map[int]*server{}}
	for n := 1; n <= p.servers; n++ {
		s := &server{number: n, home: filepath.Join(home, fmt.Sprint(n)), observes: p.observes(n)}
		text := fmt.Sprintf("tickTime=500\ninitLimit=10\nsyncLimit=4\ndataDir=%s\nclientPort=%d\nmaxClientCnxns=0\n"+
			"admin.enableServer=false\n4lw.commands.whitelist=*\npreAllocSize=64\nsnapCount=800\n%s",
			s.data(), clientPort, members(p))
		if err := os.MkdirAll(s.data(), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.home, "zoo.cfg"), []byte(text), 0o644); err != nil {
			return nil, err
		}
		if err := s.name(); err != nil {
			return nil, err
		}
		e.servers[n] = s
	}
	return e, nil
}

func (s *server) data() string { return filepath.Join(s.home, "data") }
func (s *server) log() string  { return filepath.Join(s.home, "server.log") }

// role is the mode of a server that does not lead.
func (s *server) role() string {
	if s.observes {
		return "observer"
	}
	return "follower"
}

// name writes the server's number into its directory.
func (s *server) name() error {
	return os.WriteFile(filepath.Join(s.data(), "myid"), []byte(fmt.Sprintln(s.number)), 0o644)
}

func (e *ensemble) start(n int) error {
	s := e.servers[n]
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(os.Getenv("OXHERD"), "serve", filepath.Join(s.home, "zoo.cfg"))
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.fabric.on(n, process.Start); err != nil {
		return err
	}
	s.process, s.exited = process, make(chan struct{})
	go func(exited chan struct{}) {
		_ = process.Wait()
		close(exited)
	}(s.exited)
	return nil
}

func (e *ensemble) startAll() error {
	for n := range e.servers {
		if err := e.start(n); err != nil {
			return err
		}
	}
	return nil
}

func (e *ensemble) signal(n int, signal syscall.Signal) error {
	return e.servers[n].process.Process.Signal(signal)
}

// kill ends a server at once and waits until it is gone.
func (e *ensemble) kill(n int) error {
	s := e.servers[n]
	if s.process == nil {
		return nil
	}
	_ = s.process.Process.Kill()
	return e.ended(n, 10*time.Second)
}

// ended waits until a server's process is gone.
func (e *ensemble) ended(n int, limit time.Duration) error {
	select {
	case <-e.servers[n].exited:
		e.servers[n].process = nil
		return nil
	case <-time.After(limit):
		return fmt.Errorf("server %d still runs after %v", n, limit)
	}
}

// running says whether a server's process is still there.
func (e *ensemble) running(n int) bool {
	select {
	case <-e.servers[n].exited:
		return false
	default:
		return true
	}
}

// said wants one of the words in a server's log.
func (s *server) said(words ...string) error {
	log, err := os.ReadFile(s.log())
	for _, word := range words {
		if strings.Contains(string(log), word) {
			return nil
		}
	}
	return both(err, fmt.Errorf("server %d does not say in its log what is wrong", s.number))
}

func (e *ensemble) killAll() {
	for n := range e.servers {
		_ = e.kill(n)
	}
}

func hostport(n int) string { return fmt.Sprintf("%s:%d", address(n), clientPort) }

func word(n int, name string) string {
	link, err := net.DialTimeout("tcp", hostport(n), time.Second)
	if err != nil {
		return ""
	}
	defer link.Close()
	_ = link.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := link.Write([]byte(name)); err != nil {
		return ""
	}
	answer, _ := io.ReadAll(link)
	return string(answer)
}

func mode(n int) string {
	for _, line := range strings.Split(word(n, "srvr"), "\n") {
		if rest := strings.TrimPrefix(line, "Mode: "); rest != line {
			return rest
		}
	}
	return ""
}

// leader is the member that says it leads; 0 when none or several do.
func (e *ensemble) leader() int {
	found := 0
	for n := range e.servers {
		if mode(n) == "leader" {
			if found != 0 {
				return 0
			}
			found = n
		}
	}
	return found
}

func (e *ensemble) follower() int {
	for n := 1; n <= len(e.servers); n++ {
		if mode(n) == "follower" {
			return n
		}
	}
	return 0
}

// serving says why not every member serves, or nil.
func (e *ensemble) serving() error {
	leaders, modes := 0, ""
	for n := 1; n <= len(e.servers); n++ {
		m := mode(n)
		modes += fmt.Sprintf(" %d=%q", n, m)
		if m == "leader" {
			leaders++
		} else if m != e.servers[n].role() {
			leaders = -len(e.servers)
		}
	}
	if leaders != 1 {
		return fmt.Errorf("not one leader and learners:%s", modes)
	}
	return nil
}

// until polls a condition; it gives the last error after the limit.
func until(limit time.Duration, condition func() error) error {
	end := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
