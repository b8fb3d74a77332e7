package localredis_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// Each shape settles, replaces a primary that is suspended or killed where it
// has another, and settles again when the old one is back.
func TestShapes(t *testing.T) {
	for name, shape := range map[string]func(string) (*localredis.Deployment, error){
		"standalone": localredis.Standalone, "sentinel": localredis.Sentinel, "cluster": localredis.Cluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.Start(t, shape)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			const key = "some key"
			old, err := d.Primary(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			write(t, ctx, old, key)
			old.Kill()
			if old.PID() != 0 {
				t.Error("a killed server has a process")
			}
			if err := old.Restart(); err != nil {
				t.Fatal(err)
			}
			settle(t, ctx, d)
			if old, err = d.Primary(ctx, key); err != nil {
				t.Fatal(err)
			}
			if err := old.Suspend(); err != nil {
				t.Fatal(err)
			}
			if name != "standalone" {
				for current := old; current == old; {
					if current, err = d.Primary(ctx, key); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := old.Resume(); err != nil {
				t.Fatal(err)
			}
			settle(t, ctx, d)
			current, err := d.Primary(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			write(t, ctx, current, key)
			current.Kill() // one that was promoted, and is not missed yet
			if err := current.Restart(); err != nil {
				t.Fatal(err)
			}
			settle(t, ctx, d)
			d.Stop()
			d.Stop() // nothing is left to stop
		})
	}
}

func settle(t *testing.T, ctx context.Context, d *localredis.Deployment) {
	t.Helper()
	if err := d.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, ctx context.Context, s *localredis.Server, key string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer c.Close()
	if err := c.Set(ctx, key, "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
}
