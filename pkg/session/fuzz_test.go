package session

import (
	"bytes"
	"slices"
	"testing"
)

// Each target holds that a message which parses has one encoding: encoded
// again, it is the same bytes.

func FuzzStart(f *testing.F) {
	for _, seed := range seedMessages(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := parseStart(msg)
		if err != nil {
			return
		}
		sameBytes(t, msg, encoded(t, m.marshal))
	})
}

func FuzzHello(f *testing.F) {
	for _, seed := range seedMessages(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, head, err := parseHello(msg)
		if err != nil {
			return
		}
		sameBytes(t, msg[:head], encoded(t, m.marshalHead))
		sameBytes(t, msg[head:], encoded(t, m.marshalTail))
	})
}

func FuzzAuth(f *testing.F) {
	for _, seed := range seedMessages(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, head, err := parseAuth(msg)
		if err != nil {
			return
		}
		sameBytes(t, msg[:head], encoded(t, m.marshalHead))
		sameBytes(t, msg[head:], encoded(t, m.marshalTail))
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add(encoded(f, (&credentials{testToken, client.chain, []byte("signature")}).marshal))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		m, err := parseCredentials(plaintext)
		if err != nil {
			return
		}
		sameBytes(t, plaintext, encoded(t, m.marshal))
	})
}

func FuzzReady(f *testing.F) {
	for _, seed := range seedMessages(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := parseReady(msg)
		if err != nil {
			return
		}
		sameBytes(t, msg, encoded(t, m.marshal))
	})
}

// Padding that is taken off is the padding that would be put on.
func FuzzUnpad(f *testing.F) {
	f.Add(pad([]byte("m")))
	f.Add(pad(make([]byte, ClientFrame)))
	f.Fuzz(func(t *testing.T, padded []byte) {
		message, ok := unpad(padded)
		if !ok {
			return
		}
		sameBytes(t, padded, pad(message))
	})
}

// No frame opens that the other side did not seal.
func FuzzOpen(f *testing.F) {
	other, _ := newPair(f, ModeP256)
	frame, err := other.Seal([]byte("m"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add(make([]byte, ClientFrame+Overhead))
	f.Add(make([]byte, 1+Overhead))
	c, s := newPair(f, ModeP256)
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, x := range []*Session{c, s} {
			x.dead = false
			if _, err := x.Open(frame); err == nil || !x.dead {
				t.Errorf("a frame of %d bytes opened", len(frame))
			}
		}
	})
}

func seedMessages(f *testing.F) [][]byte {
	var out [][]byte
	for _, mode := range Modes() {
		m := meet(clientConfig(mode, client), serverConfig(mode, dms), nil)
		if m.clientErr != nil || m.serverErr != nil {
			f.Fatalf("client %v, server %v", m.clientErr, m.serverErr)
		}
		out = slices.Concat(out, m.clientWrote, m.serverWrote)
	}
	return out
}

func encoded(t testing.TB, marshal func() ([]byte, error)) []byte {
	t.Helper()
	b, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameBytes(t *testing.T, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("encoded again: %x, want %x", got, want)
	}
}
