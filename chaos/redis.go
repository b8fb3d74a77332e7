package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/sigilo/sigilo/pkg/store/localredis"
)

// houseKey is in the slot of the house's own log.
const houseKey = "{" + houseID + "}"

// A database is the Redis of a house.
type database struct {
	*localredis.Deployment
	parts []*part
	urls  []string // where each replica of the DMS finds it
}

// startDatabase starts Redis in one of its shapes. Each replica of the DMS has its
// own way to a standalone server. In the other shapes servers tell where they are,
// to each other and to their clients: there, each is told to name its door.
func startDatabase(n *network, shape, dir string, replicas int) (*database, error) {
	dir = filepath.Join(dir, "redis")
	switch shape {
	case "standalone":
		return startAlone(n, dir, replicas)
	case "sentinel":
		return startMany(n, localredis.SentinelBehind, dir, replicas)
	case "cluster":
		return startMany(n, localredis.ClusterBehind, dir, replicas)
	}
	return nil, errors.New("no such shape of Redis")
}

func startAlone(n *network, dir string, replicas int) (*database, error) {
	deployment, err := localredis.Standalone(dir)
	if err != nil {
		return nil, err
	}
	d := &database{Deployment: deployment}
	s := d.Servers[0]
	p := &part{name: "redis", process: s}
	d.parts = []*part{p}
	for range replicas {
		door, err := n.door(s.Name(), s.Addr())
		if err != nil {
			d.Stop()
			return nil, err
		}
		p.ways = append(p.ways, way{name: " from dms", links: []*link{door.from(everybody)}})
		d.urls = append(d.urls, strings.Replace(d.URL, s.Addr(), door.at, 1))
	}
	return d, nil
}

func startMany(
	n *network, start func(localredis.Front) func(string) (*localredis.Deployment, error), dir string, replicas int,
) (*database, error) {
	var doors []*door
	deployment, err := start(func(name, address string) (string, error) {
		d, err := n.door(name, address)
		if err != nil {
			return "", err
		}
		doors = append(doors, d)
		return d.at, nil
	})(dir)
	if err != nil {
		return nil, err
	}
	d := &database{Deployment: deployment}
	for range replicas {
		d.urls = append(d.urls, d.URL)
	}
	for _, s := range d.Servers {
		p := &part{name: "redis", process: s, ways: d.ways(doors, s)}
		if len(d.Sentinels) > 0 {
			p.replaced = func(ctx context.Context) error { return d.Replaced(ctx, s) }
		}
		d.parts = append(d.parts, p)
	}
	for _, s := range d.Sentinels {
		d.parts = append(d.parts, &part{name: "sentinel", process: s, ways: d.ways(doors, s)})
	}
	return d, nil
}

// ways are what may be broken around a server: its way to the replicas of the DMS,
// its ways to and from the other servers with data, and all together. A Sentinel
// has the last alone.
//
// What is left out is a primary that lost the others and the Sentinels, and that
// the replicas of the DMS still reach: it shows the past until it is told that it
// was replaced (docs/reliability.md).
func (d *database) ways(doors []*door, s *localredis.Server) []way {
	data := make(map[string]bool) // addresses that data is asked for at, and that servers with data come from
	sources := []string{everybody}
	for _, other := range d.Servers {
		data[other.Addr()], data[other.Source()] = true, true
		sources = append(sources, other.Source())
	}
	for _, other := range d.Sentinels {
		sources = append(sources, other.Source())
	}
	var replicas, peers, all []*link
	for _, door := range doors {
		for _, from := range sources {
			if (door.name == s.Name()) == (from == s.Source()) {
				continue // it is none of its ways, or leads to itself
			}
			l := door.from(from)
			all = append(all, l)
			switch {
			case !data[door.to]: // the bus, or a Sentinel
			case from == everybody:
				replicas = append(replicas, l)
			case data[from]:
				peers = append(peers, l)
			}
		}
	}
	apart := way{name: " from all", links: all, missed: data[s.Addr()] && len(d.Sentinels) > 0}
	if !data[s.Addr()] {
		return []way{apart}
	}
	return []way{{name: " from dms", links: replicas}, {name: " from redis", links: peers}, apart}
}

// pick chooses a part for a fault: half of the time the primary of the house's own
// log, which hurts most.
func (d *database) pick(ctx context.Context, random *rand.Rand) *part {
	p := d.parts[random.IntN(len(d.parts))]
	if random.IntN(2) == 0 {
		return p
	}
	primary, err := d.Primary(ctx, houseKey)
	if err != nil {
		return p // it is not known just now
	}
	for _, p := range d.parts {
		if p.process == process(primary) {
			return p
		}
	}
	return p
}
