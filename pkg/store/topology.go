package store

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A topology is Redis in one of its shapes. Its commands go to the primary that
// has their key; those of one pipeline may go to several.
type topology struct {
	redis.UniversalClient
	one     *redis.Client        // standalone, or whom the Sentinels name; nil in a Cluster
	cluster *redis.ClusterClient // nil where there is one primary

	// replicated says that nothing counts before a replica has it.
	replicated bool
}

// errURL tells nothing of the URL: it may hold a password.
var errURL = errors.New("the URL of redis does not parse: it is redis://host:port/db, " +
	"redis+sentinel://host:port,host:port/primary/db or redis+cluster://host:port,host:port, with rediss for TLS")

// newTopology makes the clients of a URL; nothing connects yet.
func newTopology(raw string) (*topology, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errURL
	}
	base, shape, _ := strings.Cut(scheme, "+")
	switch {
	case shape == "":
		opts, err := parseOptions(raw)
		if err != nil {
			return nil, err
		}
		client := redis.NewClient(opts)
		return &topology{UniversalClient: client, one: client}, nil
	case base != "redis" && base != "rediss":
		return nil, errURL
	case shape == "sentinel":
		return newSentinel(base, rest)
	case shape == "cluster":
		return newCluster(base, rest)
	}
	return nil, errURL
}

// parseOptions reads the URL of one server, and sets what no URL may change.
func parseOptions(raw string) (*redis.Options, error) {
	opts, err := redis.ParseURL(raw)
	if err != nil {
		return nil, errURL
	}
	opts.MaxRetries = -1 // what may have run is not sent again behind the caller's back
	opts.DialerRetries = 1
	opts.DialTimeout = readTimeout
	opts.ContextTimeoutEnabled = true
	opts.Protocol = 2
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opts, nil
}

// maxAddrs bounds the servers that a URL names.
const maxAddrs = 64

// splitAddrs parts what follows the scheme, [user[:password]@]host:port,...[/path][?query],
// which is not quite a URL, for there may be several hosts.
func splitAddrs(rest string) (user string, addrs []string, path, query string, err error) {
	rest, query, _ = strings.Cut(rest, "?")
	rest, path, _ = strings.Cut(rest, "/")
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		user, rest = rest[:i+1], rest[i+1:]
	}
	addrs = strings.Split(rest, ",")
	if len(addrs) > maxAddrs {
		return "", nil, "", "", errURL
	}
	for _, addr := range addrs {
		// One as in a URL of one server.
		if u, err := url.Parse("redis://" + addr); err != nil || u.Host != addr || u.Hostname() == "" || u.Port() == "" {
			return "", nil, "", "", errURL
		}
	}
	return user, addrs, path, query, nil
}

// newSentinel reads [user[:password]@]host:port,.../primary[/db], where the hosts
// are Sentinels and the user is that of Redis. sentinel_username and
// sentinel_password of the query are those of the Sentinels.
func newSentinel(base, rest string) (*topology, error) {
	user, addrs, path, query, err := splitAddrs(rest)
	if err != nil {
		return nil, err
	}
	name, db, _ := strings.Cut(path, "/")
	values, err := url.ParseQuery(query)
	if err != nil || name == "" {
		return nil, errURL
	}
	o := &redis.FailoverOptions{
		MasterName: name, SentinelAddrs: addrs,
		SentinelUsername: values.Get("sentinel_username"), SentinelPassword: values.Get("sentinel_password"),
	}
	values.Del("sentinel_username")
	values.Del("sentinel_password")
	opts, err := manyOptions(base, user, addrs[0]+"/"+db, values)
	if err != nil {
		return nil, err
	}
	o.Username, o.Password, o.DB, o.TLSConfig = opts.Username, opts.Password, opts.DB, opts.TLSConfig
	o.MaxRetries, o.DialerRetries, o.DialTimeout = opts.MaxRetries, opts.DialerRetries, opts.DialTimeout
	o.ContextTimeoutEnabled, o.Protocol, o.DisableIdentity = opts.ContextTimeoutEnabled, opts.Protocol, opts.DisableIdentity
	o.PoolSize = opts.PoolSize
	client := redis.NewFailoverClient(o)
	return &topology{UniversalClient: client, one: client, replicated: true}, nil
}

// newCluster reads [user[:password]@]host:port,..., where the hosts are some of
// the Cluster's servers.
func newCluster(base, rest string) (*topology, error) {
	user, addrs, path, query, err := splitAddrs(rest)
	if err != nil || path != "" {
		return nil, errURL // a Cluster has one database
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errURL
	}
	opts, err := manyOptions(base, user, addrs[0], values)
	if err != nil {
		return nil, err
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, Username: opts.Username, Password: opts.Password, TLSConfig: opts.TLSConfig,
		MaxRetries: opts.MaxRetries, DialerRetries: opts.DialerRetries, DialTimeout: opts.DialTimeout,
		ContextTimeoutEnabled: opts.ContextTimeoutEnabled, Protocol: opts.Protocol, DisableIdentity: opts.DisableIdentity,
		PoolSize: opts.PoolSize, MaintNotificationsConfig: opts.MaintNotificationsConfig,
	})
	return &topology{UniversalClient: client, cluster: client, replicated: true}, nil
}

// manyOptions reads what is the same for all servers, from the URL of the first.
func manyOptions(base, user, first string, query url.Values) (*redis.Options, error) {
	for name := range query {
		if name != "skip_verify" && name != "pool_size" {
			return nil, errURL
		}
	}
	opts, err := parseOptions(base + "://" + user + first + "?" + query.Encode())
	if err == nil && opts.TLSConfig != nil {
		opts.TLSConfig.ServerName = "" // each server has its own
	}
	return opts, err
}

// primary returns a client of the primary that has the key.
func (t *topology) primary(ctx context.Context, key string) (*redis.Client, error) {
	if t.cluster == nil {
		return t.one, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return t.cluster.MasterForKey(ctx, key)
}

// primaries runs f for each primary, one after the other.
func (t *topology) primaries(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if t.cluster == nil {
		return f(ctx, t.one)
	}
	var mu sync.Mutex
	return t.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		return f(ctx, c)
	})
}

// moved asks for the Cluster's layout anew, after a server was found away or
// without its keys.
func (t *topology) moved(ctx context.Context) {
	if t.cluster != nil {
		t.cluster.ReloadState(ctx)
	}
}

// replicaTimeout bounds the wait for a replica. It is short enough that a group
// of commands that ran at the last moment is waited for within groupTimeout.
const replicaTimeout = time.Second

// waitArgs ask Redis to answer once a replica has what this connection has seen,
// written by itself or by others: Redis counts from the last command of the
// connection, whatever it was.
var waitArgs = []any{"WAIT", 1, replicaTimeout.Milliseconds()}

// acknowledged reads the reply to waitArgs.
func acknowledged(cmd *redis.Cmd) error {
	n, err := cmd.Int()
	if err == nil && n < 1 {
		return errNoReplica
	}
	return err
}

var errNoReplica = errors.New("no replica has it yet")

// read runs commands that read keys of one slot, on one connection. If they show
// news, which is anything but what this process had seen, and this needs a
// replica, read returns once what they saw is durable.
func (t *topology) read(ctx context.Context, key string, f func(redis.Cmdable) (news bool, err error)) error {
	if !t.replicated {
		_, err := f(t.UniversalClient)
		return err
	}
	client, err := t.primary(ctx, key)
	if err != nil {
		return err
	}
	// The same connection, as after a failover the next one is to a primary that
	// may know nothing of what this one shows.
	conn := client.Conn()
	defer conn.Close()
	news, err := f(conn)
	if err != nil || !news {
		return err
	}
	wait := redis.NewCmd(ctx, waitArgs...)
	if err := conn.Process(ctx, wait); err != nil {
		return err
	}
	return acknowledged(wait)
}

// durably runs commands on keys of one slot as one pipeline, and returns once
// the result is durable.
func (t *topology) durably(ctx context.Context, key string, f func(redis.Pipeliner)) error {
	client, err := t.primary(ctx, key)
	if err != nil {
		return err
	}
	pipe := client.Pipeline()
	f(pipe)
	if !t.replicated {
		_, err = pipe.Exec(ctx)
		return err
	}
	wait := pipe.Do(ctx, waitArgs...)
	if _, err = pipe.Exec(ctx); err != nil {
		return err
	}
	return acknowledged(wait)
}

// lacking reports whether err says that a server has not run a command, for
// another has its key or the role for it.
func lacking(err error) bool {
	if err == nil {
		return false // after every script that ran: asking each time takes five allocations
	}
	for _, code := range []string{"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "TRYAGAIN"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return errors.Is(err, redis.ErrClosed)
}
