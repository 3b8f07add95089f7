package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	clientPort   = 2181
	peerPort     = 2888
	electionPort = 3888
	device       = "ox0"
	outside      = 100 // the clients' host number
	frameMax     = 65536
)

func address(number int) net.IP { return net.IPv4(10, 99, 0, byte(number)) }

// rule applies to packets from one host to another that use a TCP port at either end. Zero means any.
type rule struct {
	from, to, port int
	loss           float64
	delay          time.Duration
}

// cut drops everything one way.
func cut(from, to int) rule { return rule{from: from, to: to, loss: 1} }

// apart drops everything both ways.
func apart(a, b int) []rule { return []rule{cut(a, b), cut(b, a)} }

// fabric carries packets between the hosts' devices, by the rules in force. Each server is a host: a network
// namespace of its own, held by a locked thread and gone with it.
type fabric struct {
	devices map[int]*os.File
	hosts   map[int]chan func()
	rules   atomic.Pointer[[]rule]
}

func newFabric(servers int) (*fabric, error) {
	f := &fabric{devices: map[int]*os.File{}, hosts: map[int]chan func(){}}
	f.set(nil)
	dev, err := openDevice(outside)
	if err != nil {
		return nil, err
	}
	f.devices[outside] = dev
	for n := 1; n <= servers; n++ {
		if err := f.addHost(n); err != nil {
			return nil, err
		}
	}
	for n := range f.devices {
		go f.carry(n)
	}
	return f, nil
}

func (f *fabric) addHost(n int) error {
	calls, ready := make(chan func()), make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			f.devices[n], err = openDevice(n)
		}
		ready <- err
		for call := range calls {
			call()
		}
	}()
	f.hosts[n] = calls
	return <-ready
}

// on runs something in a host's namespace.
func (f *fabric) on(n int, call func() error) error {
	done := make(chan error)
	f.hosts[n] <- func() { done <- call() }
	return <-done
}

func (f *fabric) set(rules []rule) { f.rules.Store(&rules) }

// carry moves what a host sends.
func (f *fabric) carry(n int) {
	frame := make([]byte, frameMax)
	for {
		size, err := f.devices[n].Read(frame)
		if err != nil {
			return
		}
		if size < 20 || frame[0]>>4 != 4 {
			continue
		}
		to, there := f.devices[int(frame[19])]
		if !there {
			continue
		}
		drop, delay := f.judge(frame[:size])
		switch {
		case drop:
		case delay > 0:
			late := append([]byte(nil), frame[:size]...)
			time.AfterFunc(delay, func() { _, _ = to.Write(late) })
		default:
			_, _ = to.Write(frame[:size])
		}
	}
}

func (f *fabric) judge(packet []byte) (drop bool, delay time.Duration) {
	from, to := int(packet[15]), int(packet[19])
	var ports [2]int
	if head := int(packet[0]&15) * 4; packet[9] == unix.IPPROTO_TCP && len(packet) >= head+4 {
		ports[0] = int(binary.BigEndian.Uint16(packet[head:]))
		ports[1] = int(binary.BigEndian.Uint16(packet[head+2:]))
	}
	for _, r := range *f.rules.Load() {
		if (r.from != 0 && r.from != from) || (r.to != 0 && r.to != to) ||
			(r.port != 0 && r.port != ports[0] && r.port != ports[1]) {
			continue
		}
		if rand.Float64() < r.loss {
			return true, 0
		}
		if r.delay > 0 {
			delay += r.delay/2 + time.Duration(rand.Int63n(int64(r.delay)))
		}
	}
	return false, delay
}

// openDevice makes the TUN device of the namespace that the thread is in, and brings the namespace up.
func openDevice(n int) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("a TUN device: %w", err)
	}
	if err := bringUp(n); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), device), nil
}

func bringUp(n int) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	for _, step := range []struct {
		name string
		call uint
		ip   net.IP
	}{
		{device, unix.SIOCSIFADDR, address(n)},
		{device, unix.SIOCSIFNETMASK, net.IPv4(255, 255, 255, 0)},
		{device, unix.SIOCSIFFLAGS, nil},
		{"lo", unix.SIOCSIFFLAGS, nil},
	} {
		request, err := unix.NewIfreq(step.name)
		if err != nil {
			return err
		}
		if step.ip == nil {
			request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		} else if err := request.SetInet4Addr(step.ip.To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, step.call, request); err != nil {
			return fmt.Errorf("%s up: %w", step.name, err)
		}
	}
	return nil
}
