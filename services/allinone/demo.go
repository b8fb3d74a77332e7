package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
)

// Demo holds a whole auction among people who share nothing but a network, and
// tells it as a story on out. dir takes keys, logs and, at the end, the evidence;
// everything else in it is removed.
func Demo(ctx context.Context, dir string, out io.Writer) (Report, error) {
	start := time.Now()
	d := &demo{dir: dir, tell: teller{out}, report: Report{Refused: make(map[auction.Code]int)}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := d.run(ctx)
	for _, a := range d.all() {
		a.client.Close()
	}
	if d.house != nil {
		err = errors.Join(err, d.house.Stop())
	}
	d.report.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	return d.report, err
}

type demo struct {
	dir    string
	tell   teller
	report Report
	house  *House

	seller, bruno, clara, diogo, auditor *actor

	id       auction.ID
	closes   auction.Time
	frames   Haystack // every frame that the DMS decrypted
	logs     Haystack // of all services
	replicas map[string]bool
}

// people are those who list and bid.
func (d *demo) people() []*actor { return []*actor{d.seller, d.bruno, d.clara, d.diogo} }

func (d *demo) all() []*actor {
	return slices.DeleteFunc(append(d.people(), d.auditor), func(a *actor) bool { return a == nil })
}

// run is the story, an act a step.
func (d *demo) run(ctx context.Context) error {
	for _, act := range []func(context.Context) error{
		d.openHouse, d.enrolPeople, d.listItem, d.bid, d.tie, d.refuse, d.sendTwice, d.end, d.disclose, d.audit, d.search,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) openHouse(ctx context.Context) error {
	d.tell.act("A house opens")
	var err error
	if d.house, err = Start(ctx, Config{
		Dir: filepath.Join(d.dir, "house"), SimulatedTime: true, LogLevel: slog.LevelDebug,
		Log: &d.logs, OnFrame: d.frames.Add,
	}); err != nil {
		return err
	}
	root, err := identity.LoadChain(d.house.Ready.RootCertificate)
	if err != nil {
		return err
	}
	d.tell.say("One process, real sockets: a certification authority (CA), a time-stamping authority (TSA),")
	d.tell.say("and two replicas of the broker (DMS) that share nothing but an embedded Redis. It forgets")
	d.tell.say("everything when it stops, and its time is simulated, so that we need not wait for the end.")
	d.tell.fact("CA", d.house.Ready.CA)
	d.tell.fact("TSA", d.house.Ready.TSA[0])
	d.tell.fact("DMS", d.house.Ready.DMS[0]+"  "+d.house.Ready.DMS[1])
	d.tell.fact("root", fmt.Sprintf("sha256 %.16s...  (everyone pins this)", auction.PolicyHash(root[0])))
	return nil
}

func (d *demo) enrolPeople(ctx context.Context) error {
	d.tell.act("Four people enrol")
	type person struct {
		to             **actor
		name, username string
		claims         map[string]string
	}
	for i, p := range []person{
		{&d.seller, "Sofia", "sofia.marques", map[string]string{"name": "Sofia Marques", "email": "sofia@quintadovale.example"}},
		{&d.bruno, "Bruno", "bruno.teixeira", map[string]string{"name": "Bruno Teixeira", "email": "bruno@casadasartes.example"}},
		{&d.clara, "Clara", "clara.nogueira", map[string]string{"name": "Clara Nogueira", "email": "clara@livrariasul.example"}},
		{&d.diogo, "Diogo", "diogo.figueiredo", map[string]string{"name": "Diogo Figueiredo", "email": "diogo@portodeabrigo.example"}},
	} {
		a, err := newActor(d.house, d.dir, p.name, p.username, p.claims, i)
		if err != nil {
			return err
		}
		*p.to = a
		if err := a.enrol(ctx, d.house, identity.RoleParticipant); err != nil {
			return fmt.Errorf("%s enrols: %w", p.name, err)
		}
		d.tell.fact(p.name, fmt.Sprintf("is %.12s... to the house from now on", a.client.Profile().Participant()))
	}
	d.tell.say("Each has an own folder of keys. The CA registered their names and certified their keys;")
	d.tell.say("the certificates name nobody. The DMS will never hear a name.")
	return nil
}

func (d *demo) listItem(ctx context.Context) error {
	d.tell.act("Sofia lists an item")
	now, err := d.seller.client.Now(ctx)
	if err != nil {
		return err
	}
	d.closes = now.Add(2 * time.Minute)
	placed, err := d.seller.client.List(ctx, client.Listing{
		Title: "Pocket sundial, brass, about 1780", Description: "Signed, with its leather case.",
		Currency: "EUR", Minimum: 100_00, Increment: 5_00, Closes: d.closes,
		TieWindow: 3 * time.Second, Disclose: []string{"username", "email"},
	})
	if err != nil {
		return err
	}
	d.report.Accepted++
	d.id = placed.Prepared.Auction
	d.tell.fact("terms", "from EUR 100.00 in steps of 5.00; both sides disclose username and email at the close")
	d.tell.fact("receipt", receiptLine(placed))
	d.tell.say("This is all that the others can see of it:")
	d.tell.quote(placed.Event)
	for _, a := range d.people() {
		if err := a.follow(ctx, d.id); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) bid(ctx context.Context) error {
	d.tell.act("Bids, over both replicas")
	for _, b := range []struct {
		who    *actor
		amount auction.Amount
	}{{d.bruno, 100_00}, {d.clara, 120_00}, {d.diogo, 150_00}} {
		placed, err := b.who.client.Bid(ctx, d.id, b.amount)
		if err != nil {
			return fmt.Errorf("%s bids: %w", b.who.name, err)
		}
		d.report.Accepted++
		d.tell.fact(b.who.name, fmt.Sprintf("bids %s through %s", euros(b.amount), b.who.client.Replica()))
		d.tell.fact("receipt", receiptLine(placed))
	}
	d.tell.say("A bid is signed by the bidder, time-stamped by the TSA (which sees a hash), sealed to the")
	d.tell.say("session with the DMS, and acknowledged with a receipt only once it is in the log for good.")
	d.replicas = make(map[string]bool)
	for _, a := range d.people() {
		d.replicas[a.client.Replica()] = true
	}
	d.report.Replicas = len(d.replicas)
	return nil
}

// tie lets Clara stamp first and send last: the stamps are ordered one way and
// the arrivals the other.
func (d *demo) tie(ctx context.Context) error {
	d.tell.act("A tie")
	const amount = 200_00
	early, err := d.clara.client.PrepareBid(ctx, d.id, amount)
	if err != nil {
		return err
	}
	late, err := d.bruno.client.PrepareBid(ctx, d.id, amount)
	if err != nil {
		return err
	}
	first, err := d.bruno.client.Send(ctx, late)
	if err != nil {
		return err
	}
	second, err := d.clara.client.Send(ctx, early)
	if err != nil {
		return err
	}
	d.report.Accepted += 2
	shown, err := d.diogo.client.Item(ctx, d.id)
	if err != nil {
		return err
	}
	d.report.TieKeptEarliest = early.TS < late.TS && first.Receipt.Seq < second.Receipt.Seq &&
		shown.Item.Highest == amount && shown.Item.Leader == early.Pseudonym
	d.tell.say("Clara and Bruno both bid %s. Clara's stamp is %v earlier; Bruno's bid arrives first.", euros(amount), late.TS.Sub(early.TS).Round(time.Microsecond))
	d.tell.fact("leader", "Clara: the earliest stamp wins, in whatever order the network delivers")
	return nil
}

// refuse tries what the house must not take. Each refusal is counted as the
// client was told it.
func (d *demo) refuse(ctx context.Context) error {
	d.tell.act("What the house refuses")
	bids := func(a *actor, id auction.ID, amount auction.Amount) func() error {
		return func() error {
			_, err := a.client.Bid(ctx, id, amount)
			return err
		}
	}
	for _, try := range []struct {
		what string
		do   func() error
	}{
		{"Diogo bids EUR 201.00, less than a step over the highest", bids(d.diogo, d.id, 201_00)},
		{"Sofia bids on her own item", bids(d.seller, d.id, 300_00)},
		{"Bruno bids on an item that is not there", bids(d.bruno, "00000000-0000-4000-8000-000000000000", 300_00)},
		{"Diogo stamps a bid, keeps it for 20 seconds, and sends it then", func() error { return d.hoard(ctx) }},
		{"Bruno signs another bid under a pseudonym that he used", func() error { return d.reuse(ctx) }},
	} {
		var refusal *auction.Refusal
		switch err := try.do(); {
		case errors.As(err, &refusal):
			d.report.Refused[refusal.Code]++
			d.tell.fact("refused", fmt.Sprintf("%s: %s", try.what, refusal.Code))
		case err != nil:
			return fmt.Errorf("%s: %w", try.what, err)
		default:
			return fmt.Errorf("%s: it was not refused", try.what)
		}
	}
	d.tell.say("A refusal changes nothing.")
	return nil
}

// hoard stamps a bid and sends it when its stamp is old.
func (d *demo) hoard(ctx context.Context) error {
	prepared, err := d.diogo.client.PrepareBid(ctx, d.id, 900_00)
	if err != nil {
		return err
	}
	if err := d.house.SetTime(ctx, prepared.TS.Add(20*time.Second)); err != nil {
		return err
	}
	_, err = d.diogo.client.Send(ctx, prepared)
	return err
}

// reuse signs two bids under one pseudonym.
func (d *demo) reuse(ctx context.Context) error {
	first, err := d.bruno.client.Bid(ctx, d.id, 230_00)
	if err != nil {
		return err
	}
	d.report.Accepted++
	other, err := d.bruno.client.PrepareBidAs(ctx, first.Prepared.Pseudonym, d.id, 240_00)
	if err != nil {
		return err
	}
	_, err = d.bruno.client.Send(ctx, other)
	return err
}

func (d *demo) sendTwice(ctx context.Context) error {
	d.tell.act("A bid sent twice")
	prepared, err := d.clara.client.PrepareBid(ctx, d.id, 250_00)
	if err != nil {
		return err
	}
	first, err := d.clara.client.Send(ctx, prepared)
	if err != nil {
		return err
	}
	d.report.Accepted++
	again, err := d.clara.client.Send(ctx, prepared)
	if err != nil {
		return err
	}
	d.report.ResentGotFirst = first.Receipt.Seq == again.Receipt.Seq && first.Receipt.Leaf == again.Receipt.Leaf
	d.tell.say("Clara bids %s, takes the answer for lost, and sends the same bytes again.", euros(250_00))
	d.tell.fact("receipt", receiptLine(first))
	d.tell.fact("again", receiptLine(again)+": the same entry, bid once")
	return nil
}

// end moves the simulated time past the end and the grace, and waits until
// everybody saw the close.
func (d *demo) end(ctx context.Context) error {
	d.tell.act("The end")
	if err := d.house.SetTime(ctx, d.closes.Add(6*time.Second)); err != nil {
		return err
	}
	if err := waitFor(ctx, func() (bool, error) {
		for _, a := range d.people() {
			seen := a.seen()
			if len(seen) == 0 || seen[len(seen)-1].Kind != auction.AuctionClosed {
				return false, nil
			}
		}
		return true, nil
	}); err != nil {
		return fmt.Errorf("wait for the close: %w", err)
	}
	events := d.diogo.seen()
	closed := events[len(events)-1]
	d.report.EventsInOrder = inOrder(d.people())
	d.report.WinnerIsHighest = highest(events) == closed.Winner && closed.Outcome == auction.Sold
	d.tell.say("Time passes the end and the grace. One replica stamps the final head of the log, judges the")
	d.tell.say("log as a whole, and appends the close. Everybody, also who lost, saw %d events in order:", len(events))
	for _, e := range events {
		d.tell.quote(eventLine(e))
	}
	return nil
}
