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

func freshKey(t *testing.T, mode string) hpke.PrivateKey {
	t.Helper()
	key, err := kemOf(mode).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wrongKeys are public keys that are none of a mode.
func wrongKeys(t *testing.T, mode string) map[string][]byte {
	t.Helper()
	onP384, err := ecdh.P384().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	offCurve := append([]byte{4}, bytes.Repeat([]byte{1}, 64)...)
	good := freshKey(t, mode).PublicKey().Bytes()
	out := map[string][]byte{
		"on P-384":  onP384.PublicKey().Bytes(),
		"a byte":    {4},
		"cut":       good[:len(good)-1],
		"off curve": append(bytes.Clone(good[:len(good)-len(offCurve)]), offCurve...),
	}
	for _, other := range Modes() {
		if other != mode {
			out["of "+other] = freshKey(t, other).PublicKey().Bytes()
		}
	}
	if mode == ModeHybrid {
		// A coefficient of an encapsulation key is below 3329 (FIPS 203, 7.2).
		unreduced := bytes.Clone(good)
		unreduced[0], unreduced[1] = 0xff, 0xff
		out["not reduced"] = unreduced
	}
	return out
}

func TestMiddleIsRefused(t *testing.T) {
	everyMode(t, testMiddleIsRefused)
}

func testMiddleIsRefused(t *testing.T, mode string) {
	old := meet(clientConfig(mode, client), serverConfig(mode, dms), nil)
	if old.clientErr != nil || old.serverErr != nil {
		t.Fatalf("client %v, server %v", old.clientErr, old.serverErr)
	}
	for _, tc := range attacks(t, mode, old) {
		t.Run(tc.name, func(t *testing.T) {
			cc := clientConfig(mode, client)
			cc.Offered = []string{mode, "sigilo.v0.other"}
			m := meet(cc, serverConfig(mode, dms), tc.middle)
			if m.client != nil {
				t.Fatal("the client has a session")
			}
			if tc.client != "" {
				wantCode(t, "client", m.clientErr, tc.client)
			}
			if tc.server != "" {
				wantCode(t, "server", m.serverErr, tc.server)
			}
		})
	}
}

// An attack is a middle, and with what each side refuses it: "" for a side that
// only sees the other go.
type attack struct {
	name           string
	middle         middle
	client, server auction.Code
}

// attacks on a handshake, by whoever has recorded an old one.
func attacks(t *testing.T, mode string, old *meeting) []attack {
	const none = auction.Code("")
	mine := freshKey(t, mode).PublicKey().Bytes()
	out := []attack{
		{"nonce changed", change(true, 0, rewriteStart(func(m *start) { m.nonce[0]++ })), auction.CodeBadSignature, none},
		{"client's key changed", change(true, 0, rewriteStart(func(m *start) { m.key = mine })), auction.CodeBadSignature, none},
		{"offer shortened", change(true, 0, rewriteStart(func(m *start) { m.offered = m.offered[:1] })), auction.CodeBadSignature, none},
		{"offer lengthened", change(true, 0, rewriteStart(func(m *start) { m.offered = append(m.offered, "x") })), auction.CodeBadSignature, none},
		{"offer emptied of the mode", change(true, 0, rewriteStart(func(m *start) { m.offered = []string{ModePublic} })), none, auction.CodeBadHandshake},
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
		{"ready made by the middle", forgeReady(t, mode, nil), auction.CodeBadHandshake, none},
		{"ready made by the middle, a secret guessed", forgeReady(t, mode, make([]byte, exportSize)), auction.CodeBadHandshake, none},
	}
	for name, key := range wrongKeys(t, mode) {
		out = append(out, attack{
			"client's key " + name, change(true, 0, rewriteStart(func(m *start) { m.key = key })), none, auction.CodeBadHandshake,
		})
	}
	return out
}

// forgeReady returns a middle that knows all that the wire shows and seals a
// ready of its own to the client's key, as HPKE's base mode lets anyone do. Only
// the secret exported from the other context is missing; guess is in its place.
func forgeReady(t *testing.T, mode string, guess []byte) middle {
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
			if clientKey, err = kemOf(mode).NewPublicKey(m.key); err != nil {
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
	everyMode(t, testAuthInAnothersHandshake)
}

func testAuthInAnothersHandshake(t *testing.T, mode string) {
	suite, err := suiteOf(mode)
	if err != nil {
		t.Fatal(err)
	}
	seen := newTranscript()
	var serverKey hpke.PublicKey
	mid := func(toServer bool, n int, msg []byte) [][]byte {
		if toServer && n == 1 {
			h := clientHandshake{ClientConfig: clientConfig(mode, stranger), suite: suite, transcript: seen}
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
			if serverKey, err = suite.kem.NewPublicKey(m.key); err != nil {
				t.Fatal(err)
			}
		}
		seen.add(msg)
		return [][]byte{msg}
	}
	m := meet(clientConfig(mode, client), serverConfig(mode, dms), mid)
	if m.serverErr != nil {
		t.Errorf("server: %v", m.serverErr)
	}
	wantCode(t, "client", m.clientErr, auction.CodeBadHandshake)
}

// A signature for one handshake is none for another, even inside a sealed part
// that opens: the certificate's holder must have signed this enc.
func TestAuthBindsTranscript(t *testing.T) {
	for _, label := range []string{labelHello, labelC2S, labelAuth} {
		cc := clientConfig(ModeHybrid, client)
		other := newTranscript()
		other.add([]byte("another handshake"))
		sig, err := other.sign(nil, client.key, label)
		if err != nil {
			t.Fatal(err)
		}
		cc.Key = fixedSigner{client, sig}
		m := meet(cc, serverConfig(ModeHybrid, dms), nil)
		wantCode(t, "server", m.serverErr, auction.CodeBadSignature)
	}
}

// Whatever bit of whatever message changes, the client has no session.
func TestEveryBitCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom(Modes()).Draw(t, "mode")
		toServer, n := rapid.Bool().Draw(t, "to server"), rapid.IntRange(0, 1).Draw(t, "message")
		m := meet(clientConfig(mode, client), serverConfig(mode, dms), change(toServer, n, func(msg []byte) []byte {
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
	var pool [][]byte
	for _, mode := range Modes() {
		old := meet(clientConfig(mode, client), serverConfig(mode, dms), nil)
		pool = slices.Concat(pool, old.clientWrote, old.serverWrote)
	}
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom(Modes()).Draw(t, "mode")
		seen := slices.Clone(pool)
		delivered := map[bool][][]byte{}
		m := meet(clientConfig(mode, client), serverConfig(mode, dms), func(toServer bool, n int, msg []byte) [][]byte {
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
