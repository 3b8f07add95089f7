package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	endLimit  = 20 * time.Second
	diskBytes = 6 << 20
)

// scene is one running scenario.
type scene struct {
	*ensemble
	load  *load
	names *names
	hold  time.Duration
}

type scenario struct {
	name    string
	servers int
	// observer says that the last of the servers has no vote.
	observer bool
	// named says that the servers know each other by names.
	named bool
	// before runs ahead of the servers' start.
	before func(*scene) error
	// fault begins and heals one fault.
	fault func(*scene) error
	// deposes says that an old leader may live on beside a new one, so a sync may be answered by the old one.
	deposes bool
	// loses throws acknowledged writes away at the end; the scenario passes when that is noticed.
	loses func(*scene) error
}

func (p scenario) observes(n int) bool { return p.observer && n == p.servers }

// during holds a fault; with progress, writes that begin in its second half must be acknowledged within it.
func (s *scene) during(progress bool) error {
	time.Sleep(s.hold / 2)
	half := s.load.now()
	time.Sleep(s.hold / 2)
	if progress && s.load.lastAck.Load() < half {
		return errors.New("no write was acknowledged in the second half of the fault, although a quorum is connected")
	}
	return nil
}

func (s *scene) partition(progress bool, rules ...rule) error {
	s.fabric.set(rules)
	err := s.during(progress)
	s.fabric.set(nil)
	return err
}

// roles are the leader and one follower, when there is a leader.
func (s *scene) roles() (leader, follower int, err error) {
	err = until(endLimit, func() error {
		leader, follower = s.leader(), s.follower()
		if leader == 0 || follower == 0 {
			return errors.New("no leader with a follower")
		}
		return nil
	})
	return leader, follower, err
}

// withLeader gives a fault the leader of the moment, and a follower.
func withLeader(fault func(s *scene, leader, follower int) error) func(*scene) error {
	return func(s *scene) error {
		leader, follower, err := s.roles()
		if err != nil {
			return err
		}
		return fault(s, leader, follower)
	}
}

func scenarios() []scenario {
	return append(append(networks(), processes()...), disks()...)
}

func networks() []scenario {
	return []scenario{
		{name: "halves, the leader in the smaller one", servers: 5, deposes: true, fault: withLeader(func(s *scene, leader, follower int) error {
			var rules []rule
			for n := 1; n <= 5; n++ {
				if n != leader && n != follower {
					rules = append(append(rules, apart(n, leader)...), apart(n, follower)...)
				}
			}
			return s.partition(true, rules...)
		})},
		{name: "halves of two and two, one server down", servers: 5, deposes: true, fault: func(s *scene) error {
			if err := s.kill(5); err != nil {
				return err
			}
			rules := append(append(apart(1, 3), apart(1, 4)...), append(apart(2, 3), apart(2, 4)...)...)
			return both(s.partition(false, rules...), s.start(5))
		}},
		{name: "bridge", servers: 5, deposes: true, fault: func(s *scene) error {
			rules := append(append(apart(1, 4), apart(1, 5)...), append(apart(2, 4), apart(2, 5)...)...)
			return s.partition(true, rules...)
		}},
		{name: "one way cut from the leader to a follower", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, follower int) error {
			return s.partition(true, cut(leader, follower))
		})},
		{name: "the leader hears nobody", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			var rules []rule
			for n := 1; n <= 3; n++ {
				rules = append(rules, cut(n, leader))
			}
			return s.partition(true, rules...)
		})},
		{name: "nobody hears the leader", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			var rules []rule
			for n := 1; n <= 3; n++ {
				rules = append(rules, cut(leader, n))
			}
			return s.partition(true, rules...)
		})},
		{name: "isolated leader", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			var rules []rule
			for n := 1; n <= 3; n++ {
				rules = append(rules, apart(n, leader)...)
			}
			return s.partition(true, rules...)
		})},
		{name: "only the election port cut", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			if err := s.partition(true, rule{port: electionPort, loss: 1}); err != nil {
				return err
			}
			s.fabric.set([]rule{{port: electionPort, loss: 1}})
			err := both(s.kill(leader), s.start(leader))
			return both(err, s.partition(false, rule{port: electionPort, loss: 1}))
		})},
		{name: "only the peer port cut", servers: 3, deposes: true, fault: func(s *scene) error {
			return s.partition(false, rule{port: peerPort, loss: 1})
		}},
		{name: "only the leader's peer port cut", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			return s.partition(false, rule{to: leader, port: peerPort, loss: 1}, rule{from: leader, port: peerPort, loss: 1})
		})},
		{name: "loss and delay", servers: 5, deposes: true, fault: func(s *scene) error {
			return s.partition(true, rule{loss: 0.03, delay: 10 * time.Millisecond})
		}},
		{name: "an observer apart from the others", servers: 4, observer: true, fault: func(s *scene) error {
			return s.partition(true, append(append(apart(4, 1), apart(4, 2)...), apart(4, 3)...)...)
		}},
		{name: "names that nobody knows yet", servers: 3, named: true, fault: func(s *scene) error {
			s.killAll()
			err := both(s.names.know(), s.startAll())
			err = both(err, s.during(false))
			if leader := s.leader(); leader != 0 {
				return fmt.Errorf("server %d leads, and nobody knows a name", leader)
			}
			err = both(err, both(s.names.know(1, 2), s.during(true)))
			return both(err, s.names.know(1, 2, 3))
		}},
	}
}

// stopped halts a process for the time of a fault.
func (s *scene) stopped(n int) error {
	if err := s.signal(n, syscall.SIGSTOP); err != nil {
		return err
	}
	return both(s.during(true), s.signal(n, syscall.SIGCONT))
}

func processes() []scenario {
	return []scenario{
		{name: "SIGSTOP of the leader", servers: 3, deposes: true, fault: withLeader(func(s *scene, leader, _ int) error {
			return s.stopped(leader)
		})},
		{name: "SIGSTOP of a follower", servers: 3, fault: withLeader(func(s *scene, _, follower int) error {
			return s.stopped(follower)
		})},
		{name: "SIGSTOP of an observer", servers: 4, observer: true, fault: func(s *scene) error {
			return s.stopped(4)
		}},
		{name: "kill -9 of the leader, twice", servers: 3, fault: func(s *scene) error {
			again := withLeader(func(s *scene, leader, _ int) error {
				return both(s.kill(leader), both(s.during(true), s.start(leader)))
			})
			if err := again(s); err != nil {
				return err
			}
			return both(until(endLimit, s.serving), again(s))
		}},
		{name: "kill -9 of all", servers: 5, fault: func(s *scene) error {
			s.killAll()
			return s.startAll()
		}},
	}
}

func disks() []scenario {
	return []scenario{
		{name: "a wiped disk", servers: 3, fault: withLeader(func(s *scene, _, follower int) error {
			err := both(s.kill(follower), s.servers[follower].wipe())
			return both(err, both(s.start(follower), s.during(true)))
		})},
		{name: "every disk wiped, which has to be noticed", servers: 3, fault: func(*scene) error { return nil }, loses: func(s *scene) error {
			s.killAll()
			for _, server := range s.servers {
				if err := server.wipe(); err != nil {
					return err
				}
			}
			return s.startAll()
		}},
		{name: "a torn tail on every log, all killed", servers: 3, fault: func(s *scene) error {
			s.killAll()
			for _, server := range s.servers {
				if err := server.tear(); err != nil {
					return err
				}
			}
			return s.startAll()
		}},
		{name: "a full disk of the leader", servers: 3, before: func(s *scene) error {
			for _, server := range s.servers {
				if err := server.smallDisk(diskBytes); err != nil {
					return err
				}
			}
			return nil
		}, fault: withLeader(func(s *scene, leader, _ int) error {
			full := s.servers[leader]
			if err := full.fill(); err != nil {
				return err
			}
			if err := both(s.during(true), full.said("No space left", "disk is full")); err != nil {
				return err
			}
			if err := syscall.Unlink(full.filler()); err != nil || s.running(leader) {
				return err
			}
			return s.start(leader)
		})},
	}
}
