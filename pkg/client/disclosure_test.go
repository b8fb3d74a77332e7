package client_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// The nonce of a presentation is that of the protocol's worked example (19.3),
// and changes with each of its parts.
func TestDisclosureNonce(t *testing.T) {
	page := string(must(os.ReadFile("../../docs/protocol.md"))(t))
	key := func(fill byte) auction.Blob { return append([]byte{4}, bytes.Repeat([]byte{fill}, 64)...) }
	seller := client.Closing{
		Auction: "7c1a2f60-4a55-4a0b-9d1c-5f0e3a9b6d21", Role: wire.RoleSeller,
		Record: auction.Hash(bytes.Repeat([]byte{3}, 32)), OwnKey: key(1), TheirKey: key(2),
	}
	winner := seller
	winner.Role, winner.OwnKey, winner.TheirKey = wire.RoleWinner, seller.TheirKey, seller.OwnKey
	nonces := make(map[string]bool)
	for role, want := range map[wire.Role]string{
		wire.RoleSeller: "Bl4O1_4W6fRHJY9HQOvWxQ7Qx12c0KmY4QvzKcYdgyg",
		wire.RoleWinner: "FMRQo2UHRkqn_nWrxDsOomi4VhIQu-1jkgqQRt_Rcek",
	} {
		nonce := seller.Nonce("demo", role)
		if nonce != want || winner.Nonce("demo", role) != want || !strings.Contains(page, "| nonce of the "+string(role)+" | `"+want+"` |") {
			t.Errorf("the nonce of the %s is %s, want %s, also in the protocol", role, nonce, want)
		}
		nonces[nonce] = true
	}
	another := func(change func(*client.Closing), house string) {
		t.Helper()
		c := seller
		change(&c)
		nonce := c.Nonce(house, wire.RoleSeller)
		if nonces[nonce] {
			t.Error("the nonce of another sale")
		}
		nonces[nonce] = true
	}
	another(func(*client.Closing) {}, "other")
	another(func(c *client.Closing) { c.Auction = "0b9f3c52-8e1d-4f7a-a6b0-2d4c6e8f1a35" }, "demo")
	another(func(c *client.Closing) { c.Record[31]++ }, "demo")
	another(func(c *client.Closing) { c.OwnKey = key(5) }, "demo")
	another(func(c *client.Closing) { c.TheirKey = key(5) }, "demo")
}

// A counterpart signs and seals what opens, and it is not what the terms demand,
// or not for this sale: that is junk, which its signature pins on it.
func TestDisclosureOfTooLittle(t *testing.T) {
	s := sale(t)
	must(s.seller.Closed(within(t), s.forSeller))(t)
	closing := must(s.winner.Closed(within(t), s.forWinner))(t)
	check(t, s.seller.Disclose(within(t), s.id, []string{"email"}))
	check(t, s.winner.Disclose(within(t), s.id, nil))
	honest := only(t, s.winner.Client)

	now := must(s.winner.Now(within(t)))(t)
	nonce := closing.Nonce("demo", wire.RoleSeller)
	another := closing
	another.Record[0] ^= 1
	present := func(claims []string, nonce string) string {
		return must(identity.Present(credentialOf(t, s.seller), keyOfPerson(t, s.seller), claims, "demo", nonce, now.Std()))(t)
	}
	tests := []struct {
		name         string
		presentation string
		junk         bool
	}{
		{"what the terms demand", present([]string{"username"}, nonce), false},
		{"more than that", present([]string{"email", "username"}, nonce), false},
		{"no claim", present(nil, nonce), true},
		{"another claim than the terms'", present([]string{"email"}, nonce), true},
		{"the nonce of another close", present([]string{"username"}, another.Nonce("demo", wire.RoleSeller)), true},
		{"the nonce of the other role", present([]string{"username"}, closing.Nonce("demo", wire.RoleWinner)), true},
		{"another holder's credential", must(identity.Present(credentialOf(t, s.loser), keyOfPerson(t, s.loser),
			[]string{"username"}, "demo", nonce, now.Std()))(t), true},
		{"another holder's credential under the own key", must(identity.Present(credentialOf(t, s.loser), keyOfPerson(t, s.seller),
			[]string{"username"}, "demo", nonce, now.Std()))(t), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			theirs, err := s.winner.Opened(within(t), discloses(t, s.seller, closing, honest, tt.presentation))
			if errors.As(err, new(*client.Junk)) != tt.junk || (err != nil) != tt.junk {
				t.Fatalf("opened %v, error %v", theirs.Theirs, err)
			}
			if tt.junk {
				wantCode(t, err, auction.CodeBadSignature)
			}
		})
	}
}

// discloses gives a message with another presentation, sealed and signed as the
// sender would: all of it but the presentation is right.
func discloses(t *testing.T, sender person, recipient client.Closing, m wire.Message, presentation string) wire.Message {
	t.Helper()
	key := must(wire.DisclosureKEMOf(recipient.OwnKey).NewPublicKey(recipient.OwnKey))(t)
	info := "sigilo/disclosure/v1\x00" + recipient.Nonce("demo", wire.RoleSeller)
	m.Sealed = must(hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), []byte(presentation)))(t)
	cmd := must(wire.ParseCommand([]byte(m.JWS)))(t)
	cmd.Sealed = sha256.Sum256(m.Sealed)
	m.JWS = string(must(wire.Sign(keyOfPerson(t, sender), cmd.Thumbprint, cmd.Command, nil))(t))
	return m
}

func credentialOf(t *testing.T, p person) string {
	t.Helper()
	return string(must(os.ReadFile(filepath.Join(p.dir, "credential")))(t))
}

func keyOfPerson(t *testing.T, p person) *ecdsa.PrivateKey {
	t.Helper()
	return must(identity.LoadKey(filepath.Join(p.dir, "key.pem")))(t)
}
