package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// leastVersion is the first major version of Redis whose scripts may write after
// TIME without further ado and replicate what they did, not themselves.
const leastVersion = 7

// A server is a connection to one, or several of them.
type server interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
	ConfigGet(ctx context.Context, parameter string) *redis.MapStringStringCmd
}

// settings are what decides whether a server may keep logs.
type settings struct {
	version     int  // 0 if it does not tell, as one that is embedded
	shown       bool // whether it shows the rest
	eviction    string
	appendOnly  string
	fsync       string
	minReplicas int
}

// ask reads the settings of a server.
func ask(ctx context.Context, c server) (settings, error) {
	var s settings
	info, err := c.Info(ctx, "server").Result()
	if err != nil && (!isReply(err) || refusedByRedis(err)) {
		return s, fmt.Errorf("ask for the version of redis: %w", errors.Join(unavailable(), err))
	}
	major, _, _ := strings.Cut(infoField(info, "redis_version"), ".")
	if major == "" {
		return s, nil
	}
	if s.version, err = strconv.Atoi(major); err != nil {
		return s, errors.New("redis tells a version that does not parse")
	}
	var minReplicas string
	for name, value := range map[string]*string{
		"maxmemory-policy": &s.eviction, "appendonly": &s.appendOnly, "appendfsync": &s.fsync,
		"min-replicas-to-write": &minReplicas,
	} {
		values, err := c.ConfigGet(ctx, name).Result()
		if isReply(err) {
			return s, nil // it does not let us
		} else if err != nil {
			return s, fmt.Errorf("ask for a setting of redis: %w", errors.Join(unavailable(), err))
		}
		*value = values[name]
	}
	s.minReplicas, err = strconv.Atoi(minReplicas)
	s.shown = err == nil
	return s, nil
}

// check refuses settings that would lose entries. replicated says that entries
// must be on a replica; a server that demands one is not used without waiting
// for it.
func (s settings) check(replicated bool) error {
	switch {
	case s.version == 0:
		return nil
	case s.version < leastVersion:
		return fmt.Errorf("redis %d or later is needed", leastVersion)
	case !s.shown:
		return nil
	case s.eviction != "noeviction":
		return errors.New("redis may evict keys: set maxmemory-policy to noeviction")
	case s.appendOnly != "yes":
		return errors.New("redis forgets all when it starts again: set appendonly to yes")
	case replicated && s.minReplicas < 1:
		return errors.New("redis takes writes that no replica has: set min-replicas-to-write to 1")
	case !replicated && s.minReplicas > 0:
		return errors.New("redis has replicas since this process was started: start it again, so that it waits for them")
	}
	return nil
}

// warn tells the operator what may be lost all the same.
func (s settings) warn(ctx context.Context, log *slog.Logger, replicated bool) {
	switch {
	case s.version == 0:
		log.WarnContext(ctx, "redis does not tell its version: its settings are not checked")
	case !s.shown && replicated:
		log.WarnContext(ctx, "redis does not show its settings: it must have appendonly yes, maxmemory-policy noeviction "+
			"and min-replicas-to-write 1")
	case !s.shown:
		log.WarnContext(ctx, "redis does not show its settings: it must have appendonly yes, maxmemory-policy noeviction "+
			"and appendfsync always, and what its replicas have is not waited for")
	case !replicated && s.fsync != "always":
		log.WarnContext(ctx, "redis may lose the latest entries in a crash of its machine: set appendfsync always",
			slog.String("appendfsync", s.fsync))
	}
}

// checkServers refuses Redis if it cannot be reached, or a primary would lose
// entries by its settings.
func (t *topology) checkServers(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	reached := false
	err := t.primaries(ctx, func(ctx context.Context, c *redis.Client) error {
		s, err := ask(ctx, c)
		if err != nil {
			return err
		}
		if t.cluster == nil && s.minReplicas > 0 {
			t.replicated = true // as whoever set this wants it
		}
		if !reached {
			s.warn(ctx, log, t.replicated)
		}
		reached = true
		return s.check(t.replicated)
	})
	if err != nil && !reached {
		return fmt.Errorf("reach redis: %w", errors.Join(unavailable(), err))
	}
	return err
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}
