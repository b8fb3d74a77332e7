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

	dir   string
	front Front
	shape shape
}

// A Front is asked before a server of the given name listens on an address, which
// is host:port. It returns where everybody else is to find it: the servers
// themselves, which each connect from an address of their own, and their clients.
// So what stands there can break the way of anyone to anyone. It needs a loopback
// interface that has all of 127.0.0.0/8, as that of Linux.
type Front func(name, address string) (at string, err error)

// A shape is what differs between the deployments once they run.
type shape interface {
	// primary returns where others find whoever holds a key now.
	primary(ctx context.Context, key string) (string, error)
	// settled returns nil if all is as at the start: see Deployment.Settle.
	settled(ctx context.Context) error
}

// Standalone starts one server, whose writes are on disk before it answers them.
// The files are in dir.
func Standalone(dir string) (*Deployment, error) {
	d := &Deployment{dir: dir}
	s, err := d.start("redis", func(s *Server) ([]string, error) {
		return dataArgs(s, "--appendfsync", "always"), nil
	})
	if err != nil {
		return nil, err
	}
	d.URL, d.Servers, d.shape = "redis://"+s.Addr()+"/0", []*Server{s}, alone{s}
	return d, nil
}

// Sentinel starts a primary, two replicas, and three Sentinels that promote
// another primary when two of them have missed the old one for 1.5 seconds. A
// primary takes writes only while it has a replica. The files are in dir.
func Sentinel(dir string) (*Deployment, error) { return SentinelBehind(nil)(dir) }

// SentinelBehind returns what starts the same behind a front; nil is none. There,
// Sentinels wait for three seconds, since the front may be slow on a busy machine.
func SentinelBehind(front Front) func(dir string) (*Deployment, error) {
	return func(dir string) (*Deployment, error) { return startSentinel(dir, front) }
}

func startSentinel(dir string, front Front) (*Deployment, error) {
	d := &Deployment{dir: dir, front: front}
	for i := range 3 {
		s, err := d.start(fmt.Sprint("redis", i+1), d.watchedArgs)
		if err != nil {
			d.Stop()
			return nil, err
		}
		d.Servers = append(d.Servers, s)
	}
	var addrs []string
	for i := range 3 {
		s, err := d.start(fmt.Sprint("sentinel", i+1), d.sentinelArgs)
		if err != nil {
			d.Stop()
			return nil, err
		}
		d.Sentinels = append(d.Sentinels, s)
		addrs = append(addrs, s.at)
	}
	d.URL = "redis+sentinel://" + strings.Join(addrs, ",") + "/" + master + "/0"
	d.shape = watched{d}
	return d.ready()
}

// watchedArgs writes the file in which a server keeps whose replica it is, as the
// Sentinels tell it: one that is started again must not follow whom it followed first.
func (d *Deployment) watchedArgs(s *Server) ([]string, error) {
	file, config := filepath.Join(s.dir, "redis.conf"), ""
	if len(d.Servers) > 0 {
		config = fmt.Sprintf("replicaof %s %s\n", host, portOf(d.Servers[0].at))
	}
	args := dataArgs(s, "--appendfsync", "everysec", "--min-replicas-to-write", "1", "--min-replicas-max-lag", "5")
	return append([]string{file}, args...), os.WriteFile(file, []byte(config), 0o600)
}

// sentinelArgs writes the file in which a Sentinel keeps what it learns.
func (d *Deployment) sentinelArgs(s *Server) ([]string, error) {
	file := filepath.Join(s.dir, "sentinel.conf")
	missed := 1500 // ms
	if d.front != nil {
		missed = 3000
	}
	config := fmt.Sprintf(`bind %[1]s
port %[2]d
dir %[3]s
sentinel monitor %[4]s %[1]s %[5]s 2
sentinel down-after-milliseconds %[4]s %[6]d
sentinel failover-timeout %[4]s 5000
sentinel parallel-syncs %[4]s 2
`, host, s.port, s.dir, master, portOf(d.Servers[0].at), missed)
	if s.source != "" {
		config += fmt.Sprintf("bind-source-addr %s\nsentinel announce-ip %s\nsentinel announce-port %s\n", s.source, host, portOf(s.at))
	}
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
	at, err := d.shape.primary(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find primary: %w", err)
	}
	s := d.server(at)
	if s == nil {
		return nil, errors.New("find primary: it is none of ours")
	}
	return s, nil
}

// server returns the server that others find at an address, nil if it is none of
// ours.
func (d *Deployment) server(at string) *Server {
	i := slices.IndexFunc(d.Servers, func(s *Server) bool { return s.at == at })
	if i < 0 {
		return nil
	}
	return d.Servers[i]
}

// Replaced waits until the Sentinels name another primary than s, and that one has
// a replica.
func (d *Deployment) Replaced(ctx context.Context, s *Server) error {
	return await(ctx, "no other server is primary", func(ctx context.Context) error {
		now, err := d.Primary(ctx, "")
		if err != nil {
			return err
		}
		if now == s {
			return errors.New("it is primary still")
		}
		return inSync(ctx, now, 1)
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
