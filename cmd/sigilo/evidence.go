package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
)

type evidenceCmd struct {
	ID   string        `arg:"" help:"The auction, by its id or the beginning of it."`
	Kind evidence.Kind `default:"public" enum:"public,party,audit" help:"What to save: what everybody may see (public), also your own part and receipts (party), or all of it (audit, for an auditor whom the operator approved)."`
	Out  string        `short:"o" required:"" placeholder:"FILE" help:"File to write; it must not be there yet."`
}

func (evidenceCmd) Help() string {
	return `Example: sigilo evidence 3f2a91c0 --kind party -o clock.evidence

The evidence is checked before it is saved. What does not hold is saved too, for
it shows what the house did, and the exit status is 1.`
}

// Run fetches, checks and saves the evidence.
func (cmd *evidenceCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	id, err := a.auctionID(ctx, cmd.ID)
	if err != nil {
		return err
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	data, err := c.Evidence(ctx, id, cmd.Kind)
	if err != nil {
		return err
	}
	if err := writeNew(cmd.Out, data); err != nil {
		return local("save the evidence: %w", err)
	}
	trust, err := c.Profile().Trust()
	if err != nil {
		return err
	}
	return a.judge(cmd.Out, data, &trust, "")
}

// writeNew writes a file that is not there yet, for its owner alone: a party's
// evidence is not for everybody.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

type verifyCmd struct {
	File       string `arg:"" help:"The evidence of an auction, or a proof that a time authority contradicted itself."`
	Trust      string `placeholder:"FILE" help:"Trust the root and log keys of this file in place of the profile's house."`
	Unanchored bool   `help:"Trust nothing: see only whether the evidence agrees with itself."`

	Contradictions string `type:"path" placeholder:"DIR" help:"Directory for the proofs that a time authority contradicted itself, if the evidence of the auction has some."`
}

func (verifyCmd) Help() string {
	return `Examples:

    sigilo verify clock.evidence                     (trusts the profile's house)
    sigilo verify clock.evidence --trust house.trust

It needs no network. Exit status 0: it holds, and what it proves is printed;
1: it does not, and the first reason is. Without a profile and without --trust
it can only show that the evidence agrees with itself, as the first line says.`
}

// Run verifies the evidence.
func (cmd *verifyCmd) Run(a *app) error {
	if cmd.Trust != "" && cmd.Unanchored {
		return usage("--trust and --unanchored contradict each other")
	}
	data, err := readFile(cmd.File, evidence.MaxBundle)
	if err != nil {
		return local("read the evidence: %w", err)
	}
	trust, err := cmd.trust(a)
	if err != nil {
		return err
	}
	if evidence.IsContradiction(data) {
		return a.judgeContradiction(cmd.File, data, trust)
	}
	return a.judge(cmd.File, data, trust, cmd.Contradictions)
}

// maxTrustFile is more than a trust file may have, in bytes.
const maxTrustFile = 64 << 10

// trust returns what to verify against, nil for nothing.
func (cmd *verifyCmd) trust(a *app) (*evidence.Trust, error) {
	if cmd.Trust != "" {
		data, err := readFile(cmd.Trust, maxTrustFile)
		if err != nil {
			return nil, local("read the trust file: %w", err)
		}
		trust, err := evidence.ParseTrust(data)
		if err != nil {
			return nil, local("read the trust file: %w", err)
		}
		return trust, nil
	}
	if cmd.Unanchored || a.Profile == "" {
		return nil, nil
	}
	p, err := client.OpenProfile(a.Profile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, local("open the profile: %w", err)
	}
	trust, err := p.Trust()
	if err != nil {
		return nil, local("%w", err)
	}
	return &trust, nil
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("the file is too large to be that")
	}
	return data, err
}

// judged is the result of a verification.
type judged struct {
	File       string        `json:"file"`
	Valid      bool          `json:"valid"`
	Reason     string        `json:"reason,omitzero"` // the first, if not valid
	Anchored   bool          `json:"anchored"`
	Simulated  bool          `json:"simulated"`
	Kind       evidence.Kind `json:"kind,omitzero"`
	Verdict    []string      `json:"verdict,omitzero"` // the lines for a person
	Proves     []string      `json:"proves,omitzero"`
	LeavesOpen []string      `json:"leaves_open,omitzero"` // what it does not prove

	Contradictions int `json:"contradictions,omitzero"` // stamps by which an authority contradicted itself
}

// judgedContradiction is the result of the verification of such a proof.
type judgedContradiction struct {
	File      string        `json:"file"`
	Valid     bool          `json:"valid"`
	Reason    string        `json:"reason,omitzero"`
	Anchored  bool          `json:"anchored"`
	Kind      evidence.Kind `json:"kind"`
	Authority string        `json:"authority,omitzero"`
	Apart     int64         `json:"apart_us,omitzero"` // by how much the two stamps are wrong together
	Verdict   []string      `json:"verdict,omitzero"`
}

// judgeContradiction prints what a proof shows, or fails with why it does not hold.
func (a *app) judgeContradiction(file string, data []byte, trust *evidence.Trust) error {
	v, err := evidence.VerifyContradiction(data, trust)
	if err != nil {
		if a.JSON {
			a.printJSON(a.out, judgedContradiction{File: file, Kind: evidence.Contradicted, Reason: plain(err.Error())})
		}
		return refused("%s does not hold: %w", file, err)
	}
	a.result(judgedContradiction{
		File: file, Valid: true, Anchored: v.Anchored, Kind: evidence.Contradicted,
		Authority: v.Authority, Apart: v.Apart().Microseconds(), Verdict: v.Lines(),
	}, func() { a.print("%s", strings.TrimSuffix(plain(v.String()), "\n")) })
	return nil
}

// judge prints what evidence proves, or fails with the first reason why not. It
// saves the contradictions that it finds to a directory, unless that is "".
func (a *app) judge(file string, data []byte, trust *evidence.Trust, dir string) error {
	v, err := evidence.Verify(data, trust)
	if err != nil {
		if a.JSON {
			a.printJSON(a.out, judged{File: file, Reason: plain(err.Error())})
		}
		return refused("%s does not hold: %w", file, err)
	}
	if dir != "" {
		proofs := make([][]byte, len(v.Contradictions))
		for i, c := range v.Contradictions {
			proofs[i] = c.Encode()
		}
		if _, err := saveContradictions(dir, proofs); err != nil {
			return err
		}
	}
	a.result(judged{
		File: file, Valid: true, Anchored: v.Anchored, Simulated: v.Simulated, Kind: v.Kind,
		Verdict: v.Lines(), Proves: v.Proves(), LeavesOpen: v.LeavesOpen(), Contradictions: len(v.Contradictions),
	}, func() { a.print("%s", strings.TrimSuffix(plain(v.String()), "\n")) })
	return nil
}
