package identity

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
)

var update = flag.Bool("update", false, "make testdata/vectors.json anew")

// vectors is one of everything that this package puts on a wire, for this test
// and for implementations in other languages. Binary is base64url, as everywhere.
type vectors struct {
	Comment        string            `json:"comment"`
	House          string            `json:"house"`
	At             int64             `json:"at"` // microseconds since the epoch: when all of it is valid
	ParticipantKey string            `json:"participant_key"`
	Participant    string            `json:"participant"`
	Root           string            `json:"root"`
	Chain          []string          `json:"chain"`
	Thumbprint     string            `json:"thumbprint"`
	Request        string            `json:"request"`
	CRL            string            `json:"crl"`
	KeySet         string            `json:"key_set"`
	Token          string            `json:"token"`
	Proof          string            `json:"proof"`
	Nonce          string            `json:"nonce"`
	Credential     string            `json:"credential"`
	Presentation   string            `json:"presentation"`
	Audience       string            `json:"audience"`
	Disclosed      map[string]string `json:"disclosed"`
}

const vectorsFile = "testdata/vectors.json"

func makeVectors(t *testing.T) vectors {
	h := newHouse(t, "demo")
	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	credential := h.credential(t)
	text, bin := must[string](t), must[[]byte](t)
	return vectors{
		Comment:        "The key is public, and good for nothing but these vectors.",
		House:          h.name,
		At:             epoch.UnixMicro(),
		ParticipantKey: string(bin(EncodeKey(h.participantKey))),
		Participant:    h.participant.Participant.String(),
		Root:           encode64(h.rootDER),
		Chain:          []string{encode64(h.participantChain[0]), encode64(h.participantChain[1])},
		Thumbprint:     h.participant.Thumbprint.String(),
		Request:        encode64(bin(NewRequest(h.participantKey))),
		CRL:            encode64(bin(h.ca.NewRevocationList(1, epoch, epoch.Add(time.Hour), []Revoked{{Serial: "abcdef", At: epoch}}))),
		KeySet:         string(bin(h.keys.Marshal())),
		Token:          token,
		Nonce:          "nonce-1",
		Proof:          text(NewProof(h.participantKey, ProofForToken, h.name, "nonce-1")),
		Credential:     credential,
		Audience:       "to-bob",
		Presentation:   text(Present(credential, h.participantKey, []string{"username", "city"}, "to-bob", "nonce-1", epoch)),
		Disclosed:      map[string]string{"username": "alice", "city": "Zürich"},
	}
}

// TestVectors holds the formats still: what was made once is accepted for ever.
func TestVectors(t *testing.T) {
	if *update {
		data := must[[]byte](t)(json.MarshalIndent(makeVectors(t), "", "  "))
		if err := os.WriteFile(vectorsFile, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v := readVectors(t)
	at := auction.Time(v.At).Std()
	bin := must[[]byte](t)
	key, err := ParseKey([]byte(v.ParticipantKey))
	if err != nil {
		t.Fatal(err)
	}
	verifier := must[*Verifier](t)(NewVerifier(v.House, bin(decode64(v.Root))))
	cert := must[*Certificate](t)(verifier.Verify(v.chain(t), RoleParticipant, at))
	if cert.Participant.String() != v.Participant || cert.Thumbprint.String() != v.Thumbprint || !cert.Key.Equal(&key.PublicKey) {
		t.Error("the certificate is another's")
	}
	if pub, err := ParseRequest(bin(decode64(v.Request))); err != nil || !pub.Equal(&key.PublicKey) {
		t.Errorf("request: %v", err)
	}
	list := must[*RevocationList](t)(verifier.RevocationList(bin(decode64(v.CRL)), v.chain(t)[1], at))
	if err := list.Check(cert, at); err != nil {
		t.Errorf("revocation list: %v", err)
	}
	keys := must[*KeySet](t)(ParseKeySet([]byte(v.KeySet)))
	if _, err := VerifyToken(v.Token, keys, v.House, cert, at); err != nil {
		t.Errorf("token: %v", err)
	}
	if err := VerifyProof(v.Proof, cert.Key, ProofForToken, v.House, func(nonce string) error {
		if nonce != v.Nonce {
			t.Errorf("nonce %q", nonce)
		}
		return nil
	}); err != nil {
		t.Errorf("proof: %v", err)
	}
	got, err := VerifyPresentation(v.Presentation, keys, Expectation{
		House: v.House, Holder: cert.Participant, Audience: v.Audience, Nonce: v.Nonce, At: at,
	})
	if diff := cmp.Diff(v.Disclosed, got); err != nil || diff != "" {
		t.Errorf("presentation: %v %s", err, diff)
	}
	again := must[string](t)(Present(v.Credential, key, []string{"username", "city"}, v.Audience, v.Nonce, at))
	if _, err := VerifyPresentation(again, keys, Expectation{
		House: v.House, Holder: cert.Participant, Audience: v.Audience, Nonce: v.Nonce, At: at,
	}); err != nil {
		t.Errorf("credential: %v", err)
	}
}

func readVectors(t testing.TB) vectors {
	var v vectors
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(vectorsFile)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) chain(t testing.TB) [][]byte {
	var chain [][]byte
	for _, text := range v.Chain {
		chain = append(chain, must[[]byte](t)(decode64(text)))
	}
	return chain
}
