package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const hostsFile = "/etc/hosts"

// names stand for servers' addresses in their configuration files. Every server of a scenario sees the same names.
type names struct{ path string }

func hostname(n int) string { return fmt.Sprintf("zk-%d.zk.test", n) }

// newNames puts a list of names in the place of the system's, for this program's mount namespace; end takes it away.
func newNames(home string) (*names, error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	n := &names{path: filepath.Join(home, "hosts")}
	if err := n.know(); err != nil {
		return nil, err
	}
	if err := unix.Mount(n.path, hostsFile, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("a list of names: %w", err)
	}
	return n, nil
}

func (n *names) end() { _ = unix.Unmount(hostsFile, 0) }

// know writes the list anew: these servers' names resolve from now on, and no others. The file stays the same one, for the
// mount's sake.
func (n *names) know(servers ...int) error {
	var list strings.Builder
	fmt.Fprintln(&list, "127.0.0.1 localhost")
	for _, server := range servers {
		fmt.Fprintf(&list, "%s %s\n", address(server), hostname(server))
	}
	return os.WriteFile(n.path, []byte(list.String()), 0o644)
}
