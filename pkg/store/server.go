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

// checkServer refuses a Redis that would lose entries by its settings, and warns
// of one that may lose the last ones in a crash.
func checkServer(ctx context.Context, client *redis.Client, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach redis: %w", errors.Join(unavailable(), err))
	}
	info, err := client.Info(ctx, "server").Result()
	if err != nil && !isReply(err) {
		return fmt.Errorf("ask for the version of redis: %w", err)
	}
	version := infoField(info, "redis_version")
	switch major, _, _ := strings.Cut(version, "."); {
	case version == "":
		log.WarnContext(ctx, "redis does not tell its version: its settings are not checked")
		return nil
	default:
		if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
			return fmt.Errorf("redis %d or later is needed", leastVersion)
		}
	}
	policy, err := setting(ctx, client, "maxmemory-policy")
	if err != nil {
		log.WarnContext(ctx, "redis does not show its settings: it must have maxmemory-policy noeviction "+
			"and appendfsync always", slog.Any("error", err))
		return nil
	}
	if policy != "noeviction" {
		return errors.New("redis may evict keys: set maxmemory-policy to noeviction")
	}
	only, err := setting(ctx, client, "appendonly")
	if err != nil {
		return err
	}
	fsync, err := setting(ctx, client, "appendfsync")
	if err != nil {
		return err
	}
	if only != "yes" || fsync != "always" {
		log.WarnContext(ctx, "redis may lose the latest entries in a crash: set appendonly yes and appendfsync always",
			slog.String("appendonly", only), slog.String("appendfsync", fsync))
	}
	return nil
}

func setting(ctx context.Context, client *redis.Client, name string) (string, error) {
	values, err := client.ConfigGet(ctx, name).Result()
	if err != nil {
		return "", fmt.Errorf("ask for a setting of redis: %w", err)
	}
	return values[name], nil
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}
