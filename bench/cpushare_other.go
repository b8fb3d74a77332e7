//go:build !linux

package bench

import "time"

type cpuShare struct{}

func newCPUShare(string, time.Duration, time.Duration) (*cpuShare, error) { return nil, errLinux }
func (*cpuShare) hold(int) error                                          { return errLinux }
func (*cpuShare) remove() error                                           { return errLinux }
