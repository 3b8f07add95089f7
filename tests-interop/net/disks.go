package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// wipe empties a server's database; it keeps its number.
func (s *server) wipe() error { return os.RemoveAll(filepath.Join(s.data(), "version-2")) }

// newestLog is the log file with the highest first zxid.
func (s *server) newestLog() (string, error) {
	logs, err := filepath.Glob(filepath.Join(s.data(), "version-2", "log.*"))
	if err != nil || len(logs) == 0 {
		return "", fmt.Errorf("no log in %s: %v", s.data(), err)
	}
	zxid := func(path string) uint64 {
		n, _ := strconv.ParseUint(strings.TrimPrefix(filepath.Base(path), "log."), 16, 64)
		return n
	}
	sort.Slice(logs, func(i, j int) bool { return zxid(logs[i]) < zxid(logs[j]) })
	return logs[len(logs)-1], nil
}

// logEnd is where the records of a log end: its head is 16 bytes, a record is a checksum i64, a length i32, its
// bytes and 'B'; zeros follow.
func logEnd(log []byte) int {
	at := 16
	for at+12 <= len(log) {
		size := int(binary.BigEndian.Uint32(log[at+8:]))
		if size == 0 || at+12+size+1 > len(log) || log[at+12+size] != 'B' {
			break
		}
		at += 12 + size + 1
	}
	return at
}

// tear leaves the beginning of one more record behind the last, as a power loss in mid-write does.
func (s *server) tear() error {
	path, err := s.newestLog()
	if err != nil {
		return err
	}
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	torn := make([]byte, 12+100)
	for i := range torn {
		torn[i] = byte(i * 7)
	}
	binary.BigEndian.PutUint32(torn[8:], 400)
	_, err = file.WriteAt(torn, int64(logEnd(log)))
	return err
}

// smallDisk gives a server's data a disk of its own of so many bytes; the mount goes with this process's namespace.
func (s *server) smallDisk(size int) error {
	if err := unix.Mount("tmpfs", s.data(), "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("a tmpfs: %w", err)
	}
	return s.name()
}

func (s *server) filler() string { return filepath.Join(s.data(), "filler") }

// fill takes all that is free on a server's disk.
func (s *server) fill() error {
	file, err := os.Create(s.filler())
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(block)
	}
	return nil
}
