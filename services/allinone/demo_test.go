package allinone

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"os"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
)

func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var story bytes.Buffer
	r, err := Demo(ctx, t.TempDir(), &story)
	if err != nil {
		t.Fatalf("%v\n%s", err, story.Bytes())
	}
	t.Logf("%s", story.Bytes())
	for what, holds := range map[string]bool{
		"accepted":            r.Accepted >= 6,
		"tie_kept_earliest":   r.TieKeptEarliest,
		"resent_got_first":    r.ResentGotFirst,
		"winner_is_highest":   r.WinnerIsHighest,
		"seller_saw":          r.Disclosed.SellerSaw == "clara.nogueira",
		"winner_saw":          r.Disclosed.WinnerSaw == "sofia.marques",
		"losers_saw_names":    !r.LosersSawNames,
		"dms_saw_names":       !r.DMSSawNames,
		"events_in_order":     r.EventsInOrder,
		"evidence_valid":      r.EvidenceValid,
		"replicas":            r.Replicas == 2,
		"refused: too low":    r.Refused[auction.CodeBidTooLow] == 1,
		"refused: own item":   r.Refused[auction.CodeOwnAuction] == 1,
		"refused: no item":    r.Refused[auction.CodeUnknownAuction] == 1,
		"refused: old stamp":  r.Refused[auction.CodeStampTooOld] == 1,
		"refused: other bid":  r.Refused[auction.CodePseudonymUsed] == 1,
		"story is told":       bytes.Contains(story.Bytes(), []byte("anchored: ")),
		"story names nothing": !bytes.Contains(story.Bytes(), []byte("NAMES FOUND")),
	} {
		if !holds {
			t.Errorf("%s does not hold: %+v", what, r)
		}
	}
	bundle, err := os.ReadFile(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	everyChangeRefused(t, bundle)
}

// everyChangeRefused changes one byte at a time, some five hundred of them all
// over the bundle: none may be taken for evidence.
func everyChangeRefused(t *testing.T, bundle []byte) {
	t.Helper()
	if _, err := evidence.Verify(bundle, nil); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(bundle); i += len(bundle)/500 + 1 {
		for _, flip := range []byte{0x01, 0x20} {
			changed := bytes.Clone(bundle)
			changed[i] ^= flip
			if _, err := evidence.Verify(changed, nil); err == nil {
				t.Errorf("byte %d changed by %#x, and it still holds", i, flip)
			}
		}
	}
}

// TestSearchFindsPlantedName shows that the search which finds no name in the
// demo finds one where there is one, whatever it is wrapped in.
func TestSearchFindsPlantedName(t *testing.T) {
	const name = "clara.nogueira"
	claim := base64.RawURLEncoding.EncodeToString([]byte(`["salt","username","Clara.Nogueira"]`))
	for what, planted := range map[string]string{
		"plain":             "some log line about clara.nogueira here",
		"upper case":        "CLARA.NOGUEIRA",
		"base64url":         `{"sealed":"` + claim + `"}`,
		"base64":            base64.StdEncoding.EncodeToString([]byte("x clara.nogueira")),
		"base64, unaligned": "ab" + base64.RawStdEncoding.EncodeToString([]byte("xx clara.nogueira xx")),
		"hexadecimal":       hex.EncodeToString([]byte("clara.nogueira")),
		"twice in base64":   base64.RawURLEncoding.EncodeToString([]byte("head." + claim + ".tail")),
	} {
		var h Haystack
		h.Add([]byte("nothing here"))
		if got := h.Find([]string{name}); len(got) != 0 {
			t.Fatalf("found %v in nothing", got)
		}
		h.Add([]byte(planted))
		if got := h.Find([]string{name, "sofia.marques"}); len(got) != 1 || got[0] != name {
			t.Errorf("%s: found %v", what, got)
		}
	}
}
