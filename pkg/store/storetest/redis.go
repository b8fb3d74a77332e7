// Package storetest runs real Redis servers for tests.
package storetest

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/store/localredis"
)

// Redis is a redis-server of a test's own, on a free port of the loopback
// interface, with its files in a temporary folder and the settings that the
// store demands: every write is on disk before it is answered.
type Redis struct {
	*localredis.Server
	t   testing.TB
	url string
}

// StartRedis starts a server, which ends with the test. A machine without
// redis-server fails the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	d := Start(t, localredis.Standalone)
	return &Redis{Server: d.Servers[0], t: t, url: d.URL}
}

// URL is where the server listens.
func (r *Redis) URL() string { return r.url }

// Restart starts a killed server again on its files and its port.
func (r *Redis) Restart() {
	r.t.Helper()
	if err := r.Server.Restart(); err != nil {
		r.t.Fatal(err)
	}
}

// Start starts Redis in the given shape, such as localredis.Sentinel. It ends
// with the test.
func Start(t testing.TB, shape func(dir string) (*localredis.Deployment, error)) *localredis.Deployment {
	t.Helper()
	d, err := shape(t.TempDir())
	if err != nil {
		t.Fatalf("%v: see scripts/setup.sh", err)
	}
	t.Cleanup(d.Stop)
	return d
}
