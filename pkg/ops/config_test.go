package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testConfig is what a service's configuration looks like.
type testConfig struct {
	Config
	RedisURL  string        `default:"redis://default" help:"Where Redis is."`
	Authority []string      `help:"Time authorities."`
	Limit     int           `default:"1"`
	Freshness time.Duration `default:"5s"`
	Grace     time.Duration `default:"5s"`
	Simulated bool
}

func (c testConfig) Validate() error {
	if c.Grace < c.Freshness {
		return errors.New("--grace is at least --freshness")
	}
	return nil
}

var testProgram = Program{
	Name:        "probe",
	Description: "Probe is a service for tests.",
	Example:     "probe --redis-url redis://127.0.0.1:6379",
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parse(t *testing.T, env map[string]string, file string, args ...string) (testConfig, error) {
	t.Helper()
	for k, v := range env {
		t.Setenv(k, v)
	}
	if file != "" {
		args = append(args, "--config", writeFile(t, file))
	}
	var c testConfig
	err := testProgram.Parse(&c, args)
	return c, err
}

func TestPrecedence(t *testing.T) {
	const name = "SIGILO_REDIS_URL"
	fromEnv := map[string]string{name: "redis://env"}
	const fromFile = `{"redis-url": "redis://file"}`
	const fromFlag = "--redis-url=redis://flag"
	tests := []struct {
		name string
		env  map[string]string
		file string
		args []string
		want string
	}{
		{"default", nil, "", nil, "redis://default"},
		{"file over default", nil, fromFile, nil, "redis://file"},
		{"environment over file", fromEnv, fromFile, nil, "redis://env"},
		{"flag over environment", fromEnv, "", []string{fromFlag}, "redis://flag"},
		{"flag over file", nil, fromFile, []string{fromFlag}, "redis://flag"},
		{"flag over all", fromEnv, fromFile, []string{fromFlag}, "redis://flag"},
		{"empty in the environment is a value", map[string]string{name: ""}, fromFile, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(t, tt.env, tt.file, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if got.RedisURL != tt.want {
				t.Errorf("got %q, want %q", got.RedisURL, tt.want)
			}
		})
	}
}

func TestConfigFileNamedByEnvironment(t *testing.T) {
	t.Setenv("SIGILO_CONFIG", writeFile(t, `{"limit": 9}`))
	got, err := parse(t, nil, "")
	if err != nil || got.Limit != 9 {
		t.Errorf("got limit %d, error %v", got.Limit, err)
	}
}

// All three sources say the same thing in their own way.
func TestEveryKindOfValue(t *testing.T) {
	want := testConfig{
		Config: Config{
			Listen: ":0", Internal: "127.0.0.1:0", TLSCert: "/c.pem", TLSKey: "/k.pem",
			LogLevel: slog.LevelWarn, DrainDelay: 5 * time.Second,
		},
		RedisURL: "redis://r", Authority: []string{"http://a", "http://b"}, Limit: 16,
		Freshness: 3 * time.Second, Grace: 4 * time.Second, Simulated: true,
	}
	flags := map[string]string{
		"listen": ":0", "internal": "127.0.0.1:0", "tls-cert": "/c.pem", "tls-key": "/k.pem",
		"log-level": "warn", "drain-delay": "5s", "redis-url": "redis://r",
		"authority": "http://a,http://b", "limit": "16", "freshness": "3s", "grace": "4s", "simulated": "true",
	}
	t.Run("flags", func(t *testing.T) {
		var args []string
		for k, v := range flags {
			args = append(args, "--"+k+"="+v)
		}
		got, err := parse(t, nil, "", args...)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
	t.Run("environment", func(t *testing.T) {
		env := make(map[string]string)
		for k, v := range flags {
			env["SIGILO_"+strings.ToUpper(strings.ReplaceAll(k, "-", "_"))] = v
		}
		got, err := parse(t, env, "")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
	t.Run("file", func(t *testing.T) {
		got, err := parse(t, nil, `{"listen": ":0", "internal": "127.0.0.1:0", "tls-cert": "/c.pem",
			"tls-key": "/k.pem", "log-level": "warn", "drain-delay": "5s", "redis-url": "redis://r",
			"authority": ["http://a", "http://b"], "limit": 16, "freshness": "3s", "grace": "4s", "simulated": true}`)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

func TestConfigRefused(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		file string
		args []string
		want string // part of the error
	}{
		{name: "unknown flag", args: []string{"--no-such=1"}, want: "--no-such"},
		{name: "stray argument", args: []string{"stray"}, want: "unexpected argument"},
		{name: "unknown key", file: `{"redis-uri": "x"}`, want: `unknown key "redis-uri"`},
		{name: "key in another case", file: `{"Redis-URL": "x"}`, want: `unknown key "Redis-URL"`},
		{name: "unknown key beside a flag", file: `{"no-such": 1}`, args: []string{"--limit=2"}, want: "no-such"},
		{name: "file names a file", file: `{"config": "other.json"}`, want: `unknown key "config"`},
		{name: "key twice", file: `{"limit": 1, "limit": 2}`, want: `"limit" comes twice`},
		{name: "not an object", file: `["limit"]`, want: "not a JSON object"},
		{name: "cut off", file: `{"limit": 1`, want: "EOF"},
		{name: "something follows", file: `{"limit": 1} {}`, want: "something follows"},
		{name: "object as value", file: `{"limit": {"a": 1}}`, want: "limit"},
		{name: "null", file: `{"limit": null}`, want: "limit"},
		{name: "list of numbers", file: `{"authority": [1]}`, want: "strings only"},
		{name: "too large", file: `{"redis-url": "` + strings.Repeat("x", maxConfigFile) + `"}`, want: "over 1048576 bytes"},
		{name: "fraction for an integer", file: `{"limit": 1.5}`, want: "limit"},
		{name: "word for a number", env: map[string]string{"SIGILO_LIMIT": "many"}, want: "limit"},
		{name: "no such file", args: []string{"--config=/nonexistent/sigilo.json"}, want: "open configuration file"},
		{name: "contradiction in a flag", args: []string{"--grace=1s"}, want: "--grace is at least --freshness"},
		{name: "contradiction across sources", file: `{"grace": "6s"}`, env: map[string]string{"SIGILO_FRESHNESS": "7s"}, want: "--grace is at least --freshness"},
		{name: "certificate without key", args: []string{"--tls-cert=/c.pem"}, want: "go together"},
		{name: "key without certificate", env: map[string]string{"SIGILO_TLS_KEY": "/k.pem"}, want: "go together"},
		{name: "drain delay of hours", args: []string{"--drain-delay=2h"}, want: "--drain-delay"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.env, tt.file, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	run := func(arg string) string {
		var out bytes.Buffer
		p := testProgram
		p.Stdout = &out
		if err := p.Parse(&testConfig{}, []string{arg}); !errors.Is(err, ErrHelp) {
			t.Errorf("%s: got error %v, want ErrHelp", arg, err)
		}
		return out.String()
	}
	help := run("--help")
	for _, want := range []string{
		testProgram.Description, "Example: " + testProgram.Example, "--redis-url", "$SIGILO_REDIS_URL",
		"Where Redis is", "--config=FILE", "--version", `"redis://default"`,
	} {
		if !strings.Contains(help, want) {
			t.Errorf("help lacks %q:\n%s", want, help)
		}
	}
	if got := run("--version"); strings.TrimSpace(got) != Version() || Version() == "" {
		t.Errorf("--version printed %q", got)
	}
}

// What the file parser accepts, encoding/json accepts too, with the same keys:
// it is a restriction of JSON and no other language.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":"b","c":1e3,"d":true,"e":["x"]}`, `{"a":1,"a":2}`, `{"a":{}}`, `{"a":null}`, `{} x`, `[`, `{"a":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseConfigFile(data)
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("keys %v, want %v", got, want)
		}
	})
}
