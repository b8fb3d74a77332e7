package ops

import (
	"io/fs"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare of the control group's limit is what the Go runtime keeps within:
// the rest is for what it does not count.
const memoryShare = 0.9

// How much garbage may gather before it is collected, in percent of what is in
// use.
const (
	// GarbageOfMany is for a service with thousands of connections in memory, and is
	// the runtime's own: at 300, each idle one takes half as much memory again for 3
	// percent less CPU.
	GarbageOfMany = 100
	// GarbageOfFew is for a service with little in memory, which would be collected
	// all the time.
	GarbageOfFew = 300
)

// UseMemory lets so much garbage gather before it is collected, in percent of
// what is in use, and less as the process comes near to the memory limit of its
// control group, so that a container is not ended for memory that is garbage. What
// the environment says in GOGC and GOMEMLIMIT stands. For the main function of a
// service; root is the root of the file system.
func UseMemory(root fs.FS, garbage int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(root))
	}
}

// memoryLimit is what the Go runtime keeps within, in bytes; math.MaxInt64 is no
// limit.
func memoryLimit(root fs.FS) int64 {
	for _, name := range []string{
		"sys/fs/cgroup/memory.max",                   // version 2
		"sys/fs/cgroup/memory/memory.limit_in_bytes", // version 1, where no limit is a number near 2^63
	} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || limit <= 0 { // "max"
			return math.MaxInt64
		}
		return int64(float64(limit) * memoryShare)
	}
	return math.MaxInt64
}
