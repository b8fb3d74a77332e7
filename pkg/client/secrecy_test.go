package client_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
)

// wiretap stands between a client and a replica, has no key, passes everything
// on, and keeps the messages of one connection.
type wiretap struct {
	t  *testing.T
	to string // URL of the replica

	mu       sync.Mutex
	mode     string
	up, down [][]byte
}

func newWiretap(t *testing.T, to string) (*wiretap, string) {
	w := &wiretap{t: t, to: to}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	return w, server.URL
}

func (w *wiretap) serve(res http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	offered := strings.Split(strings.ReplaceAll(strings.Join(req.Header.Values("Sec-WebSocket-Protocol"), ","), " ", ""), ",")
	up, _, err := websocket.Dial(ctx, w.to+"/ws", &websocket.DialOptions{Subprotocols: offered})
	if err != nil {
		w.t.Error(err)
		return
	}
	defer up.CloseNow()
	down, err := websocket.Accept(res, req, &websocket.AcceptOptions{Subprotocols: []string{up.Subprotocol()}})
	if err != nil {
		w.t.Error(err)
		return
	}
	defer down.CloseNow()
	up.SetReadLimit(session.MaxServerMessage)
	down.SetReadLimit(session.MaxClientMessage)
	w.mu.Lock()
	w.mode, w.up, w.down = up.Subprotocol(), nil, nil
	w.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { w.pump(ctx, frames{down}, frames{up}, &w.up); cancel() })
	pumps.Go(func() { w.pump(ctx, frames{up}, frames{down}, &w.down); cancel() })
	pumps.Wait()
}

func (w *wiretap) pump(ctx context.Context, from, to frames, kept *[][]byte) {
	for {
		msg, err := from.Read(ctx)
		if err != nil {
			return
		}
		w.mu.Lock()
		*kept = append(*kept, msg)
		w.mu.Unlock()
		if to.Write(ctx, msg) != nil {
			return
		}
	}
}

// opens reports whether a key opens what the client sent, or what the house sent,
// for a thief who does not know the other direction's secret. It is written from
// the description of the protocol, and shares no code with the session. The
// caller holds mu.
func (w *wiretap) opens(key hpke.PrivateKey) bool {
	auth, ready := w.up[1], w.down[1]
	opens := func(msg, info []byte) bool {
		end := 4 + int(binary.BigEndian.Uint16(msg[2:]))
		r, err := hpke.NewRecipient(msg[4:end], key, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
		if err != nil {
			return false
		}
		_, err = r.Open(nil, msg[end+3:])
		return err == nil
	}
	info := func(label string, messages ...[]byte) []byte {
		sum := sha256.Sum256(bytes.Join(messages, nil))
		return append([]byte(label+"\x00"), sum[:]...)
	}
	s2c := info("sigilo/s2c/v1", w.up[0], w.down[0], auth)
	return opens(auth, info("sigilo/c2s/v1", w.up[0], w.down[0])) ||
		opens(ready, s2c) || opens(ready, append(s2c, make([]byte, 32)...))
}

// stolenKeys are the long-term keys of all services of the house and of a
// person, as the secrets that they are: 32 bytes each.
func stolenKeys(t *testing.T, p person) map[string][]byte {
	t.Helper()
	files := must(filepath.Glob(filepath.Join(filepath.Dir(theHouse.Ready.RootCertificate), "*.key")))(t)
	files = append(files, filepath.Join(p.dir, "key.pem"))
	out := make(map[string][]byte)
	for _, file := range files {
		if filepath.Base(file) == "log.key" { // of signed notes: its last field is the key, after a byte for the algorithm
			fields := strings.SplitN(string(must(identity.LoadSecret(file, 1<<10))(t)), "+", 5)
			out["log.key"] = must(base64.StdEncoding.DecodeString(fields[4]))(t)[1:]
			continue
		}
		out[filepath.Base(file)] = must(must(identity.LoadKey(file))(t).Bytes())(t)
	}
	if len(out) != 8 { // root, CA, token, credential, DMS, log, time authority, person
		t.Fatalf("%d keys: the thief has not got all", len(out))
	}
	return out
}

// readers are the HPKE keys that a thief can make of a secret in a mode.
func readers(t *testing.T, mode string, secret []byte) []hpke.PrivateKey {
	t.Helper()
	kem := hpke.DHKEM(ecdh.P256())
	if mode == session.ModeHybrid {
		kem = hpke.MLKEM768P256()
	}
	out := []hpke.PrivateKey{must(kem.DeriveKeyPair(secret))(t)}
	if key, err := kem.NewPrivateKey(secret); err == nil {
		out = append(out, key)
	}
	return out
}

// Whoever recorded a session and then gets every long-term key of every service
// and of the client reads nothing of it, in either mode. The same thief reads a
// session with a house that uses its long-term key for it, so the test would
// notice.
func TestStolenKeysOpenNoRecordedSession(t *testing.T) {
	for _, mode := range session.Modes() {
		t.Run(mode+"/fresh key", func(t *testing.T) {
			if file := recordAndSteal(t, mode, newLiar(t), theHouse.Ready.DMS[0]); file != "" {
				t.Errorf("%s opens what was recorded", file)
			}
		})
		t.Run(mode+"/static key", func(t *testing.T) {
			l := newLiar(t)
			scalar := must(l.key.Bytes())(t)
			l.random = func() io.Reader { return bytes.NewReader(append(make([]byte, len(session.ID{})), scalar...)) }
			if file := recordAndSteal(t, mode, l, l.url); file != "dms.key" {
				t.Errorf("%q opens what was recorded", file)
			}
		})
	}
}

// recordAndSteal records a session of a new person with a replica, and returns
// which of the stolen key files opens any of it, "" if none does.
func recordAndSteal(t *testing.T, mode string, l *liar, replica string) string {
	t.Helper()
	tap, url := newWiretap(t, replica)
	p := enrolAt(t, l)
	p.Close()
	house := must(theHouse.Client())(t)
	house.DMS = []string{url}
	profile := must(client.OpenProfile(p.dir))(t)
	check(t, profile.Relocate(house))
	c := must(client.New(profile, client.Options{Modes: []string{mode}}))(t)
	t.Cleanup(c.Close)
	must(c.Items(within(t)))(t)
	tap.mu.Lock()
	defer tap.mu.Unlock()
	if tap.mode != mode {
		t.Fatalf("mode %q", tap.mode)
	}
	for file, secret := range stolenKeys(t, p) {
		for _, key := range readers(t, mode, secret) {
			if tap.opens(key) {
				return file
			}
		}
	}
	return ""
}
