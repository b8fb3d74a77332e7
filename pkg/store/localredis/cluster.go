package localredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	shards   = 3
	allSlots = 16384
)

// Cluster starts three primaries with a replica each, which take over from those
// that were away for two seconds. A primary takes writes only while it has a
// replica, so the slots of one that died wait until it is back. The files are in
// dir.
func Cluster(dir string) (*Deployment, error) { return ClusterBehind(nil)(dir) }

// ClusterBehind returns what starts the same behind a front; nil is none.
func ClusterBehind(front Front) func(dir string) (*Deployment, error) {
	return func(dir string) (*Deployment, error) { return startCluster(dir, front) }
}

func startCluster(dir string, front Front) (*Deployment, error) {
	d := &Deployment{dir: dir, front: front}
	buses := make([]string, 2*shards) // where the others find the bus of each server
	var addrs []string
	for i := range 2 * shards {
		s, err := d.start(fmt.Sprint("redis", i+1), func(s *Server) (args []string, err error) {
			args, buses[i], err = d.clusterArgs(s)
			return args, err
		})
		if err != nil {
			d.Stop()
			return nil, err
		}
		d.Servers = append(d.Servers, s)
		addrs = append(addrs, s.at)
	}
	d.URL, d.shape = "redis+cluster://"+strings.Join(addrs, ","), clustered{d}
	if err := d.join(buses); err != nil {
		d.Stop()
		return nil, fmt.Errorf("make cluster: %w", err)
	}
	return d.ready()
}

// clusterArgs returns the arguments of a server, and where the others find its bus.
func (d *Deployment) clusterArgs(s *Server) (args []string, bus string, err error) {
	port, err := FreePort()
	if err != nil {
		return nil, "", err
	}
	if bus, err = d.found(s.Name(), fmt.Sprintf("%s:%d", host, port)); err != nil {
		return nil, "", err
	}
	return dataArgs(s, "--appendfsync", "everysec", "--min-replicas-to-write", "1",
		"--min-replicas-max-lag", "5", "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(port),
		"--cluster-node-timeout", "2000", "--cluster-announce-ip", host,
		"--cluster-announce-port", portOf(s.at), "--cluster-announce-bus-port", portOf(bus)), bus, nil
}

// join makes one Cluster of all servers. buses is where they find each other's.
func (d *Deployment) join(buses []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ids := make([]string, len(d.Servers))
	for i, s := range d.Servers {
		err := ask(ctx, s.Addr(), func(ctx context.Context, c *redis.Client) error {
			if i < shards {
				if err := c.ClusterAddSlotsRange(ctx, allSlots*i/shards, allSlots*(i+1)/shards-1).Err(); err != nil {
					return err
				}
			}
			if err := c.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
				return err
			}
			var err error
			ids[i], err = c.ClusterMyID(ctx).Result()
			return err
		})
		if err != nil {
			return err
		}
	}
	err := ask(ctx, d.Servers[0].Addr(), func(ctx context.Context, c *redis.Client) error {
		for i, s := range d.Servers[1:] {
			// The bus is not where Redis would guess.
			if err := c.Do(ctx, "CLUSTER", "MEET", host, portOf(s.at), portOf(buses[i+1])).Err(); err != nil {
				return fmt.Errorf("meet server %d: %w", i+2, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range shards {
		if err := d.replicate(ctx, d.Servers[shards+i], ids[i]); err != nil {
			return err
		}
	}
	return nil
}

// replicate makes a server the replica of another, once it has heard of it.
func (d *Deployment) replicate(ctx context.Context, s *Server, id string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx, s.Addr(), func(ctx context.Context, c *redis.Client) error { return c.ClusterReplicate(ctx, id).Err() })
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// clustered is the shape of a Cluster.
type clustered struct{ d *Deployment }

// primary asks all servers: the one that was elected last knows it first.
func (c clustered) primary(ctx context.Context, key string) (string, error) {
	var addr string
	var epoch int64 = -1
	var errs error
	for _, s := range c.d.Servers {
		err := ask(ctx, s.Addr(), func(ctx context.Context, client *redis.Client) error {
			slot, err := client.ClusterKeySlot(ctx, key).Result()
			if err != nil {
				return err
			}
			nodes, err := client.ClusterNodes(ctx).Result()
			if err != nil {
				return err
			}
			for line := range strings.Lines(nodes) {
				n := parseNode(line)
				if n.primary && n.has(slot) && n.epoch > epoch {
					addr, epoch = n.addr, n.epoch
				}
			}
			return nil
		})
		errs = errors.Join(errs, err)
	}
	if addr == "" {
		return "", errors.Join(errors.New("nobody has the slot"), errs)
	}
	return addr, nil
}

// settled wants each server to see each other one in place.
func (c clustered) settled(ctx context.Context) error {
	for _, s := range c.d.Servers {
		var primaries []string
		err := ask(ctx, s.Addr(), func(ctx context.Context, client *redis.Client) error {
			state, err := client.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			nodes, err := client.ClusterNodes(ctx).Result()
			if err != nil {
				return err
			}
			fields := parseInfo(state)
			if fields["cluster_state"] != "ok" || fields["cluster_known_nodes"] != strconv.Itoa(len(c.d.Servers)) {
				return errors.New("the Cluster is not whole")
			}
			if strings.Contains(nodes, "fail") || strings.Contains(nodes, "handshake") || strings.Contains(nodes, "disconnected") {
				return errors.New("a server does not see another")
			}
			for line := range strings.Lines(nodes) {
				if n := parseNode(line); n.primary {
					primaries = append(primaries, n.addr)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(primaries) != shards {
			return fmt.Errorf("%d primaries, want %d", len(primaries), shards)
		}
		for _, addr := range primaries {
			if err := inSync(ctx, c.d.server(addr), 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// A node is a line of CLUSTER NODES.
type node struct {
	addr    string
	primary bool
	epoch   int64
	slots   []string // ranges
}

func parseNode(line string) node {
	f := strings.Fields(line)
	if len(f) < 8 {
		return node{}
	}
	addr, _, _ := strings.Cut(f[1], "@")
	epoch, _ := strconv.ParseInt(f[6], 10, 64) // what does not parse loses against what does
	flags := strings.Split(f[2], ",")
	return node{addr: addr, primary: slices.Contains(flags, "master"), epoch: epoch, slots: f[8:]}
}

func (n node) has(slot int64) bool {
	for _, r := range n.slots {
		from, to, found := strings.Cut(r, "-")
		if !found {
			to = from
		}
		a, errA := strconv.ParseInt(from, 10, 64)
		b, errB := strconv.ParseInt(to, 10, 64)
		if errA == nil && errB == nil && a <= slot && slot <= b {
			return true
		}
	}
	return false
}
