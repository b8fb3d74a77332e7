package tsp

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.SampledFrom([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}).Draw(t, "hash")
		want := Request{
			Hash:    hash,
			Imprint: rapid.SliceOfN(rapid.Byte(), hash.Size(), hash.Size()).Draw(t, "imprint"),
			CertReq: rapid.Bool().Draw(t, "certReq"),
		}
		if rapid.Bool().Draw(t, "with policy") {
			want.Policy = rapid.SampledFrom([]asn1.ObjectIdentifier{RealTime, SimulatedTime}).Draw(t, "policy")
		}
		if rapid.Bool().Draw(t, "with nonce") {
			want.Nonce = rapid.SliceOfN(rapid.Byte(), 1, maxNonce).Filter(func(b []byte) bool { return b[0] != 0 }).Draw(t, "nonce")
		}
		der, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		if got.Hash != want.Hash || !bytes.Equal(got.Imprint, want.Imprint) || !got.Policy.Equal(want.Policy) ||
			!bytes.Equal(got.Nonce, want.Nonce) || got.CertReq != want.CertReq {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		again, err := got.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("marshalled again as %x (%v), was %x", again, err, der)
		}
	})
}

func TestRequestOutOfRange(t *testing.T) {
	imprint := make([]byte, 32)
	for name, r := range map[string]Request{
		"no hash":           {Imprint: imprint},
		"SHA-1":             {Hash: crypto.SHA1, Imprint: imprint[:20]},
		"short imprint":     {Hash: crypto.SHA256, Imprint: imprint[:31]},
		"long nonce":        {Hash: crypto.SHA256, Imprint: imprint, Nonce: bytes.Repeat([]byte{1}, 21)},
		"zero nonce":        {Hash: crypto.SHA256, Imprint: imprint, Nonce: []byte{0}},
		"impossible policy": {Hash: crypto.SHA256, Imprint: imprint, Policy: asn1.ObjectIdentifier{7}},
	} {
		if der, err := r.Marshal(); err == nil {
			t.Errorf("%s: marshalled as %x", name, der)
		}
	}
}

// The parts of a request, in hexadecimal.
const (
	hexVersion = "020101"
	hexSHA256  = "300b0609608648016503040201"
	hexDigest  = "0420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	hexImprint = "302f" + hexSHA256 + hexDigest
	hexPolicy  = "060a2b0601040181fd591102" + "01"
)

// sequence wraps hexadecimal parts in a short SEQUENCE.
func sequence(t testing.TB, parts ...string) []byte {
	t.Helper()
	content, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 127 {
		t.Fatal("too long for a test")
	}
	return append([]byte{0x30, byte(len(content))}, content...)
}

func TestParseRequestRefuses(t *testing.T) {
	good := sequence(t, hexVersion, hexImprint)
	if _, err := ParseRequest(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		der  []byte
		want FailureInfo
	}{
		{"empty", nil, BadDataFormat},
		{"no sequence", []byte("GET / HTTP/1.1"), BadDataFormat},
		{"cut short", good[:len(good)-1], BadDataFormat},
		{"trailing byte", append(bytes.Clone(good), 0), BadDataFormat},
		{"over the limit", append(bytes.Clone(good), make([]byte, maxRequest)...), BadDataFormat},
		{"length not minimal", append([]byte{0x30, 0x81, good[1]}, good[2:]...), BadDataFormat},
		{"no version", sequence(t, hexImprint), BadDataFormat},
		{"version not minimal", sequence(t, "02020001", hexImprint), BadDataFormat},
		{"version 2", sequence(t, "020102", hexImprint), BadRequest},
		{"no imprint", sequence(t, hexVersion), BadDataFormat},
		{"imprint with more", sequence(t, hexVersion, "3031"+hexSHA256+hexDigest+"0500"), BadDataFormat},
		{"SHA-1", sequence(t, hexVersion, "3021300906052b0e03021a0500"+"0414"+hexDigest[4:44]), BadAlg},
		{"algorithm with parameters", sequence(t, hexVersion, "3032300e0609608648016503040201020100"+hexDigest), BadAlg},
		{"digest too short", sequence(t, hexVersion, "302e"+hexSHA256+"041f"+hexDigest[6:]), BadDataFormat},
		{"negative nonce", sequence(t, hexVersion, hexImprint, "0201ff"), BadDataFormat},
		{"zero nonce", sequence(t, hexVersion, hexImprint, "020100"), BadRequest},
		{"long nonce", sequence(t, hexVersion, hexImprint, "0215"+strings.Repeat("11", 21)), BadRequest},
		{"nonce not minimal", sequence(t, hexVersion, hexImprint, "02020001"), BadDataFormat},
		{"certReq FALSE is the default", sequence(t, hexVersion, hexImprint, "010100"), BadDataFormat},
		{"certReq 1", sequence(t, hexVersion, hexImprint, "010101"), BadDataFormat},
		{"options out of order", sequence(t, hexVersion, hexImprint, "0101ff", "020101"), BadDataFormat},
		{"malformed policy", sequence(t, hexVersion, hexImprint, "060180"), BadDataFormat},
		{"policy twice", sequence(t, hexVersion, hexImprint, hexPolicy, hexPolicy), BadDataFormat},
		{"extensions", sequence(t, hexVersion, hexImprint, "a000"), UnacceptedExtension},
		{"unknown field", sequence(t, hexVersion, hexImprint, "0500"), BadDataFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRequest(c.der)
			var failure *Failure
			if !errors.As(err, &failure) || failure.Info != c.want {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseRequestKeepsNullParameters(t *testing.T) {
	// RFC 5754: parameters are absent or NULL, and the token repeats the
	// imprint as it came.
	der := sequence(t, hexVersion, "3031300d06096086480165030402010500"+hexDigest)
	r, err := ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustMarshal(t, r); !bytes.Equal(got, der) {
		t.Fatalf("got %x, want %x", got, der)
	}
}
