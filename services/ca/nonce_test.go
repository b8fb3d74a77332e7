package ca

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestNonces(t *testing.T) {
	n := newNonces()
	now := auction.TimeOf(epoch)
	nonce := n.make(now)
	if n.make(now) == nonce {
		t.Error("two nonces are one")
	}
	for name, c := range map[string]struct {
		nonce string
		at    auction.Time
		ok    bool
	}{
		"now": {nonce, now, true}, "at its end": {nonce, now.Add(nonceLife), true}, "past it": {nonce, now.Add(nonceLife) + 1, false},
		"before it was made": {nonce, now - 1, false}, "empty": {"", now, false}, "another's": {newNonces().make(now), now, false},
		"cut off": {nonce[:len(nonce)-2], now, false}, "not base64url": {"!", now, false}, "moved on": {"B" + nonce[1:], now, false},
	} {
		if err := n.check(c.nonce, c.at); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && auction.CodeOf(err) != auction.CodeBadEnrolment {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNonce(f *testing.F) {
	n := newNonces()
	now := auction.TimeOf(epoch)
	good := n.make(now)
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, nonce string) {
		if err := n.check(nonce, now); err == nil && nonce != good {
			t.Fatal("a nonce that was never made passes")
		} else if err != nil && auction.CodeOf(err) != auction.CodeBadEnrolment {
			t.Fatal(err)
		}
	})
}
