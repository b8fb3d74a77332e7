package ops

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	file := func(name, text string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(text)}} }
	const v1, v2 = "sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory.max"
	tests := []struct {
		name string
		root fstest.MapFS
		want int64
	}{
		{"no control group", fstest.MapFS{}, math.MaxInt64},
		{"version 2", file(v2, "536870912\n"), 483183820},
		{"version 2 without a limit", file(v2, "max\n"), math.MaxInt64},
		{"version 1", file(v1, "1000000000\n"), 900000000},
		{"not a number", file(v2, "-1"), math.MaxInt64},
	}
	for _, tt := range tests {
		if got := memoryLimit(tt.root); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestUseMemory(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	root := fstest.MapFS{"sys/fs/cgroup/memory.max": {Data: []byte("1073741824\n")}}
	for _, set := range []bool{true, false} { // by the environment
		value, wantPercent, wantLimit := "", 300, int64(966367641)
		if set {
			value, wantPercent, wantLimit = "100", 100, math.MaxInt64
		}
		t.Setenv("GOGC", value)
		t.Setenv("GOMEMLIMIT", value)
		UseMemory(root, 300)
		if got := debug.SetGCPercent(100); got != wantPercent {
			t.Errorf("set %v: GC percent %d, want %d", set, got, wantPercent)
		}
		if got := debug.SetMemoryLimit(math.MaxInt64); got != wantLimit {
			t.Errorf("set %v: limit %d, want %d", set, got, wantLimit)
		}
	}
}
