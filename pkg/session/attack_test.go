package session

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"pgregory.net/rapid"
)

// change returns a middle that changes the n-th message of one direction.
func change(toServer bool, n int, f func([]byte) []byte) middle {
	return func(up bool, i int, msg []byte) [][]byte {
		if up == toServer && i == n {
			msg = f(msg)
		}
		return [][]byte{msg}
	}
}

// swap returns a middle that delivers other in place of the n-th message.
func swap(toServer bool, n int, other []byte) middle {
	return change(toServer, n, func([]byte) []byte { return other })
}

// rewriteStart decodes a start, changes it and encodes it again.
func rewriteStart(f func(*start)) func([]byte) []byte {
	return func(msg []byte) []byte {
		m, err := parseStart(msg)
		if err != nil {
			panic(err)
		}
		f(m)
		out, err := m.marshal()
		if err != nil {
			panic(err)
		}
		return out
	}
}

// rewriteHello decodes a hello, changes it and encodes it with its signature.
func rewriteHello(f func(*hello)) func([]byte) []byte {
	return func(msg []byte) []byte {
		m, _, err := parseHello(msg)
		if err != nil {
			panic(err)
		}
		f(m)
		head, err := m.marshalHead()
		if err != nil {
			panic(err)
		}
		tail, err := m.marshalTail()
		if err != nil {
			panic(err)
		}
		return append(head, tail...)
	}
}

func freshKey(t *testing.T) hpke.PrivateKey {
	t.Helper()
	key, err := hpke.DHKEM(ecdh.P256()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestMiddleIsRefused(t *testing.T) {
	old := meet(clientConfig(client), serverConfig(dms), nil)
	if old.clientErr != nil || old.serverErr != nil {
		t.Fatalf("client %v, server %v", old.clientErr, old.serverErr)
	}
	mine := freshKey(t).PublicKey().Bytes()
	onP384, err := ecdh.P384().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p384 := onP384.PublicKey().Bytes()
	offCurve := append([]byte{4}, bytes.Repeat([]byte{1}, 64)...)
	const none = auction.Code("")
	tests := []struct {
		name           string
		middle         middle
		client, server auction.Code // none for a side that only sees the other go
	}{
		{"nonce changed", change(true, 0, rewriteStart(func(m *start) { m.nonce[0]++ })), auction.CodeBadSignature, none},
		{"client's key changed", change(true, 0, rewriteStart(func(m *start) { m.key = mine })), auction.CodeBadSignature, none},
		{"offer shortened", change(true, 0, rewriteStart(func(m *start) { m.offered = m.offered[:1] })), auction.CodeBadSignature, none},
		{"offer lengthened", change(true, 0, rewriteStart(func(m *start) { m.offered = append(m.offered, "x") })), auction.CodeBadSignature, none},
		{"offer emptied of the mode", change(true, 0, rewriteStart(func(m *start) { m.offered = []string{ModePublic} })), none, auction.CodeBadHandshake},
		{"client's key off the curve", change(true, 0, rewriteStart(func(m *start) { m.key = offCurve })), none, auction.CodeBadHandshake},
		{"client's key on P-384", change(true, 0, rewriteStart(func(m *start) { m.key = p384 })), none, auction.CodeBadHandshake},
		{"server's key changed", change(false, 0, rewriteHello(func(m *hello) { m.key = mine })), auction.CodeBadSignature, none},
		{"session id changed", change(false, 0, rewriteHello(func(m *hello) { m.id[0]++ })), auction.CodeBadSignature, none},
		{"mode changed", change(false, 0, rewriteHello(func(m *hello) { m.mode = ModePublic })), auction.CodeBadHandshake, none},
		{"time changed", change(false, 0, rewriteHello(func(m *hello) { m.time++ })), auction.CodeBadSignature, none},
		{"chain shortened", change(false, 0, rewriteHello(func(m *hello) { m.chain = m.chain[:1] })), auction.CodeBadSignature, none},
		{"old start", swap(true, 0, old.clientWrote[0]), auction.CodeBadSignature, none},
		{"old hello", swap(false, 0, old.serverWrote[0]), auction.CodeBadSignature, none},
		{"old auth", swap(true, 1, old.clientWrote[1]), none, auction.CodeBadHandshake},
		{"old ready", swap(false, 1, old.serverWrote[1]), auction.CodeBadHandshake, none},
		{"start reflected", swap(false, 0, old.clientWrote[0]), auction.CodeBadHandshake, none},
		{"auth reflected", swap(false, 1, old.clientWrote[1]), auction.CodeBadHandshake, none},
		{"hello as auth", swap(true, 1, old.serverWrote[0]), none, auction.CodeBadHandshake},
		{"start twice", func(up bool, n int, msg []byte) [][]byte {
			if up && n == 0 {
				return [][]byte{msg, msg}
			}
			return [][]byte{msg}
		}, none, auction.CodeBadHandshake},
		{"hello too large", swap(false, 0, make([]byte, maxHelloMsg+1)), auction.CodeTooLarge, none},
		{"start too large", swap(true, 0, make([]byte, maxStartMsg+1)), none, auction.CodeTooLarge},
		{"another version", change(true, 0, func(msg []byte) []byte { msg[0] = 2; return msg }), none, auction.CodeBadVersion},
		{"trailing byte in start", change(true, 0, func(msg []byte) []byte { return append(msg, 0) }), none, auction.CodeBadRequest},
		{"trailing byte in hello", change(false, 0, func(msg []byte) []byte { return append(msg, 0) }), auction.CodeBadRequest, none},
		{"trailing byte in auth", change(true, 1, func(msg []byte) []byte { return append(msg, 0) }), none, auction.CodeBadRequest},
		{"trailing byte in ready", change(false, 1, func(msg []byte) []byte { return append(msg, 0) }), auction.CodeBadRequest, none},
		{"empty start", swap(true, 0, nil), none, auction.CodeBadRequest},
		{"ready made by the middle", forgeReady(t, nil), auction.CodeBadHandshake, none},
		{"ready made by the middle, a secret guessed", forgeReady(t, make([]byte, exportSize)), auction.CodeBadHandshake, none},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			cc := clientConfig(client)
			cc.Offered = []string{ModeP256, "sigilo.v0.other"}
			m := meet(cc, serverConfig(dms), tc.middle)
			if m.client != nil {
				t.Fatal("the client has a session")
			}
			if tc.client != none {
				wantCode(t, "client", m.clientErr, tc.client)
			}
			if tc.server != none {
				wantCode(t, "server", m.serverErr, tc.server)
			}
		})
	}
}

// forgeReady returns a middle that knows all that the wire shows and seals a
// ready of its own to the client's key, as HPKE's base mode lets anyone do. Only
// the secret exported from the other context is missing; guess is in its place.
func forgeReady(t *testing.T, guess []byte) middle {
	seen := newTranscript()
	var clientKey hpke.PublicKey
	return func(toServer bool, n int, msg []byte) [][]byte {
		if !toServer && n == 1 {
			info := append(seen.bind(labelS2C), guess...)
			enc, sender, err := hpke.NewSender(clientKey, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := sender.Seal(nil, []byte(testReady))
			if err != nil {
				t.Fatal(err)
			}
			forged, err := (&ready{enc, sealed}).marshal()
			if err != nil {
				t.Fatal(err)
			}
			return [][]byte{forged}
		}
		if toServer && n == 0 {
			m, err := parseStart(msg)
			if err != nil {
				t.Fatal(err)
			}
			if clientKey, err = hpke.DHKEM(ecdh.P256()).NewPublicKey(m.key); err != nil {
				t.Fatal(err)
			}
		}
		seen.add(msg)
		return [][]byte{msg}
	}
}

// A participant who answers another's hello in its own name gets the server's
// ready, but can open nothing, and the other has no session.
func TestAuthInAnothersHandshake(t *testing.T) {
	seen := newTranscript()
	var serverKey hpke.PublicKey
	mid := func(toServer bool, n int, msg []byte) [][]byte {
		if toServer && n == 1 {
			h := clientHandshake{ClientConfig: clientConfig(stranger), suite: suites[0], transcript: seen}
			sent := make(chan []byte, 1)
			h.conn = &end{out: sent}
			if _, err := h.auth(context.Background(), &hello{key: serverKey.Bytes()}); err != nil {
				t.Fatal(err)
			}
			return [][]byte{<-sent}
		}
		if !toServer && n == 0 {
			m, _, err := parseHello(msg)
			if err != nil {
				t.Fatal(err)
			}
			if serverKey, err = hpke.DHKEM(ecdh.P256()).NewPublicKey(m.key); err != nil {
				t.Fatal(err)
			}
		}
		seen.add(msg)
		return [][]byte{msg}
	}
	m := meet(clientConfig(client), serverConfig(dms), mid)
	if m.serverErr != nil {
		t.Errorf("server: %v", m.serverErr)
	}
	wantCode(t, "client", m.clientErr, auction.CodeBadHandshake)
}

// A signature for one handshake is none for another, even inside a sealed part
// that opens: the certificate's holder must have signed this enc.
func TestAuthBindsTranscript(t *testing.T) {
	for _, label := range []string{labelHello, labelC2S, labelAuth} {
		cc := clientConfig(client)
		other := newTranscript()
		other.add([]byte("another handshake"))
		sig, err := other.sign(nil, client.key, label)
		if err != nil {
			t.Fatal(err)
		}
		cc.Key = fixedSigner{client, sig}
		m := meet(cc, serverConfig(dms), nil)
		wantCode(t, "server", m.serverErr, auction.CodeBadSignature)
	}
}

// withSuite makes another mode known for a test, better than all others. It has
// the largest keys of the KEMs that are planned for.
func withSuite(t *testing.T, mode string) {
	t.Helper()
	known := suites
	t.Cleanup(func() { suites = known })
	suites = append([]suite{{mode, hpke.MLKEM768P256(), hpke.HKDFSHA256(), hpke.AES256GCM()}}, known...)
}

func TestDowngrade(t *testing.T) {
	const better = "sigilo.v2.test"
	withSuite(t, better)
	if got := Modes(); !slices.Equal(got, []string{better, ModeP256}) {
		t.Fatalf("modes %v", got)
	}
	run := func(clientMode, serverMode string, offered []string, mid middle) *meeting {
		cc, sc := clientConfig(client), serverConfig(dms)
		cc.Mode, cc.Offered, sc.Mode = clientMode, offered, serverMode
		return meet(cc, sc, mid)
	}
	both := []string{ModeP256, better}
	t.Run("best mode", func(t *testing.T) {
		if m := run(better, better, both, nil); m.clientErr != nil || m.serverErr != nil {
			t.Errorf("client %v, server %v", m.clientErr, m.serverErr)
		}
	})
	t.Run("old client", func(t *testing.T) {
		if m := run(ModeP256, ModeP256, both[:1], nil); m.clientErr != nil || m.serverErr != nil {
			t.Errorf("client %v, server %v", m.clientErr, m.serverErr)
		}
	})
	t.Run("cut from the negotiation", func(t *testing.T) {
		m := run(ModeP256, ModeP256, both, nil)
		wantCode(t, "server", m.serverErr, auction.CodeBadHandshake)
	})
	t.Run("cut from the negotiation and from start", func(t *testing.T) {
		m := run(ModeP256, ModeP256, both, change(true, 0, rewriteStart(func(m *start) { m.offered = both[:1] })))
		wantCode(t, "client", m.clientErr, auction.CodeBadSignature)
	})
	t.Run("each side told another mode", func(t *testing.T) {
		m := run(better, ModeP256, both, change(true, 0, rewriteStart(func(m *start) {
			m.offered, m.key = both[:1], freshKey(t).PublicKey().Bytes()
		})))
		wantCode(t, "client", m.clientErr, auction.CodeBadHandshake)
	})
}

// Whatever bit of whatever message changes, the client has no session.
func TestEveryBitCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		toServer, n := rapid.Bool().Draw(t, "to server"), rapid.IntRange(0, 1).Draw(t, "message")
		m := meet(clientConfig(client), serverConfig(dms), change(toServer, n, func(msg []byte) []byte {
			bit := rapid.IntRange(0, 8*len(msg)-1).Draw(t, "bit")
			msg[bit/8] ^= 1 << (bit % 8)
			return msg
		}))
		if m.client != nil {
			t.Error("the client has a session")
		}
		if m.server != nil && (toServer || n == 0) {
			t.Error("the server has a session")
		}
	})
}

// A middle that delivers what it likes of two handshakes, in any order and as
// often as it likes, can only let one through or stop it.
func TestAnySchedule(t *testing.T) {
	old := meet(clientConfig(client), serverConfig(dms), nil)
	pool := slices.Concat(old.clientWrote, old.serverWrote)
	rapid.Check(t, func(t *rapid.T) {
		seen := slices.Clone(pool)
		delivered := map[bool][][]byte{}
		m := meet(clientConfig(client), serverConfig(dms), func(toServer bool, n int, msg []byte) [][]byte {
			// The last of those seen is the genuine one, and drawn half the time.
			seen = append(seen, msg)
			out := [][]byte{}
			for range rapid.SampledFrom([]int{1, 1, 1, 0, 2}).Draw(t, "count") {
				i := len(seen) - 1
				if rapid.Bool().Draw(t, "other") {
					i = rapid.IntRange(0, len(seen)-1).Draw(t, "which")
				}
				out = append(out, seen[i])
			}
			delivered[toServer] = append(delivered[toServer], out...)
			return out
		})
		genuine := func(got, wrote [][]byte, n int) bool {
			return len(got) >= n && len(wrote) >= n && slices.EqualFunc(got[:n], wrote[:n], bytes.Equal)
		}
		upGood := genuine(delivered[true], m.clientWrote, 2)
		if m.server != nil && !(upGood && genuine(delivered[false], m.serverWrote, 1)) {
			t.Error("the server has a session")
		}
		downGood := genuine(delivered[false], m.serverWrote, 2)
		if (m.client != nil) != (upGood && downGood) {
			t.Errorf("client: session %v, genuine %v and %v", m.client != nil, upGood, downGood)
		}
	})
}
