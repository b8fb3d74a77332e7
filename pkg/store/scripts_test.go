package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// What turns a number of 16 digits into text wrongly, or reads what only our own
// text should be read as, is in no script.
func TestScriptsKeepTheRules(t *testing.T) {
	files, err := filepath.Glob("scripts/*.lua")
	if err != nil || len(files) != len(scripts)+1 { // and what they share
		t.Fatalf("%d files in the folder, %d scripts in use: %v", len(files), len(scripts), err)
	}
	forbidden := regexp.MustCompile(`cjson|cmsgpack|\bstruct\b|\bbit\b|tostring|%d[^*]|%g|%s|math\.`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code := regexp.MustCompile(`--.*`).ReplaceAllString(string(source), "")
		code = regexp.MustCompile(`string\.match\([^\n]*`).ReplaceAllString(code, "") // its pattern has %d
		if found := forbidden.FindString(code); found != "" {
			t.Errorf("%s uses %q", file, found)
		}
		if lines := strings.Count(string(source), "\n"); lines > 80 {
			t.Errorf("%s has %d lines, more than 80", file, lines)
		}
		if strings.Contains(code, "KEYS[5]") {
			t.Errorf("%s takes more than 4 keys", file)
		}
	}
}

// both runs a test on an embedded and on a real Redis.
func both(t *testing.T, test func(t *testing.T, client *redis.Client)) {
	for name, url := range map[string]string{
		"miniredis": "redis://" + miniredis.RunT(t).Addr(), "redis": storetest.StartRedis(t).URL(),
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := redis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(opts)
			t.Cleanup(func() { client.Close() })
			test(t, client)
		})
	}
}

func TestScriptsRefuseTheirPast(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client) {
		ctx := t.Context()
		now, err := client.Time(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{"{x}1", "{x}2", "{x}3", "{x}4"}
		for _, s := range []*script{listScript, placeScript, withdrawScript, orderScript, suspendScript, moveScript, closeScript, noteScript, beatScript} {
			args := []any{text(now.UnixMicro() - 1)}
			for range 15 {
				args = append(args, "0")
			}
			reply, err := client.Eval(ctx, s.source, keys, args...).StringSlice()
			if err != nil || reply[0] != "stale" {
				t.Errorf("%s: got %v, %v", s.name, reply, err)
			}
		}
		if n := client.DBSize(ctx).Val(); n != 0 {
			t.Errorf("a stale call has left %d keys", n)
		}
	})
}

func TestScriptsWithoutState(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client) {
		ctx := t.Context()
		const later = "9007199254740991"
		keys := []string{"{x}1", "{x}2", "{x}3", "{x}4"}
		id := strings.Repeat("i", identitySize)
		for _, test := range []struct {
			script *script
			args   []any
			want   string
		}{
			{placeScript, []any{later, "pseudonym", id, "1", "1", "1", "EUR", "h", "1", "}", "{", "c", "s", "p", "t", "x"}, "unknown"},
			{withdrawScript, []any{later, "pseudonym", id, "1", "1", "1", "}", "c", "s", "p", "t", "x"}, "unknown"},
			{orderScript, []any{later, "1", "1", "}", "c", "s", "p"}, "unknown"},
			{suspendScript, []any{later, "1", "1", "1:x", "}", "c", "s", "p"}, "unknown"},
			{moveScript, []any{later, "1", "1", "0", "}", "c", "s", "p"}, "unknown"},
			{closeScript, []any{later, "1", "1", "}", "c", "s", "p"}, "unknown"},
			{rebuildScript, []any{"1", "a", "b"}, "grew"},
		} {
			reply, err := client.Eval(ctx, test.script.source, keys, test.args...).StringSlice()
			if err != nil || reply[0] != test.want {
				t.Errorf("%s: got %v, %v", test.script.name, reply, err)
			}
		}
		if n := client.DBSize(ctx).Val(); n != 0 {
			t.Errorf("a call without effect has left %d keys", n)
		}
		for i, want := range []string{"ok", "ok", "used"} {
			reply, err := client.Eval(ctx, discloseSource, keys[:2], "seller", text(i/2)).StringSlice()
			if err != nil || reply[0] != want {
				t.Errorf("disclose: got %v, %v", reply, err)
			}
		}
	})
}

func TestHeartbeats(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client) {
		beat := func(now int64) []string {
			t.Helper()
			reply, err := client.Eval(t.Context(), beatScript.source, []string{"{x}beat", "{x}outages"},
				"9007199254740991", text(now), "20000000", "3").StringSlice()
			if err != nil {
				t.Fatal(err)
			}
			return reply
		}
		const start, second = 1_893_456_000_000_123, 1_000_000
		span := func(from, to int64) string { return text(start+from*second) + " " + text(start+to*second) }
		for _, test := range []struct {
			at   int64
			want []string // what follows {'ok'}
		}{
			{start, []string{text(start), "0"}},
			{start + 20*second - 1, []string{text(start + 20*second - 1), "0"}},
			{start, []string{text(start + 20*second - 1), "0"}}, // a clock that is behind
			{start + 20*second, []string{text(start + 20*second), "0"}},
			{start + 40*second, []string{text(start + 40*second), "1", span(20, 40)}},
			{start + 40*second, []string{text(start + 40*second), "0", span(20, 40)}}, // another replica
			{start + 60*second, []string{text(start + 60*second), "1", span(20, 40), span(40, 60)}},
			{start + 90*second, []string{text(start + 90*second), "1", span(20, 40), span(40, 60), span(60, 90)}},
			{start + 120*second, []string{text(start + 120*second), "1", span(40, 60), span(60, 90), span(90, 120)}},
		} {
			reply := beat(test.at)
			if reply[0] != "ok" || !slices.Equal(reply[1:], test.want) {
				t.Errorf("at %d: %q, want %q", test.at, reply, test.want)
			}
			p, fresh, err := parsePulse(reply)
			if err != nil || text(p.at) != reply[1] || fresh != (reply[2] == "1") || len(p.outages) != len(reply)-3 {
				t.Errorf("%q reads as %+v, %v, %v", reply, p, fresh, err)
			}
		}
	})
}

func TestParsePulse(t *testing.T) {
	for _, reply := range [][]string{
		{"done"},
		{"ok"},
		{"ok", "1"},
		{"ok", "", "0"},
		{"ok", "x", "0"},
		{"ok", "1", "1"},
		{"ok", "1", "0", "1"},
		{"ok", "1", "0", "1 "},
		{"ok", "1", "0", "1 2 3"},
		{"ok", "1", "0", " 2"},
	} {
		if _, _, err := parsePulse(reply); err == nil {
			t.Errorf("%q parses", reply)
		}
	}
}
