package localredis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// askTimeout bounds one question: a suspended server answers none.
const askTimeout = time.Second

// ask runs f with a connection to the server at addr.
func ask(ctx context.Context, addr string, f func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, Protocol: 2, PoolSize: 1,
		DisableIdentity: true, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer client.Close()
	if err := f(ctx, client); err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	return nil
}

// info asks a server for a section of its INFO.
func info(ctx context.Context, addr, section string) (fields map[string]string, err error) {
	err = ask(ctx, addr, func(ctx context.Context, c *redis.Client) error {
		text, err := c.Info(ctx, section).Result()
		fields = parseInfo(text)
		return err
	})
	return fields, err
}

func parseInfo(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// inSync returns nil if a server is a primary whose replicas, of which there are
// at least n, have all that it has. It may be nil, if it is none of ours.
func inSync(ctx context.Context, s *Server, n int) error {
	if s == nil {
		return errors.New("the primary is none of ours")
	}
	fields, err := info(ctx, s.Addr(), "replication")
	if err != nil {
		return err
	}
	if fields["role"] != "master" {
		return errors.New("the primary is a replica")
	}
	synced := 0
	for name, value := range fields {
		digits, ok := strings.CutPrefix(name, "slave")
		if _, err := strconv.Atoi(digits); !ok || err != nil {
			continue
		}
		if strings.Contains(value, "state=online") && strings.Contains(value, "offset="+fields["master_repl_offset"]+",") {
			synced++
		}
	}
	if synced < n {
		return fmt.Errorf("%d replicas are in sync, want %d", synced, n)
	}
	return nil
}

// inFile returns nil if the server at addr would have after a kill -9 what it has
// now: a replica writes its file anew after it took all from its primary, and
// until that is done the file has nothing of it.
func inFile(ctx context.Context, addr string) error {
	fields, err := info(ctx, addr, "persistence")
	if err != nil {
		return err
	}
	for name, want := range map[string]string{
		"loading": "0", "aof_enabled": "1", "aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0", "aof_buffer_length": "0",
	} {
		if fields[name] != want {
			return fmt.Errorf("%s of %s is %q, want %s", name, addr, fields[name], want)
		}
	}
	return nil
}

// alone is the shape of one server.
type alone struct{ server *Server }

func (a alone) primary(context.Context, string) (string, error) { return a.server.at, nil }

func (a alone) settled(ctx context.Context) error {
	return ask(ctx, a.server.Addr(), func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
}

// watched is the shape of replicas under Sentinels.
type watched struct{ d *Deployment }

// primary asks the Sentinels, of which one may be away.
func (w watched) primary(ctx context.Context, _ string) (addr string, err error) {
	for _, s := range w.d.Sentinels {
		err = ask(ctx, s.Addr(), func(ctx context.Context, c *redis.Client) error {
			parts := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)
			if err := c.Process(ctx, parts); err != nil {
				return err
			}
			if len(parts.Val()) != 2 {
				return errors.New("no such primary")
			}
			addr = strings.Join(parts.Val(), ":")
			return nil
		})
		if err == nil {
			return addr, nil
		}
	}
	return "", err
}

func (w watched) settled(ctx context.Context) error {
	var first string
	for _, s := range w.d.Sentinels {
		err := ask(ctx, s.Addr(), func(ctx context.Context, c *redis.Client) error {
			cmd := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", master)
			if err := c.Process(ctx, cmd); err != nil {
				return err
			}
			m := cmd.Val()
			if m["flags"] != "master" || m["num-other-sentinels"] != "2" || m["num-slaves"] != "2" {
				return errors.New("a Sentinel does not see all others in place")
			}
			addr := m["ip"] + ":" + m["port"]
			if first == "" {
				first = addr
			}
			if addr != first {
				return errors.New("the Sentinels name two primaries")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return inSync(ctx, w.d.server(first), len(w.d.Servers)-1)
}
