package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/services/ca"
)

const (
	houseID   = "chaos"
	authority = "tsa1"
	// lateness is freshness and grace of the house's policy: less than usual, so
	// that rounds are short.
	lateness = 3 * time.Second
)

// A way is what breaks at once between a part and others.
type way struct {
	name  string // " from dms", say; "" where a part has one way
	links []*link
	// missed says that Sentinels miss a part without this way, and replace it. They
	// may have begun to, however short that was: it is not mended before they have.
	missed bool
}

// A part is one process of a house, and the ways to it.
type part struct {
	name    string
	process process
	ways    []way                       // at least one
	ready   func(context.Context) error // nil where it is the database that must be ready
	metrics string                      // URL; "" where there are none

	// replaced waits until another server is primary in its place; nil where that
	// does not happen.
	replaced func(context.Context) error
	replica  bool // of the DMS
}

// A house is a whole house in processes of its own.
type house struct {
	dir      string
	keys     string
	network  *network
	at       client.House // as clients see it, through its doors
	database *database
	services []*part // CA, time authority, replicas
}

// programs are what a house runs.
var programs = []string{"ca", "tsa", "dms"}

// build builds the programs into a folder, with more arguments for the build.
func build(ctx context.Context, dir string, more ...string) error {
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, more...)
	for _, p := range programs {
		args = append(args, "github.com/sigilo/sigilo/cmd/"+p)
	}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// startHouse starts all of a house in dir, where the programs are in bin, and
// returns once it is ready. The caller stops it, also after an error.
func startHouse(ctx context.Context, dir, bin string, cfg config) (*house, error) {
	h := &house{dir: dir, keys: filepath.Join(dir, "keys"), network: newNetwork()}
	err := ca.Bootstrap(h.keys, ca.BootstrapConfig{House: houseID, Authorities: []string{authority}, Now: time.Now()})
	if err != nil {
		return h, err
	}
	if err := h.shortenPolicy(); err != nil {
		return h, err
	}
	root, err := os.ReadFile(h.file(ca.FileRoot))
	if err != nil {
		return h, err
	}
	if h.database, err = startDatabase(h.network, cfg.Redis, dir, cfg.Replicas); err != nil {
		return h, err
	}
	h.at = client.House{House: houseID, Root: string(root)}
	key, certificate := ca.TSAFiles(authority, false)
	url, err := h.run(authority, filepath.Join(bin, "tsa"), "--certificate", h.file(certificate), "--key", h.file(key))
	if err != nil {
		return h, err
	}
	h.at.TSA = []string{url}
	h.at.CA, err = h.run("ca", filepath.Join(bin, "ca"), "--house", houseID, "--mode", ca.ModeOpen, "--rate", "0",
		"--root", h.file(ca.FileRoot), "--certificate", h.file(ca.FileCertificate), "--key", h.file(ca.FileKey),
		"--token-key", h.file(ca.FileTokenKey), "--credential-key", h.file(ca.FileCredentialKey),
		"--operator-token", h.file(ca.FileOperatorToken), "--registry", filepath.Join(dir, "registry.db"))
	if err != nil {
		return h, err
	}
	for i := range cfg.Replicas {
		url, err := h.run(fmt.Sprintf("dms%d", i+1), filepath.Join(bin, "dms"), "--house", houseID,
			"--redis-url", h.database.urls[i], "--ca", h.at.CA, "--tsa", authority+"="+h.at.TSA[0],
			"--root", h.file(ca.FileRoot), "--certificate", h.file(ca.FileDMS), "--key", h.file(ca.FileDMSKey),
			"--log-key", h.file(ca.FileLogKey), "--policy", h.file(ca.FilePolicy), "--operator-token", h.file(ca.FileOperatorToken),
			"--session-life", cfg.sessionLife().String(), "--max-per-address", "0")
		if err != nil {
			return h, err
		}
		h.at.DMS = append(h.at.DMS, url)
	}
	return h, h.healthy(ctx)
}

func (h *house) file(name string) string { return filepath.Join(h.keys, name) }

// shortenPolicy shortens what a close waits for. An outage moves no end, so that each
// round has its time.
func (h *house) shortenPolicy() error {
	doc, err := os.ReadFile(h.file(ca.FilePolicy))
	if err != nil {
		return err
	}
	policy, err := auction.ParsePolicy(doc)
	if err != nil {
		return err
	}
	policy.Freshness, policy.Grace = lateness.Microseconds(), lateness.Microseconds()
	policy.OutageAfter, policy.OutageExtension = 0, 0
	if doc, err = policy.Encode(); err != nil {
		return err
	}
	return os.WriteFile(h.file(ca.FilePolicy), doc, 0o600)
}

// run starts a service, and returns its URL, which is that of its door.
func (h *house) run(name string, argv ...string) (string, error) {
	public, err := localredis.FreePort()
	if err != nil {
		return "", err
	}
	internal, err := localredis.FreePort()
	if err != nil {
		return "", err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", public)
	d, err := h.network.door(name, listen)
	if err != nil {
		return "", err
	}
	p := &service{
		argv: append(argv, "--listen", listen, "--internal", fmt.Sprintf("127.0.0.1:%d", internal)),
		log:  filepath.Join(h.dir, name+".log"),
	}
	ready := fmt.Sprintf("http://127.0.0.1:%d/readyz", internal)
	h.services = append(h.services, &part{
		name: name, process: p, ways: []way{{links: []*link{d.from(everybody)}}}, replica: strings.HasPrefix(name, "dms"),
		metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", internal),
		ready: func(ctx context.Context) error {
			if err := p.Restart(); err != nil {
				return err
			}
			_, err := get(ctx, ready)
			return err
		},
	})
	return "http://" + d.at, p.Restart()
}

const (
	askTimeout = time.Second // of a question to a service on this machine
	maxAnswer  = 1 << 20     // bytes
)

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, res.Status, body)
	}
	return body, err
}

// counter sums a counter without labels over the replicas.
func (h *house) counter(ctx context.Context, name string) (float64, error) {
	sum := 0.0
	for _, p := range h.services {
		if !p.replica {
			continue
		}
		body, err := get(ctx, p.metrics)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(body)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return 0, fmt.Errorf("read %s: %w", name, err)
				}
				sum += n
			}
		}
	}
	return sum, nil
}

// healthy returns once every part does its work.
func (h *house) healthy(ctx context.Context) error {
	if err := h.database.Settle(ctx); err != nil {
		return err
	}
	for _, p := range h.services {
		if err := await(ctx, p.name, p.ready); err != nil {
			return err
		}
	}
	return nil
}

// stop ends all processes and links at once.
func (h *house) stop() {
	for _, p := range h.services {
		p.process.Kill()
	}
	if h.database != nil {
		h.database.Stop()
	}
	h.network.stop()
}
