package store

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestURLs(t *testing.T) {
	for _, test := range []struct {
		url   string
		shape string // "" if it is refused
	}{
		{"redis://127.0.0.1:6379/0", "one"},
		{"redis://user:hunter2@redis.example", "one"},
		{"rediss://:hunter2@redis.example:6380/3?skip_verify=true", "one"},
		{"unix:///run/redis.sock", "one"},
		{"redis+sentinel://a.example:26379,b.example:26379,c.example:26379/house", "sentinel"},
		{"rediss+sentinel://user:hunter2@a.example:26379/house/2?sentinel_username=s&sentinel_password=hunter2", "sentinel"},
		{"redis+sentinel://[::1]:26379,[::2]:26379/house", "sentinel"},
		{"redis+cluster://a.example:6379,b.example:6379", "cluster"},
		{"rediss+cluster://user:hunter2@a.example:6379?pool_size=20", "cluster"},

		{"redis.example:6379", ""},
		{"http://redis.example", ""},
		{"unix+sentinel://hunter2@x:1/house", ""},
		{"redis+other://:hunter2@a:1", ""},
		{"redis+sentinel://:hunter2@a:1", ""},                 // no name of the primary
		{"redis+sentinel://:hunter2@a:1/house/x", ""},         // no number
		{"redis+sentinel://:hunter2@a:1,b/house", ""},         // no port
		{"redis+sentinel://:hunter2@a:1,/house", ""},          // no host
		{"redis+sentinel://:hunter2@a:1/house?unknown=1", ""}, // nor any option that we would not use
		{"redis+cluster://:hunter2@a:1/1", ""},                // one database
		{"redis+cluster://:hunter2@a:1?%zz", ""},
		{"redis+cluster://" + strings.Repeat("a:1,", 64) + "a:1", ""},
		{"redis://:hunter2@%zz", ""},
	} {
		topology, err := newTopology(test.url)
		if err != nil {
			if test.shape != "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", test.url, err)
			}
			continue
		}
		shape := "one"
		switch {
		case topology.cluster != nil:
			shape = "cluster"
		case topology.replicated:
			shape = "sentinel"
		}
		if shape != test.shape {
			t.Errorf("%s: got %s, want %q", test.url, shape, test.shape)
		}
		if strings.Contains(test.url, "hunter2") {
			checkPassword(t, topology, test.url)
		}
		if err := topology.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The password goes to each server, TLS too.
func checkPassword(t *testing.T, topology *topology, url string) {
	t.Helper()
	var password string
	var tls bool
	if topology.cluster != nil {
		o := topology.cluster.Options()
		password, tls = o.Password, o.TLSConfig != nil
	} else {
		o := topology.one.Options()
		password, tls = o.Password, o.TLSConfig != nil
	}
	if password != "hunter2" || tls != strings.HasPrefix(url, "rediss") {
		t.Errorf("%s: password %q, TLS %t", url, password, tls)
	}
}

func FuzzURL(f *testing.F) {
	f.Add("redis+sentinel://:p@a:1,b:2/house/1?sentinel_password=x")
	f.Add("rediss+cluster://a:1,[::1]:2?skip_verify=true")
	f.Fuzz(func(t *testing.T, raw string) {
		if topology, err := newTopology(raw); err == nil {
			_ = topology.Close()
		}
	})
}

func TestLacking(t *testing.T) {
	if lacking(nil) || lacking(redis.Nil) || !lacking(redis.ErrClosed) {
		t.Error("what a server lacks is not told apart")
	}
}
