package dashboards_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/store/storetest"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
	"github.com/sigilo/sigilo/services/tsa"
)

// load is a house in which everything happens that a dashboard shows.
type load struct {
	t      *testing.T
	ctx    context.Context
	dir    string // of the profiles
	house  *allinone.House
	keys   string // folder with the house's keys
	seller *client.Client
	people []*client.Client // who bid
	short  auction.ID       // sold soon
	unsold auction.ID       // ends soon without a bid
	long   auction.ID       // goes on
}

// openHouse starts a house on a real Redis, with people and auctions.
func openHouse(t *testing.T, ctx context.Context) *load {
	t.Helper()
	keys := t.TempDir()
	h, err := allinone.Start(ctx, allinone.Config{
		Dir: keys, RedisURL: storetest.StartRedis(t).URL(), OpenEnrolment: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Errorf("stop the house: %v", err)
		}
	})
	l := &load{t: t, ctx: ctx, dir: t.TempDir(), house: h, keys: filepath.Join(keys, "keys")}
	l.seller = l.person("sofia", 0)
	for i := range 4 {
		l.people = append(l.people, l.person(fmt.Sprintf("bidder%d", i), i))
	}
	// Sold and unsold end before the rest of the test does.
	l.short = l.list("A clock", 15*time.Second)
	l.unsold = l.list("A pendulum", 15*time.Second)
	l.long = l.list("A tower", time.Hour)
	return l
}

// startComparing starts a time authority that compares its clock with NTP servers,
// which those of the house do not, and returns its internal address. No server
// answers it; what it shows of that is there all the same. It ends with the test.
func (l *load) startComparing() string {
	l.t.Helper()
	key, certificate := ca.TSAFiles("tsa1", false)
	ctx, cancel := context.WithCancel(l.ctx)
	listens, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- tsa.Run(ctx, tsa.Config{
			Config:      ops.Config{Listen: "127.0.0.1:0", Internal: "127.0.0.1:0"},
			Certificate: filepath.Join(l.keys, certificate), Key: filepath.Join(l.keys, key),
			Accuracy: 100 * time.Millisecond, NTP: []string{freeAddress(l.t)}, Log: slog.New(slog.DiscardHandler),
			OnListen: func(_, internal net.Addr) { listens <- internal.String() },
		})
	}()
	l.t.Cleanup(func() {
		cancel()
		l.must(<-ended)
	})
	select {
	case address := <-listens:
		return address
	case err := <-ended:
		ended <- nil
		l.t.Fatalf("start a time authority: %v", err)
		return ""
	}
}

// targets are those of the house, and one more time authority at an address.
func (l *load) targets(comparing string) []byte {
	l.t.Helper()
	data, err := l.house.Targets()
	if err != nil {
		l.t.Fatal(err)
	}
	var all []struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		l.t.Fatal(err)
	}
	for _, target := range all {
		if target.Labels["component"] == "tsa" {
			target.Targets = []string{comparing}
			target.Labels = maps.Clone(target.Labels)
			target.Labels["pod"] = "comparing"
			all = append(all, target)
			break
		}
	}
	if data, err = json.Marshal(all); err != nil {
		l.t.Fatal(err)
	}
	return data
}

func (l *load) must(err error) {
	l.t.Helper()
	if err != nil && l.ctx.Err() == nil {
		l.t.Error(err)
	}
}

// person enrols somebody who prefers one of the replicas.
func (l *load) person(name string, replica int) *client.Client {
	l.t.Helper()
	c, err := l.enrol(name, replica)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

func (l *load) enrol(name string, replica int) (*client.Client, error) {
	house, err := l.house.Client()
	if err != nil {
		return nil, err
	}
	replica %= len(house.DMS)
	house.DMS = append(append([]string(nil), house.DMS[replica:]...), house.DMS[:replica]...)
	profile, err := client.CreateProfile(filepath.Join(l.dir, name), house)
	if err != nil {
		return nil, err
	}
	c, err := client.New(profile, client.Options{})
	if err != nil {
		return nil, err
	}
	l.t.Cleanup(c.Close)
	return c, c.Enroll(l.ctx, client.Enrolment{Username: name})
}

// arrive has people come one after the other: each enrols, opens a session and
// looks around.
func (l *load) arrive() {
	for i := 0; l.ctx.Err() == nil; i++ {
		c, err := l.enrol(fmt.Sprintf("guest%d", i), i)
		if err == nil {
			_, err = c.Items(l.ctx)
		}
		l.must(err)
		if err != nil {
			return
		}
		c.Close()
		select {
		case <-l.ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (l *load) list(title string, open time.Duration) auction.ID {
	l.t.Helper()
	now, err := l.seller.Now(l.ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	placed, err := l.seller.List(l.ctx, client.Listing{
		Title: title, Currency: "EUR", Minimum: 1000, Closes: now.Add(open), TieWindow: time.Second,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return placed.Prepared.Auction
}

// run keeps everybody busy until stop is called, which waits for them.
func (l *load) run() (stop func()) {
	ctx, cancel := context.WithCancel(l.ctx)
	l.ctx = ctx
	var busy sync.WaitGroup
	for i, c := range l.people {
		busy.Go(func() { l.bidOn(c, auction.Amount(1000+i)) })
	}
	for _, url := range l.house.Ready.DMS {
		for range 2 {
			busy.Go(func() { l.spectate(url) })
		}
	}
	busy.Go(l.arrive)
	busy.Go(l.blunder)
	busy.Go(l.settle)
	return func() {
		cancel()
		busy.Wait()
	}
}

// bidOn bids for the clock, and then always more for the tower. What another
// bid was faster with is refused, as in life.
func (l *load) bidOn(c *client.Client, amount auction.Amount) {
	if _, err := c.Bid(l.ctx, l.short, amount); auction.CodeOf(err) != auction.CodeBidTooLow {
		l.must(err)
	}
	follow, err := c.Follow(l.ctx, auction.LogID(l.long))
	l.must(err)
	if err != nil {
		return
	}
	go func() { // ends with the context
		for {
			if _, err := follow.Next(l.ctx); err != nil {
				return
			}
		}
	}()
	for l.ctx.Err() == nil {
		shown, err := c.Item(l.ctx, l.long)
		l.must(err)
		if _, err := c.Bid(l.ctx, l.long, max(shown.Item.Least, 1000)); auction.CodeOf(err) != auction.CodeBidTooLow {
			l.must(err)
		}
		_, err = c.MyBids(l.ctx)
		l.must(err)
	}
}

// spectate follows the tower without a name.
func (l *load) spectate(url string) {
	ws, _, err := websocket.Dial(l.ctx, url+"/ws", &websocket.DialOptions{Subprotocols: []string{session.ModePublic}})
	if err != nil {
		l.must(err)
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(session.MaxServerMessage)
	l.must(ws.Write(l.ctx, websocket.MessageText, wire.EncodeClient(&wire.FollowRequest{ID: 1, Log: auction.LogID(l.long)})))
	for err == nil {
		_, _, err = ws.Read(l.ctx)
	}
	l.must(err)
}

// blunder makes every mistake that shows somewhere, once each.
func (l *load) blunder() {
	want := func(code auction.Code, err error) {
		if l.ctx.Err() == nil && auction.CodeOf(err) != code {
			l.t.Errorf("got %v, want %s", err, code)
		}
	}
	_, err := l.people[0].Bid(l.ctx, l.long, 1)
	want(auction.CodeBidTooLow, err)
	_, err = l.seller.Bid(l.ctx, l.long, 1<<40)
	want(auction.CodeOwnAuction, err)
	_, err = l.seller.Items(l.ctx)
	l.must(err)
	_, err = l.seller.MyItems(l.ctx)
	l.must(err)

	l.post(l.house.Ready.TSA[0]+"/api/timestamp", tsp.QueryType, "no request")
	l.post(l.house.Ready.CA+"/api/sign-csr", "application/json", "{}")

	ws, _, err := websocket.Dial(l.ctx, l.house.Ready.DMS[0]+"/ws", &websocket.DialOptions{Subprotocols: session.Modes()})
	if err != nil {
		l.must(err)
		return
	}
	defer ws.CloseNow()
	l.must(ws.Write(l.ctx, websocket.MessageBinary, []byte("no start")))
	if _, _, err := ws.Read(l.ctx); err == nil {
		l.t.Error("a handshake that is none was answered")
	}
}

func (l *load) post(url, kind, body string) {
	res, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		l.must(err)
		return
	}
	res.Body.Close()
}

// settle waits for the end of the clock's auction, and has both sides disclose.
func (l *load) settle() {
	for {
		shown, err := l.seller.Item(l.ctx, l.short)
		if err != nil {
			l.must(err)
			return
		}
		if shown.Item.Status == wire.StatusClosed {
			break
		}
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	for _, c := range append([]*client.Client{l.seller}, l.people...) {
		l.must(l.disclose(c))
	}
}

// disclose has c disclose itself if it is a party to the sale.
func (l *load) disclose(c *client.Client) error {
	messages, err := c.Inbox(l.ctx)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Auction == l.short && m.Message == auction.MessageClosed {
			if _, err := c.Closed(l.ctx, m); err != nil {
				return err
			}
			return c.Disclose(l.ctx, l.short, nil)
		}
	}
	return nil // lost
}
