package allinone_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/store/storetest"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// replica is a process of its own.
type replica struct {
	cmd *exec.Cmd
	url string
}

// kill ends the process as kill -9 does. It may be called more than once.
func (r *replica) kill() { _ = r.cmd.Process.Kill() } // one that has ended is what is wanted

// startReplica runs cmd/dms for a house that is there, and waits until it is ready.
func startReplica(t *testing.T, ctx context.Context, binary, dir, redis string, ready client.ReadyFile) *replica {
	t.Helper()
	key := func(name string) string { return filepath.Join(dir, "keys", name) }
	cmd := exec.CommandContext(ctx, binary,
		"--house", ready.House, "--redis-url", redis, "--ca", ready.CA, "--tsa", "tsa1="+ready.TSA[0],
		"--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--root", key(ca.FileRoot),
		"--certificate", key(ca.FileDMS), "--key", key(ca.FileDMSKey), "--log-key", key(ca.FileLogKey),
		"--policy", key(ca.FilePolicy))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &replica{cmd: cmd}
	t.Cleanup(func() {
		r.kill()
		_ = cmd.Wait() // an error: it was killed
	})
	lines := bufio.NewReader(out)
	for r.url == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the replica does not listen: %v", err)
		}
		var entry struct{ Msg, Public, Internal string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
			r.url = "http://" + entry.Public
			waitReady(t, ctx, "http://"+entry.Internal+"/readyz")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // so that it never waits for its log
	return r
}

func waitReady(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
}

// bidding is what happened to all who bid at the same time.
type bidding struct {
	next atomic.Int64 // amounts, each bid once

	mu       sync.Mutex
	receipts map[auction.Pseudonym]client.Placed
	refused  map[auction.Code]int
	half     func() // called once, in the middle
}

// TestReplicaKilled kills one of two replicas while bids are in flight. Whoever
// has a receipt is in the log, once; nobody has to do anything about it.
func TestReplicaKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "dms")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "../../cmd/dms").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	redis, dir := storetest.StartRedis(t), t.TempDir()
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 1, RedisURL: redis.URL(), SimulatedTime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	first := startReplica(t, ctx, binary, dir, redis.URL(), h.Ready)
	second := startReplica(t, ctx, binary, dir, redis.URL(), h.Ready)
	replicas := []string{first.url, second.url}
	seller := enrol(t, ctx, h, "sofia", "participant", replicas, client.Options{})
	id := listClock(t, ctx, seller)

	b := &bidding{receipts: make(map[auction.Pseudonym]client.Placed), refused: make(map[auction.Code]int), half: first.kill}
	var bidders sync.WaitGroup
	var follows []*client.Follow
	for _, name := range []string{"bruno", "carla", "diogo", "elisa"} {
		c := enrol(t, ctx, h, name, "participant", replicas, client.Options{})
		slices.Reverse(replicas) // the next one begins at the other replica
		f, err := c.Follow(ctx, auction.LogID(id))
		if err != nil {
			t.Fatal(err)
		}
		follows = append(follows, f)
		bidders.Go(func() { b.run(t, ctx, c, id) })
	}
	bidders.Wait()
	if len(b.receipts) < bidsEach {
		t.Fatalf("%d receipts, refused %v", len(b.receipts), b.refused)
	}
	shown, err := seller.Item(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetTime(ctx, shown.Terms.Closes.Add(6*time.Second)); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, ctx, seller, id)
	log := audited(t, ctx, h, id)
	b.check(t, log)
	for _, f := range follows {
		sameEvents(t, ctx, f, log)
	}
}

func listClock(t *testing.T, ctx context.Context, seller *client.Client) auction.ID {
	t.Helper()
	now, err := seller.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := seller.List(ctx, client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 1, Closes: now.Add(10 * time.Minute), TieWindow: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return listed.Prepared.Auction
}

// bidsEach is how many bids each of the four bidders makes.
const bidsEach = 12

// run bids ever more. That others were faster is no error; that it is not known
// what became of a bid would be.
func (b *bidding) run(t *testing.T, ctx context.Context, c *client.Client, id auction.ID) {
	for range bidsEach {
		amount := auction.Amount(1000 + b.next.Add(1))
		placed, err := c.Bid(ctx, id, amount)
		code := auction.CodeOf(err)
		switch {
		case err == nil:
			b.note(placed)
		case code == auction.CodeBidTooLow || code == auction.CodeStampTooOld:
			b.mu.Lock()
			b.refused[code]++
			b.mu.Unlock()
		default:
			t.Errorf("a bid of %d: %v", amount, err)
			return
		}
	}
	if pending, err := c.Profile().Pending(); err != nil || len(pending) != 0 {
		t.Errorf("%d bids are pending: %v", len(pending), err)
	}
}

func (b *bidding) note(p client.Placed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receipts[p.Prepared.Pseudonym] = p
	if len(b.receipts) == bidsEach {
		b.half()
	}
}

// audited returns the log of a closed auction from a verified bundle of an auditor.
func audited(t *testing.T, ctx context.Context, h *allinone.House, id auction.ID) []auction.Entry {
	t.Helper()
	auditor := enrol(t, ctx, h, "ada", "auditor", h.Ready.DMS, client.Options{})
	thumbprint, err := auditor.Profile().Thumbprint()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.ApproveAudit(ctx, id, thumbprint); err != nil {
		t.Fatal(err)
	}
	bundle, err := auditor.Evidence(ctx, id, evidence.Audit)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := auditor.Profile().Trust()
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := evidence.Verify(bundle, &trust)
	if err != nil || !verdict.Anchored {
		t.Fatalf("the evidence does not hold: %v", err)
	}
	parsed, err := evidence.ParseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Entries
}

// check holds that the log has the listing, each bid that has a receipt once and
// where its receipt says, and one close, for the highest.
func (b *bidding) check(t *testing.T, log []auction.Entry) {
	t.Helper()
	t.Logf("%d receipts, refused %v, %d entries", len(b.receipts), b.refused, len(log))
	missing := maps.Clone(b.receipts)
	var highest auction.Amount
	for i, entry := range log {
		event, err := auction.ParseEvent(entry.Event)
		if err != nil {
			t.Fatal(err)
		}
		want := auction.SomeoneBid
		switch i {
		case 0:
			want = auction.SomeoneListed
		case len(log) - 1:
			want = auction.AuctionClosed
		}
		if event.Kind != want || event.Seq != uint64(i+1) {
			t.Fatalf("entry %d is number %d, %s", i+1, event.Seq, event.Kind)
		}
		switch event.Kind {
		case auction.SomeoneBid:
			placed, ok := missing[event.Pseudonym]
			if !ok || placed.Receipt.Seq != event.Seq || placed.Receipt.Leaf != entry.Leaf() {
				t.Errorf("entry %d has no receipt, or another, or is there twice", event.Seq)
			}
			delete(missing, event.Pseudonym)
			highest = max(highest, event.Amount)
		case auction.AuctionClosed:
			if event.Amount != highest {
				t.Errorf("sold for %d, the highest bid was %d", event.Amount, highest)
			}
		}
	}
	if len(missing) != 0 {
		t.Errorf("%d bids with receipts are not in the log", len(missing))
	}
}

// sameEvents holds that a follower got the events of the whole log, once and in
// order, over whichever replicas it took.
func sameEvents(t *testing.T, ctx context.Context, f *client.Follow, log []auction.Entry) {
	t.Helper()
	for _, entry := range log {
		event, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if string(event.Encode()) != string(entry.Event) {
			t.Fatalf("event %d comes instead of %d", event.Seq, entry.Seq)
		}
	}
}
