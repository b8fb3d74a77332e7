package main

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

type doctorCmd struct{}

func (doctorCmd) Help() string {
	return `Example: sigilo doctor

Looks at the profile and asks each part of the house. Exit status 1 means that
something failed; each line that did says what to do.`
}

// finding is what doctor says of one thing.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitzero"` // what to do, if not ok
}

// probeTimeout bounds the question to one part of the house: more than a slow
// line takes, less than patience lasts.
const probeTimeout = 5 * time.Second

// examination collects findings.
type examination struct {
	client   *client.Client
	findings []finding
}

// Run examines everything, in the order in which one thing needs another.
func (doctorCmd) Run(ctx context.Context, a *app) error {
	p, err := a.profile()
	if err != nil {
		return err
	}
	if err := a.open(p); err != nil {
		return err
	}
	e := &examination{client: a.node}
	e.profile(p)
	connected := within(ctx, func(ctx context.Context) error {
		_, _, err := a.node.Policy(ctx)
		return err
	})
	e.probe("ca", within(ctx, a.node.ProbeCA), "ask the house's operator, or see whether you are online")
	e.probe("token", within(ctx, a.node.ProbeToken), "log in again: sigilo enroll")
	now := e.time(ctx)
	e.certificate(now)
	for i, probe := range within(ctx, a.node.ProbeReplicas) {
		e.probe(fmt.Sprintf("dms %d", i+1), probe, "others may do: any one is enough; if none works ask the house's operator")
	}
	e.house(p, connected)
	e.pending(p)
	if err := ctx.Err(); err != nil {
		return err
	}
	failed := 0
	for _, f := range e.findings {
		if !f.OK {
			failed++
		}
	}
	a.result(e.findings, func() { a.printFindings(e.findings) })
	if failed > 0 {
		return refused("%d of %d checks failed", failed, len(e.findings))
	}
	return nil
}

// within asks with a limit of time.
func within[T any](ctx context.Context, ask func(context.Context) T) T {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return ask(ctx)
}

func (e *examination) ok(name, format string, args ...any) {
	e.findings = append(e.findings, finding{Name: name, OK: true, Detail: fmt.Sprintf(format, args...)})
}

func (e *examination) fail(name string, err error, fix string) {
	e.findings = append(e.findings, finding{Name: name, Detail: explain(err), Fix: fix})
}

func (e *examination) probe(name string, p client.Probe, fix string) {
	if p.Err != nil {
		e.fail(name, fmt.Errorf("%s: %w", p.Part, p.Err), fix)
		return
	}
	in := ""
	if p.Mode != "" {
		in = " in " + p.Mode
	}
	e.ok(name, "%s answered in %v%s", p.Part, p.RoundTrip.Round(time.Millisecond/10), in)
}

// profile looks at the files: whose they are, who may read them, what they pin.
func (e *examination) profile(p *client.Profile) {
	info, err := os.Stat(p.Dir())
	switch {
	case err != nil:
		e.fail("profile", err, "check the directory")
	case info.Mode().Perm()&0o077 != 0:
		e.fail("profile", errors.New("others may look into the directory"), "chmod 700 "+p.Dir())
	default:
		e.ok("profile", "%s, permanent id %s", p.Dir(), p.Participant())
	}
	block, _ := pem.Decode([]byte(p.House().Root)) // opening the profile has checked it
	e.ok("root", "house %s, pinned root sha256 %s: compare it with what the house publishes", p.House().House, auction.Hash(sha256.Sum256(block.Bytes)))
}

// time asks the time authorities and returns a trusted time, 0 if there is none.
func (e *examination) time(ctx context.Context) (now auction.Time) {
	const fix = "a quorum of them is needed: ask the house's operator"
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	probes, err := e.client.ProbeAuthorities(ctx)
	if err != nil {
		e.fail("tsa", err, fix)
		return 0
	}
	for i, probe := range probes {
		e.probe(fmt.Sprintf("tsa %d", i+1), probe, fix)
		if probe.Err == nil {
			now = probe.Time
		}
	}
	if now != 0 {
		e.ok("clock", "trusted time %s; this machine's differs by %v, which decides nothing", clock(now.Std()), time.Since(now.Std()).Abs().Round(time.Second))
	}
	return now
}

func (e *examination) certificate(now auction.Time) {
	cert, err := e.client.Certificate()
	at := now.Std()
	if now == 0 {
		at = time.Now()
	}
	switch {
	case err != nil:
		e.fail("certificate", err, "log in: sigilo enroll")
	case at.After(cert.NotAfter):
		e.fail("certificate", errors.New("it has ended"), "it is renewed with the next command; if not: sigilo enroll after sigilo logout")
	default:
		e.ok("certificate", "%s, sha256 %s, valid until %s, %s left", cert.Role, cert.Thumbprint, clock(cert.NotAfter), span(cert.NotAfter.Sub(at)))
	}
}

// house says whether a client gets through to what decides: the policy, read
// from the house log and checked against it.
func (e *examination) house(p *client.Profile, connected error) {
	if connected != nil {
		e.fail("house log", connected, "see the lines above; if the history changed, keep the profile: it holds the proof")
		return
	}
	e.ok("house log", "read and verified under log key %s", p.House().LogKey)
}

func (e *examination) pending(p *client.Profile) {
	pending, err := p.Pending()
	switch {
	case err != nil:
		e.fail("pending", err, "the profile is damaged: restore it from a backup")
	case len(pending) > 0:
		e.fail("pending", fmt.Errorf("%d commands are not confirmed", len(pending)), "sigilo my-bids sends them again and shows what became of them")
	default:
		e.ok("pending", "every command is answered")
	}
}

func (a *app) printFindings(findings []finding) {
	for _, f := range findings {
		if f.OK {
			a.print("ok    %-12s %s", f.Name, plain(f.Detail))
			continue
		}
		a.print("FAIL  %-12s %s", f.Name, plain(f.Detail))
		a.print("      %-12s -> %s", "", f.Fix)
	}
}
