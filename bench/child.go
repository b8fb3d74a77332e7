package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
	"github.com/sigilo/sigilo/services/dms"
)

// floorEvery is of how many verifications one is done a second time and timed.
// A single time is off by half where a hypervisor takes the processor away now
// and then, so the mean needs thousands of them.
const floorEvery = 10

// childConfig is the first line that a DMS process of a benchmark reads.
type childConfig struct {
	House    string `json:"house"`
	Keys     string `json:"keys"` // folder
	RedisURL string `json:"redis_url"`
	CA       string `json:"ca"`
	TSA      string `json:"tsa"`
	Plain    bool   `json:"plain"` // no verification is repeated for a floor

	PerAddress int `json:"per_address"` // connections; 0 is no limit
}

// childReady is the first line that it writes.
type childReady struct {
	URL   string `json:"url"`
	Ready string `json:"ready"` // where it says whether it can do its work
}

// childStat answers the line "stat".
type childStat struct {
	CPU    time.Duration `json:"cpu_ns"`   // of the process so far
	Floor  time.Duration `json:"floor_ns"` // of it, of verifications that were repeated
	Timed  uint64        `json:"timed"`    // pairs of those: of a command's signature and of its stamp
	Memory uint64        `json:"memory_bytes"`
	Allocs uint64        `json:"allocs"` // objects so far
	Cycles uint32        `json:"cycles"` // of the garbage collector so far
}

// The lines that a DMS process takes. profileStart is followed by a file.
const (
	askStat      = "stat"
	profileStart = "profile "
	profileEnd   = "profile-end"
)

// RunDMS runs one replica as [Bid] starts it, in a process of its own: the
// configuration and then questions come line by line on in, and the answers go
// to out. It ends with ctx, or with in.
func RunDMS(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.Join(errors.New("no configuration"), lines.Err())
	}
	var cfg childConfig
	if err := json.Unmarshal(lines.Bytes(), &cfg); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &child{out: json.NewEncoder(out)}
	c.floor.calibrate()
	go func() {
		defer cancel()
		for lines.Scan() {
			c.ask(lines.Text())
		}
	}()
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfMany) // as cmd/dms does
	return dms.Run(ctx, c.config(cfg))
}

// child answers questions about the replica that runs in this process.
type child struct {
	mu      sync.Mutex // one answer at a time
	out     *json.Encoder
	profile *os.File

	floor floor
}

// config is what cmd/dms would have from its flags, but for a log of nothing
// but errors, and the floor.
func (c *child) config(cfg childConfig) dms.Config {
	file := func(name string) string { return filepath.Join(cfg.Keys, name) }
	d := dms.Config{
		Config: ops.Config{Listen: "127.0.0.1:0", Internal: "127.0.0.1:0", LogLevel: slog.LevelError},
		House:  cfg.House, RedisURL: cfg.RedisURL, CA: cfg.CA, TSA: map[string]string{bidAuthority: cfg.TSA},
		Root: file(ca.FileRoot), Certificate: file(ca.FileDMS), Key: file(ca.FileDMSKey),
		LogKey: file(ca.FileLogKey), Policy: file(ca.FilePolicy),
		SessionLife: 30 * time.Minute, MaxSessions: 20000, MaxPerAddress: cfg.PerAddress,
		Log: ops.NewLogger(os.Stderr, slog.LevelError),
		OnListen: func(public, internal string) {
			c.write(childReady{URL: "http://" + public, Ready: "http://" + internal + "/readyz"})
		},
	}
	if !cfg.Plain {
		d.OnVerify = c.verified
	}
	return d
}

func (c *child) write(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(v) // whoever reads is gone, and then in ends too
}

// ask answers one line.
func (c *child) ask(line string) {
	var err error
	switch file, start := strings.CutPrefix(line, profileStart); {
	case start:
		err = c.startProfile(file)
	case line == profileEnd:
		pprof.StopCPUProfile()
		err = c.profile.Close()
	case line == askStat:
		var s childStat
		if s, err = c.stat(); err == nil {
			c.write(s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dms:", err)
	}
}

func (c *child) startProfile(file string) error {
	var err error
	if c.profile, err = os.Create(file); err != nil {
		return err
	}
	return pprof.StartCPUProfile(c.profile)
}

func (c *child) stat() (childStat, error) {
	cpu, err := processCPU()
	if err != nil {
		return childStat{}, err
	}
	s := childStat{CPU: cpu, Floor: time.Duration(c.floor.total.Load()), Timed: c.floor.timed.Load() / 2}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.Memory, s.Allocs, s.Cycles = memory.Sys, memory.Mallocs, memory.NumGC
	return s, nil
}

// verified repeats some verifications right after they were done, in the same
// process under the same load, and times these.
func (c *child) verified(op string, step func()) {
	seen := &c.floor.seen[0]
	if op == "timestamp_token" {
		seen = &c.floor.seen[1]
	}
	if seen.Add(1)%floorEvery != 0 {
		return
	}
	if d, err := threadCPU(step); err == nil {
		c.floor.total.Add(int64(d - c.floor.clock))
		c.floor.timed.Add(1)
	}
}

// floor is the CPU time of verifications that were done again.
type floor struct {
	seen  [2]atomic.Uint64 // of a command's signature, of its stamp
	timed atomic.Uint64    // of both kinds
	total atomic.Int64
	clock time.Duration // that reading the clock adds to each; set before the first
}

// calibrate takes the median of what the clock shows for nothing.
func (f *floor) calibrate() {
	times := make([]time.Duration, 1001)
	for i := range times {
		times[i], _ = threadCPU(func() {}) // where it fails, nothing is timed
	}
	slices.Sort(times)
	f.clock = times[len(times)/2]
}
