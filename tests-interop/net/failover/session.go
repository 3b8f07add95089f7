package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

const (
	opCreate = 1
	opSet    = 5
)

// session is the least of a client: one request at a time, no waiting before it tries again.
type session struct {
	link  net.Conn
	reply *bufio.Reader
	xid   int32
}

func text(bytes []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(bytes))), bytes...)
}

func open(address string, limit time.Duration) (*session, error) {
	link, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		return nil, err
	}
	s := &session{link: link, reply: bufio.NewReader(link)}
	_ = link.SetDeadline(time.Now().Add(limit))
	hello := make([]byte, 24) // protocol version, last zxid, timeout, session id
	binary.BigEndian.PutUint32(hello[12:], 20000)
	hello = append(append(hello, text(make([]byte, 16))...), 0)
	answer, err := s.exchange(hello)
	if err == nil && (len(answer) < 16 || binary.BigEndian.Uint64(answer[8:]) == 0) {
		err = errors.New("no session")
	}
	if err != nil {
		link.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) exchange(body []byte) ([]byte, error) {
	if _, err := s.link.Write(text(body)); err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(s.reply, head); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint32(head))
	_, err := io.ReadFull(s.reply, answer)
	return answer, err
}

// call gives the error code of a request's reply.
func (s *session) call(operation uint32, body []byte, limit time.Duration) (int32, error) {
	s.xid++
	_ = s.link.SetDeadline(time.Now().Add(limit))
	request := binary.BigEndian.AppendUint32(nil, uint32(s.xid))
	answer, err := s.exchange(append(binary.BigEndian.AppendUint32(request, operation), body...))
	if err != nil {
		return 0, err
	}
	if len(answer) < 16 || int32(binary.BigEndian.Uint32(answer)) != s.xid {
		return 0, errors.New("not the reply awaited")
	}
	return int32(binary.BigEndian.Uint32(answer[12:])), nil
}

// set writes a node of 100 bytes.
func (s *session) set(path string, limit time.Duration) error {
	body := append(text([]byte(path)), text(make([]byte, 100))...)
	code, err := s.call(opSet, binary.BigEndian.AppendUint32(body, ^uint32(0)), limit)
	if err == nil && code != 0 {
		err = errors.New("refused")
	}
	return err
}

func (s *session) create(path string, limit time.Duration) error {
	body := append(append(text([]byte(path)), text(nil)...), 0, 0, 0, 1, 0, 0, 0, 31)
	body = append(append(body, text([]byte("world"))...), text([]byte("anyone"))...)
	_, err := s.call(opCreate, append(body, 0, 0, 0, 0), limit)
	return err
}
