package allinone_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/store/storetest"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
	"github.com/sigilo/sigilo/services/dms"
)

// An auction leaves Redis once its evidence is in the archive and holds, and not
// before; who asks for it later is told so.
func TestArchive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	redis, dir, folder := storetest.StartRedis(t), t.TempDir(), t.TempDir()
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 1, RedisURL: redis.URL(), SimulatedTime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	seller := enrol(t, ctx, h, "sofia", "participant", h.Ready.DMS, client.Options{})
	bidder := enrol(t, ctx, h, "bruno", "participant", h.Ready.DMS, client.Options{})
	id := listClock(t, ctx, seller)
	if _, err := bidder.Bid(ctx, id, 1000); err != nil {
		t.Fatal(err)
	}
	shown, err := seller.Item(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	closes := shown.Terms.Closes
	key := func(name string) string { return filepath.Join(dir, "keys", name) }
	cfg := dms.ArchiveConfig{
		House: h.Ready.House, RedisURL: redis.URL(), Root: key(ca.FileRoot), LogKey: key(ca.FileLogKey), Dir: folder,
		After: 24 * time.Hour, Now: func() time.Time { return time.UnixMicro(int64(closes)).Add(48 * time.Hour) },
	}
	run := func(want string) {
		t.Helper()
		var out strings.Builder
		if err := dms.Archive(ctx, cfg, &out); err != nil || out.String() != want {
			t.Fatalf("archive: %q, %v", out.String(), err)
		}
	}
	run("") // it is open
	if err := h.SetTime(ctx, closes.Add(6*time.Second)); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, ctx, seller, id)

	late := cfg.Now
	cfg.Now = func() time.Time { return time.UnixMicro(int64(closes)).Add(time.Hour) }
	run("") // its parties may still be away
	cfg.Now = late
	file := filepath.Join(folder, string(id)+".evidence")
	wrong := cfg
	wrong.LogKey = filepath.Join(t.TempDir(), "log.key")
	otherKey, _, err := note.GenerateKey(rand.Reader, h.Ready.House)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wrong.LogKey, []byte(otherKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dms.Archive(ctx, wrong, new(strings.Builder)); err == nil {
		t.Error("evidence that does not hold was taken for kept")
	}
	if names, err := os.ReadDir(folder); err != nil || len(names) > 0 {
		t.Errorf("evidence that does not hold was left: %v, %v", names, err)
	}
	if _, err := seller.Item(ctx, id); err != nil {
		t.Fatalf("it was not archived, and is gone: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	away := func(meanwhile func() error) { // of Redis, which the house waits for
		t.Helper()
		redis.Kill()
		if err := meanwhile(); err != nil {
			t.Fatal(err)
		}
		redis.Restart()
	}
	away(func() error { return os.CopyFS(backup, os.DirFS(redis.Dir())) })
	archived := "auction " + string(id) + ": archived as " + file + ", 3 entries\n"
	run(archived)
	run("") // nothing is left to do

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if verdict, err := evidence.Verify(data, nil); err != nil || verdict.Kind != evidence.Audit {
		t.Errorf("the archive: %v", err)
	}
	if _, err := bidder.Item(ctx, id); auction.CodeOf(err) != auction.CodeTooOld {
		t.Errorf("an archived auction: %v", err)
	}
	if _, err := bidder.Bid(ctx, id, 2000); auction.CodeOf(err) != auction.CodeTooOld {
		t.Errorf("a bid in an archived auction: %v", err)
	}
	var last *client.Archived
	if _, err := bidder.Follow(ctx, auction.LogID(id)); !errors.As(err, &last) || last.Item.Outcome != auction.Sold || last.Item.Highest != 1000 {
		t.Errorf("followed an archived auction: %v", err)
	}
	next := listClock(t, ctx, seller) // the house goes on
	if items, err := seller.Items(ctx); err != nil || len(items) != 1 || items[0].Auction != next {
		t.Errorf("%d auctions are listed: %v", len(items), err)
	}
	if mine, err := bidder.MyBids(ctx); err != nil || len(mine) > 0 {
		t.Errorf("%d auctions of the bidder: %v", len(mine), err)
	}

	// From a backup it comes back: what is archived is compared with it, and kept.
	away(func() error {
		return errors.Join(os.RemoveAll(redis.Dir()), os.CopyFS(redis.Dir(), os.DirFS(backup)))
	})
	if err := os.WriteFile(file, data[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := dms.Archive(ctx, cfg, &out); err == nil || out.Len() > 0 {
		t.Errorf("over the evidence of another history: %q, %v", out.String(), err)
	}
	if there, err := os.ReadFile(file); err != nil || len(there) != len(data)-1 {
		t.Errorf("that was changed: %v", err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run(archived) // also where a run was interrupted when the file was there
}
