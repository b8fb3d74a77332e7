package wire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

var update = flag.Bool("update", false, "write the vectors in testdata anew")

// commandVectors are signed commands for every implementation of the protocol:
// to check, and, as the signatures are deterministic (RFC 6979), to make.
type commandVectors struct {
	Key        map[string]string `json:"key"` // the signer's, as a JWK with its private part
	Thumbprint auction.Hash      `json:"thumbprint"`
	Commands   []commandVector   `json:"commands"`
}

type commandVector struct {
	Name    string       `json:"name"`
	Payload string       `json:"payload"`
	JWS     string       `json:"jws"`
	Digest  auction.Hash `json:"digest"`
}

// messageVectors are messages of both sides in the bytes that this
// implementation writes.
type messageVectors struct {
	Client []messageVector `json:"client"`
	Server []messageVector `json:"server"`
	Ready  string          `json:"ready"`
}

type messageVector struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// A change of these files is a change of the protocol.
func TestVectors(t *testing.T) {
	hold(t, "commands.json", makeCommandVectors(t))
	hold(t, "messages.json", makeMessageVectors())
	hold(t, "refused.json", makeRefusalVectors())
}

func TestVectorsParse(t *testing.T) {
	var commands commandVectors
	load(t, "commands.json", &commands)
	for _, v := range commands.Commands {
		s, err := wire.ParseCommand([]byte(v.JWS))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if err := s.Verify(&signer.PublicKey); err != nil || s.Digest != v.Digest || s.Thumbprint != commands.Thumbprint {
			t.Errorf("%s: %v, or another digest or thumbprint", v.Name, err)
		}
	}
	var messages messageVectors
	load(t, "messages.json", &messages)
	for _, v := range messages.Client {
		if m, err := wire.ParseClient([]byte(v.Message)); err != nil || string(wire.EncodeClient(m)) != v.Message {
			t.Errorf("%s: %v, or written otherwise", v.Name, err)
		}
	}
	for _, v := range messages.Server {
		if m, err := wire.ParseServer([]byte(v.Message)); err != nil || string(wire.AppendMessage(nil, m)) != v.Message+"\n" {
			t.Errorf("%s: %v, or written otherwise", v.Name, err)
		}
	}
	var refused []refusal
	load(t, "refused.json", &refused)
	for _, r := range refused {
		if code := auction.CodeOf(parse(r.What, r.Input)); code != r.Code {
			t.Errorf("%s: code %q, want %q", r.Name, code, r.Code)
		}
	}
}

func makeCommandVectors(t *testing.T) commandVectors {
	enc := base64.RawURLEncoding.EncodeToString
	private, err := signer.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public := point(signer)
	out := commandVectors{
		Key: map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256",
			"x": enc(public[1:33]), "y": enc(public[33:]), "d": enc(private),
		},
		Thumbprint: thumbprint,
	}
	all := commands()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		jws := sign(t, all[name])
		payload, err := base64.RawURLEncoding.DecodeString(string(bytes.Split(jws, []byte("."))[1]))
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.ParseCommand(jws)
		if err != nil {
			t.Fatal(err)
		}
		out.Commands = append(out.Commands, commandVector{name, string(payload), string(jws), s.Digest})
	}
	return out
}

func makeMessageVectors() messageVectors {
	out := messageVectors{Ready: string(ready().Encode())}
	for _, s := range requests() {
		out.Client = append(out.Client, messageVector{s.name, string(wire.EncodeClient(s.m))})
	}
	for _, s := range answers() {
		line := wire.AppendMessage(nil, s.m)
		out.Server = append(out.Server, messageVector{s.name, string(line[:len(line)-1])})
	}
	return out
}

// makeRefusalVectors leaves out what JSON cannot hold and what is merely large.
func makeRefusalVectors() []refusal {
	return slices.DeleteFunc(refusals(), func(r refusal) bool {
		return !utf8.ValidString(r.Input) || len(r.Input) > 4<<10
	})
}

// hold compares a file of testdata with v, or writes it.
func hold(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s no longer says what this code does", path)
	}
}

func load(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}
