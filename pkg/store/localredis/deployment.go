package localredis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// master is the name by which Sentinels know the primary.
const master = "house"

// A Deployment is Redis in one of its shapes.
type Deployment struct {
	URL       string    // as store.Options take it
	Servers   []*Server // those that hold data; the first ones were started as primaries
	Sentinels []*Server

	shape shape
}

// A shape is what differs between the deployments once they run.
type shape interface {
	// primary returns the address of whoever holds a key now.
	primary(ctx context.Context, key string) (string, error)
	// settled returns nil if all is as at the start: see Deployment.Settle.
	settled(ctx context.Context) error
}

// Standalone starts one server, whose writes are on disk before it answers them.
// The files are in dir.
func Standalone(dir string) (*Deployment, error) {
	s, err := start(dir, "redis", func(dir string, port int) ([]string, error) {
		return dataArgs(dir, port, "--appendfsync", "always"), nil
	})
	if err != nil {
		return nil, err
	}
	return &Deployment{URL: "redis://" + s.Addr() + "/0", Servers: []*Server{s}, shape: alone{s}}, nil
}

// Sentinel starts a primary, two replicas, and three Sentinels that promote
// another primary when two of them have missed the old one for 1.5 seconds. A
// primary takes writes only while it has a replica. The files are in dir.
func Sentinel(dir string) (*Deployment, error) {
	d := new(Deployment)
	for i := range 3 {
		more := []string{"--appendfsync", "everysec", "--min-replicas-to-write", "1", "--min-replicas-max-lag", "5"}
		if i > 0 {
			more = append(more, "--replicaof", host, fmt.Sprint(d.Servers[0].port))
		}
		s, err := start(dir, fmt.Sprint("redis", i+1), func(dir string, port int) ([]string, error) {
			return dataArgs(dir, port, more...), nil
		})
		if err != nil {
			d.Stop()
			return nil, err
		}
		d.Servers = append(d.Servers, s)
	}
	var addrs []string
	for i := range 3 {
		s, err := start(dir, fmt.Sprint("sentinel", i+1), d.sentinelArgs)
		if err != nil {
			d.Stop()
			return nil, err
		}
		d.Sentinels = append(d.Sentinels, s)
		addrs = append(addrs, s.Addr())
	}
	d.URL = "redis+sentinel://" + strings.Join(addrs, ",") + "/" + master + "/0"
	d.shape = watched{d}
	return d.ready()
}

// sentinelArgs writes the file in which a Sentinel keeps what it learns.
func (d *Deployment) sentinelArgs(dir string, port int) ([]string, error) {
	file := filepath.Join(dir, "sentinel.conf")
	config := fmt.Sprintf(`bind %[1]s
port %[2]d
dir %[3]s
sentinel monitor %[4]s %[1]s %[5]d 2
sentinel down-after-milliseconds %[4]s 1500
sentinel failover-timeout %[4]s 5000
sentinel parallel-syncs %[4]s 2
`, host, port, dir, master, d.Servers[0].port)
	return []string{file, "--sentinel"}, os.WriteFile(file, []byte(config), 0o600)
}

// ready gives a deployment that is not ready in time up.
func (d *Deployment) ready() (*Deployment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Settle(ctx); err != nil {
		d.Stop()
		return nil, err
	}
	return d, nil
}

// Primary returns the server that takes the writes of a key now.
func (d *Deployment) Primary(ctx context.Context, key string) (*Server, error) {
	addr, err := d.shape.primary(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find primary: %w", err)
	}
	i := slices.IndexFunc(d.Servers, func(s *Server) bool { return s.Addr() == addr })
	if i < 0 {
		return nil, errors.New("find primary: it is none of ours")
	}
	return d.Servers[i], nil
}

// Replaced waits until the Sentinels name another primary than s, and that one has
// a replica.
func (d *Deployment) Replaced(ctx context.Context, s *Server) error {
	return await(ctx, "no other server is primary", func(ctx context.Context) error {
		addr, err := d.shape.primary(ctx, "")
		if err != nil {
			return err
		}
		if addr == s.Addr() {
			return errors.New("it is primary still")
		}
		return inSync(ctx, addr, 1)
	})
}

// Settle waits until all servers run, each primary has its replicas in sync, each
// server has in its file what it had in memory, and whoever watches them agrees:
// only then is the next fault a single one.
func (d *Deployment) Settle(ctx context.Context) error {
	return await(ctx, "redis does not settle", func(ctx context.Context) error {
		if err := d.shape.settled(ctx); err != nil {
			return err
		}
		for _, s := range d.Servers {
			if err := inFile(ctx, s.Addr()); err != nil {
				return err
			}
		}
		return nil
	})
}

// await waits until a condition holds, which is looked at often.
func await(ctx context.Context, what string, condition func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-tick.C:
		}
	}
}

// Stop kills all servers.
func (d *Deployment) Stop() {
	for _, s := range slices.Concat(d.Sentinels, d.Servers) {
		s.Kill()
	}
}
