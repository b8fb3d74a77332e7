package allinone

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// disclose lets seller and winner tell each other who they are.
func (d *demo) disclose(ctx context.Context) error {
	d.tell.act("Seller and winner learn who the other is")
	parties := []*actor{d.seller, d.clara}
	for _, a := range parties {
		m, err := message(ctx, a.client, auction.MessageClosed)
		if err != nil {
			return err
		}
		closing, err := a.client.Closed(ctx, m)
		if err != nil {
			return fmt.Errorf("%s checks the close: %w", a.name, err)
		}
		d.tell.fact(a.name, fmt.Sprintf("is the %s; checked the counterpart's signed command and its proof in the log", closing.Role))
		if err := a.client.Disclose(ctx, d.id, []string{"username", "email"}); err != nil {
			return fmt.Errorf("%s discloses: %w", a.name, err)
		}
	}
	saw := make(map[*actor]map[string]string)
	for _, a := range parties {
		m, err := message(ctx, a.client, auction.MessageDisclosure)
		if err != nil {
			return err
		}
		closing, err := a.client.Opened(ctx, m)
		if err != nil {
			return fmt.Errorf("%s opens the disclosure: %w", a.name, err)
		}
		saw[a] = closing.Theirs
		d.tell.fact(a.name, fmt.Sprintf("now knows: %s, %s", closing.Theirs["username"], closing.Theirs["email"]))
	}
	d.report.Disclosed = Disclosed{SellerSaw: saw[d.seller]["username"], WinnerSaw: saw[d.clara]["username"]}
	d.tell.say("Each presented credentials of the CA, sealed to the key in the other's command, and kept back")
	d.tell.say("the full name, which the terms did not ask for. The DMS passed on ciphertext, both at once.")
	return nil
}

// message waits for a private message.
func message(ctx context.Context, c *client.Client, kind auction.MessageKind) (found wire.Message, err error) {
	err = waitFor(ctx, func() (bool, error) {
		inbox, err := c.Inbox(ctx)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(inbox, func(m wire.Message) bool { return m.Message == kind })
		if i >= 0 {
			found = inbox[i]
		}
		return i >= 0, nil
	})
	return found, err
}

// audit lets an auditor whom the CA certified and the operator approved take
// the whole log home, and verify it there.
func (d *demo) audit(ctx context.Context) error {
	d.tell.act("An auditor checks everything")
	var err error
	if d.auditor, err = newActor(d.house, d.dir, "Auditor", "ana.auditora", nil, 1); err != nil {
		return err
	}
	if err := d.auditor.enrol(ctx, d.house, identity.RoleAuditor); err != nil {
		return err
	}
	thumbprint, err := d.auditor.client.Profile().Thumbprint()
	if err != nil {
		return err
	}
	if err := d.house.ApproveAudit(ctx, d.id, thumbprint); err != nil {
		return err
	}
	bundle, err := d.auditor.client.Evidence(ctx, d.id, evidence.Audit)
	if err != nil {
		return err
	}
	public, err := d.diogo.client.Evidence(ctx, d.id, evidence.Public)
	if err != nil {
		return err
	}
	d.report.Evidence = filepath.Join(d.dir, "evidence", "audit.sigilo")
	for path, data := range map[string][]byte{
		d.report.Evidence: bundle,
		filepath.Join(d.dir, "evidence", "public.sigilo"): public,
	} {
		if err := writeFile(path, data); err != nil {
			return err
		}
	}
	trust, err := d.auditor.client.Profile().Trust()
	if err != nil {
		return err
	}
	doc, err := wire.Marshal(trust)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(d.dir, "evidence", "trust.json"), doc); err != nil {
		return err
	}
	verdict, err := evidence.Verify(bundle, &trust)
	if err != nil {
		return fmt.Errorf("verify the evidence: %w", err)
	}
	forged := bytes.Clone(bundle)
	forged[len(forged)/2] ^= 1
	_, err = evidence.Verify(forged, &trust)
	d.report.EvidenceValid = verdict.Anchored && err != nil
	for _, line := range verdict.Lines() {
		d.tell.quote(line)
	}
	d.tell.say("With one bit changed it says: %v", err)
	return nil
}

// search looks for names where none may be: in what the losers received, in
// every frame that the DMS decrypted, in all of Redis, and in all logs.
func (d *demo) search(context.Context) error {
	d.tell.act("Who saw a name?")
	var secrets []string
	for _, a := range d.people() {
		secrets = append(secrets, a.secrets()...)
	}
	dump, err := d.house.Dump()
	if err != nil {
		return err
	}
	var redis Haystack
	redis.Add(dump)
	atDMS := slices.Concat(d.frames.Find(secrets), redis.Find(secrets), d.logs.Find(secrets))
	d.report.DMSSawNames = len(atDMS) > 0
	d.tell.fact("DMS", fmt.Sprintf("searched %d KB of decrypted frames, %d KB of Redis, %d KB of logs: %s",
		d.frames.Size()>>10, redis.Size()>>10, d.logs.Size()>>10, found(atDMS)))
	for _, a := range []*actor{d.bruno, d.diogo} {
		others := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return slices.Contains(a.secrets(), s) })
		saw := a.received.Find(others)
		d.report.LosersSawNames = d.report.LosersSawNames || len(saw) > 0
		d.tell.fact(a.name, fmt.Sprintf("lost; searched all %d KB that he received for the others' names: %s", a.received.Size()>>10, found(saw)))
	}
	// The search is no use if it finds nothing anywhere.
	if len(d.clara.received.Find([]string{d.seller.username})) == 0 {
		return fmt.Errorf("the search does not find the seller's name at the winner's, who received it")
	}
	d.tell.fact("Clara", "won; the same search finds Sofia's name in what she received")
	d.tell.act("What was not proven")
	d.tell.say("The DMS knew the amounts while it ran the auction. That the disclosed names are true rests on the")
	d.tell.say("CA. An auction under simulated time proves nothing about real time. docs/threat-model.md tells more.")
	return d.cleanUp()
}

func found(names []string) string {
	if len(names) == 0 {
		return "no name"
	}
	return fmt.Sprintf("%d NAMES FOUND", len(names))
}

// cleanUp leaves the evidence and removes keys, registry and profiles.
func (d *demo) cleanUp() error {
	d.tell.act("Kept for you")
	dir := filepath.Dir(d.report.Evidence)
	d.tell.say("%s  everything, for the auditor", filepath.Join(dir, "audit.sigilo"))
	d.tell.say("%s  what anyone may have", filepath.Join(dir, "public.sigilo"))
	d.tell.say("check it yourself:  go run ./cmd/sigilo verify %s --trust %s", d.report.Evidence, filepath.Join(dir, "trust.json"))
	for _, a := range d.all() {
		a.client.Close()
		if err := a.client.Profile().Logout(true); err != nil {
			return err
		}
	}
	if err := d.house.Stop(); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(d.dir, "house"))
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// waitFor asks until the condition holds or ctx ends.
func waitFor(ctx context.Context, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// inOrder reports whether everybody got the same events, numbered from 1
// without a gap.
func inOrder(people []*actor) bool {
	var first []auction.Event
	for _, a := range people {
		events := a.seen()
		for i, e := range events {
			if e.Seq != uint64(i+1) || first != nil && (i >= len(first) || !bytes.Equal(e.Encode(), first[i].Encode())) {
				return false
			}
		}
		if first != nil && len(events) != len(first) {
			return false
		}
		first = events
	}
	return len(first) > 0
}

// highest returns who leads by the public events alone: each accepted bid leads
// when it is accepted.
func highest(events []auction.Event) auction.Pseudonym {
	var amount auction.Amount
	var leader auction.Pseudonym
	for _, e := range events {
		if e.Kind == auction.SomeoneBid && e.Amount >= amount {
			amount, leader = e.Amount, e.Pseudonym
		}
	}
	return leader
}
