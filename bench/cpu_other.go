//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errLinux = errors.New("CPU times are measured on Linux alone")

func threadCPU(func()) (time.Duration, error) { return 0, errLinux }
func processCPU() (time.Duration, error)      { return 0, errLinux }
func cpuOf(int) (time.Duration, error)        { return 0, errLinux }
func memoryOf(int) (uint64, error)            { return 0, errLinux }
