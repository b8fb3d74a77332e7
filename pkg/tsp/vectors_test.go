package tsp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// vectors are what other implementations check themselves against: everything
// binary in hexadecimal, times in microseconds.
type vectors struct {
	House       string        `json:"house"`
	Authority   string        `json:"authority"`
	Policy      string        `json:"policy"`
	Root        hexBytes      `json:"root"`
	Certificate hexBytes      `json:"certificate"`
	PrivateKey  hexBytes      `json:"private_key"` // of the certificate: the scalar
	Imprint     hexBytes      `json:"imprint"`     // SHA-256
	Nonce       hexBytes      `json:"nonce"`
	Request     hexBytes      `json:"request"`
	Response    hexBytes      `json:"response"`
	Tokens      []tokenVector `json:"tokens"`
	Refusals    []tokenVector `json:"refusals"` // each with bad_stamp
}

type tokenVector struct {
	Name     string       `json:"name"`
	Token    hexBytes     `json:"token"`
	Time     auction.Time `json:"time,omitempty"`
	Accuracy int64        `json:"accuracy,omitempty"`
	Serial   hexBytes     `json:"serial,omitempty"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

const vectorsPath = "testdata/vectors.json"

// loadVectors returns the golden vectors and the verifier that they describe.
func loadVectors(t testing.TB) (vectors, *Authority) {
	t.Helper()
	data, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	policy, err := ParsePolicy(v.Policy)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAuthority(AuthorityConfig{
		House: v.House, Name: v.Authority, Policy: policy,
		Certificates: [][]byte{v.Certificate}, Roots: [][]byte{v.Root},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, a
}

// makeVectors makes them from fixed keys, certificates, numbers and times.
func makeVectors(t *testing.T) vectors {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	imprint := digestOf("a signed command")
	request := mustRequest(t, imprint, RealTime)
	request.Nonce = bytes.Repeat([]byte{0x81}, nonceSize)
	der := mustMarshal(t, request)
	respond := func(now time.Time, request []byte) []byte {
		cfg := a.issuerConfig(at(now))
		cfg.Rand = bytes.NewReader(bytes.Repeat([]byte{0x91}, 16))
		issuer, err := NewIssuer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return issuer.Respond(request)
	}
	tokenOf := func(response []byte) []byte {
		token, err := ParseResponse(response)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	privateKey, err := a.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{
		House: "demo", Authority: "one", Policy: RealTime.String(),
		Root: a.house.root.Raw, Certificate: a.leaf.Raw, PrivateKey: privateKey,
		Imprint: imprint[:], Nonce: request.Nonce, Request: der, Response: respond(start, der),
	}
	good := tokenOf(v.Response)
	without := request
	without.Nonce = nil
	accept := func(name string, token []byte) {
		stamp, err := a.verifier(t).Verify(token, imprint)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v.Tokens = append(v.Tokens, tokenVector{name, token, stamp.Time, stamp.Accuracy.Microseconds(), stamp.Serial})
	}
	accept("of the response", good)
	accept("without a fraction of a second", tokenOf(respond(start.Truncate(time.Second), der)))
	accept("with one digit of a fraction", tokenOf(respond(start.Truncate(time.Second).Add(500*time.Millisecond), der)))
	accept("without a nonce", tokenOf(respond(start, mustMarshal(t, without))))

	refuse := func(name string, token []byte) {
		v.Refusals = append(v.Refusals, tokenVector{Name: name, Token: token})
	}
	withCertificates, elsewhere := request, request
	withCertificates.CertReq = true
	elsewhere.Imprint = make([]byte, 32)
	refuse("with certificates", tokenOf(respond(start, mustMarshal(t, withCertificates))))
	refuse("over another imprint", tokenOf(respond(start, mustMarshal(t, elsewhere))))
	refuse("trailing byte", append(bytes.Clone(good), 0))
	refuse("cut short", good[:len(good)-1])
	parsed, err := parseToken(good)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(name string, edit func(*craft)) {
		c := newCraft(a, parsed.info)
		edit(c)
		refuse(name, c.token(t))
	}
	spoil("two signers", func(c *craft) { c.signers = 2 })
	spoil("signed by another key", func(c *craft) { c.key = newTestKey(t, 9) })
	spoil("unsigned attributes", func(c *craft) { c.afterSignature = wrap(tag1.Constructed(), c.attrs[0]) })
	spoil("without ESSCertIDv2", func(c *craft) { c.attrs = c.attrs[:2] })
	spoil("digest of something else", func(c *craft) { c.attrs[1] = attrDigest([]byte("other")) })
	infos := rawInfos(&parsed.tst)
	for _, name := range []string{"ordering FALSE", "time with a zero"} {
		spoil(name, func(c *craft) { c.info, c.attrs[1] = infos[name], attrDigest(infos[name]) })
	}
	return v
}

// The golden vectors are what this package makes, byte for byte, and what it
// accepts and refuses.
func TestVectors(t *testing.T) {
	made, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if *update {
		if err := os.WriteFile(vectorsPath, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, made) {
		t.Errorf("%s is not what the package makes", vectorsPath)
	}
	v, a := loadVectors(t)
	for _, c := range v.Tokens {
		s, err := a.Verify(c.Token, [32]byte(v.Imprint))
		if err != nil || s.Time != c.Time || s.Accuracy.Microseconds() != c.Accuracy || !bytes.Equal(s.Serial, c.Serial) {
			t.Errorf("%s: got %+v, %v", c.Name, s, err)
		}
	}
	for _, c := range v.Refusals {
		if _, err := a.Verify(c.Token, [32]byte(v.Imprint)); auction.CodeOf(err) != auction.CodeBadStamp {
			t.Errorf("%s: got %v", c.Name, err)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for _, dotted := range []string{"", "1.2.3", RealTime.String() + ".1", " " + RealTime.String(), "1.3.6.1.4.1.32473.17.2.01"} {
		_, err := ParsePolicy(dotted)
		wantCode(t, err, auction.CodeUnknownPolicy)
	}
	if p, err := ParsePolicy("1.3.6.1.4.1.32473.17.2.2"); err != nil || !p.Equal(SimulatedTime) {
		t.Fatalf("got %v, %v", p, err)
	}
}
