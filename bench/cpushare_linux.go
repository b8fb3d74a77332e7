package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cpuShare holds processes to a share of the processors, by a cgroup of version
// 1 or 2. It needs the right to make one, which root has.
type cpuShare struct{ dir string }

const (
	cgroupV1 = "/sys/fs/cgroup/cpu"
	cgroupV2 = "/sys/fs/cgroup"
)

// newCPUShare makes a group whose processes together get at most quota in each
// period. Among the groups of the machine it comes first, so that others cannot
// take what it is allowed.
func newCPUShare(name string, quota, period time.Duration) (*cpuShare, error) {
	us := func(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
	root := cgroupV1
	settings := [][2]string{
		{"cpu.cfs_period_us", us(period)},
		{"cpu.cfs_quota_us", us(quota)},
		{"cpu.shares", "262144"},
	}
	if _, err := os.Stat(filepath.Join(cgroupV2, "cgroup.controllers")); err == nil {
		root = cgroupV2
		settings = [][2]string{{"cpu.max", us(quota) + " " + us(period)}, {"cpu.weight", "10000"}}
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+cpu"), 0); err != nil {
			return nil, fmt.Errorf("have groups with CPU limits: %w", err)
		}
	}
	s := &cpuShare{dir: filepath.Join(root, name)}
	if err := os.Mkdir(s.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make a group with a CPU limit: %w", err)
	}
	for _, set := range settings {
		if err := os.WriteFile(filepath.Join(s.dir, set[0]), []byte(set[1]), 0); err != nil {
			return nil, errors.Join(fmt.Errorf("limit the CPU of a group: %w", err), s.remove())
		}
	}
	return s, nil
}

// hold moves a process into the group.
func (s *cpuShare) hold(pid int) error {
	err := os.WriteFile(filepath.Join(s.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	if err != nil {
		return fmt.Errorf("hold a process to its share: %w", err)
	}
	return nil
}

// remove removes the group. Processes that are left in it are first moved to
// where nothing is limited.
func (s *cpuShare) remove() error {
	pids, err := os.ReadFile(filepath.Join(s.dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for pid := range bytes.Lines(pids) {
		_ = os.WriteFile(filepath.Join(filepath.Dir(s.dir), "cgroup.procs"), pid, 0) // it may have ended
	}
	return os.Remove(s.dir)
}
