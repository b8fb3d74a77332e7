package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/sigilo/sigilo/pkg/store/localredis"
)

// houseKey is in the slot of the house's own log.
const houseKey = "{" + houseID + "}"

// shapes are what Redis a house can have.
var shapes = map[string]func(dir string) (*localredis.Deployment, error){
	"standalone": localredis.Standalone,
	"sentinel":   localredis.Sentinel,
	"cluster":    localredis.Cluster,
}

// A database is the Redis of a house.
type database struct {
	*localredis.Deployment
	parts []*part
	links []*link // to a standalone server, one for each replica of the DMS
}

// startDatabase starts Redis in one of its shapes. A standalone server is behind
// links; the servers of the others tell each other and their clients where they
// are, so there is no putting anything in between.
func startDatabase(n network, shape, dir string, replicas int) (*database, error) {
	start, ok := shapes[shape]
	if !ok {
		return nil, errors.New("no such shape of Redis")
	}
	deployment, err := start(filepath.Join(dir, "redis"))
	if err != nil {
		return nil, err
	}
	d := &database{Deployment: deployment}
	if len(d.Servers) == 1 {
		for i := range replicas {
			l, err := n.to(fmt.Sprintf("redis for dms%d", i+1), d.Servers[0].Addr())
			if err != nil {
				d.stop()
				return nil, err
			}
			d.links = append(d.links, l)
		}
	}
	for _, s := range d.Servers {
		p := &part{name: "redis", process: s, links: d.links}
		if len(d.Sentinels) > 0 {
			p.replaced = func(ctx context.Context) error { return d.Replaced(ctx, s) }
		}
		d.parts = append(d.parts, p)
	}
	for _, s := range d.Sentinels {
		d.parts = append(d.parts, &part{name: "sentinel", process: s})
	}
	return d, nil
}

// url is where the replica of the DMS of that number finds the database.
func (d *database) url(replica int) string {
	if d.links == nil {
		return d.URL
	}
	return strings.Replace(d.URL, d.Servers[0].Addr(), d.links[replica].at, 1)
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

func (d *database) stop() {
	d.Stop()
	for _, l := range d.links {
		l.cut()
	}
}
