package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// threadCPU returns the CPU time that step took: of this thread alone, whatever
// else ran meanwhile.
func threadCPU(step func()) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var begin, end unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &begin); err != nil {
		return 0, fmt.Errorf("read thread clock: %w", err)
	}
	step()
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &end); err != nil {
		return 0, fmt.Errorf("read thread clock: %w", err)
	}
	return time.Duration(end.Nano() - begin.Nano()), nil
}

// processCPU returns the CPU time of this process so far, of user and kernel.
func processCPU() (time.Duration, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("read resource usage: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}

// clockTick is the unit of times in /proc: 1/100 s on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf returns the CPU time of another process so far (proc_pid_stat(5)).
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// After the name, which is in parentheses and may hold anything: fields 3 on.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("read process times: fields are missing")
	}
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read process times: %w", err)
		}
		ticks += time.Duration(n)
	}
	return ticks * clockTick, nil
}

// memoryOf returns the bytes of memory that another process holds (its resident
// set, proc_pid_statm(5)).
func memoryOf(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0, errors.New("read process memory: fields are missing")
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize()), err
}
