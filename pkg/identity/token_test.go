package identity

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestToken(t *testing.T) {
	h := newHouse(t, "demo")
	token, issued, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	got := must[Token](t)(VerifyToken(token, h.keys, "demo", h.participant, epoch))
	if got != issued || got.Participant != h.participant.Participant || !got.Expires.Equal(epoch.Add(TokenLife)) {
		t.Errorf("token %+v, issued %+v", got, issued)
	}
	for at, want := range map[time.Duration]auction.Code{
		-skew: "", -skew - time.Second: auction.CodeBadToken,
		TokenLife - time.Second: "", TokenLife: auction.CodeTokenExpired,
	} {
		_, err := VerifyToken(token, h.keys, "demo", h.participant, epoch.Add(at))
		wantCode(t, err, want)
	}
}

func TestTokenEndsWithItsCertificate(t *testing.T) {
	h := newHouse(t, "demo")
	now := h.participant.NotAfter.Add(-time.Minute)
	_, token, err := h.tokens.Issue(h.participant, now)
	if err != nil || !token.Expires.Equal(h.participant.NotAfter) {
		t.Errorf("ends %v, %v", token.Expires, err)
	}
}

// forge signs any header over any payload, as an attacker or another CA could.
func forge(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signer := must[jws.Signer](t)(jws.NewSigner(jwa.ES256))
	input := encode64([]byte(header)) + "." + encode64([]byte(payload))
	return input + "." + encode64(must[[]byte](t)(signer.Sign([]byte(input), key)))
}

// TestTokenAttacks is the list of what has gone wrong with JWTs elsewhere (RFC 8725).
func TestTokenAttacks(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	head, payload := string(must[[]byte](t)(decode64(parts[0]))), string(must[[]byte](t)(decode64(parts[1])))
	swap := func(old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("the payload has no %q", old)
		}
		return strings.Replace(payload, old, new, 1)
	}
	withHead := func(extra string) string {
		return forge(t, h.tokenKey, strings.TrimSuffix(head, "}")+","+extra+"}", payload)
	}
	own := func(payload string) string { return forge(t, h.tokenKey, head, payload) }
	attackerJWK := string(must[[]byte](t)(json.Marshal(must[jwk](t)(newJWK(&other.tokenKey.PublicKey)))))
	foreign := func() string { s, _, _ := other.tokens.Issue(h.participant, epoch); return s }()
	mac := func() string {
		spki := must[[]byte](t)(x509.MarshalPKIXPublicKey(&h.tokenKey.PublicKey))
		input := encode64([]byte(strings.Replace(head, "ES256", "HS256", 1))) + "." + parts[1]
		sum := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
		sum.Write([]byte(input))
		return input + "." + encode64(sum.Sum(nil))
	}()
	if _, err := VerifyToken(own(payload), h.keys, "demo", h.participant, epoch); err != nil {
		t.Fatalf("the unspoilt form is refused: %v", err)
	}

	// Those that a fresh key set could make good, as far as one can tell.
	unknown := map[string]bool{
		"other issuer's": true, "unknown kid": true, "no kid": true, "path in kid": true, "credential key": true,
	}
	for name, bad := range map[string]string{
		"empty":                 "",
		"none":                  encode64([]byte(`{"alg":"none","typ":"sigilo-session+jwt"}`)) + "." + parts[1] + ".",
		"none with a kid":       encode64([]byte(strings.Replace(head, "ES256", "none", 1))) + "." + parts[1] + "." + parts[2],
		"HS256, the public key": mac,
		"ES384 in the header":   forge(t, h.tokenKey, strings.Replace(head, "ES256", "ES384", 1), payload),
		"no signature":          parts[0] + "." + parts[1] + ".",
		"signature in DER":      parts[0] + "." + parts[1] + "." + encode64([]byte{0x30, 0x06, 2, 1, 1, 2, 1, 1}),
		"zero signature":        parts[0] + "." + parts[1] + "." + encode64(make([]byte, 64)),
		"embedded jwk":          forge(t, other.tokenKey, strings.TrimSuffix(head, "}")+`,"jwk":`+attackerJWK+"}", payload),
		"jku":                   withHead(`"jku":"https://attacker.example/keys"`),
		"x5u":                   withHead(`"x5u":"https://attacker.example/chain"`),
		"x5c":                   withHead(`"x5c":["AAAA"]`),
		"crit":                  withHead(`"crit":["exp"]`),
		"b64":                   withHead(`"b64":false,"crit":["b64"]`),
		"header twice":          withHead(`"alg":"ES256"`),
		"another typ":           forge(t, h.tokenKey, strings.Replace(head, tokenType, proofType, 1), payload),
		"typ JWT":               forge(t, h.tokenKey, strings.Replace(head, tokenType, "JWT", 1), payload),
		"no typ":                forge(t, h.tokenKey, strings.Replace(head, `,"typ":"`+tokenType+`"`, "", 1), payload),
		"other key, same kid":   forge(t, other.tokenKey, head, payload),
		"credential key":        forge(t, h.credKey, strings.Replace(head, h.tokens.kid, h.credentials.kid, 1), payload),
		"credential key as kid": forge(t, h.credKey, head, payload),
		"other issuer's":        foreign,
		"unknown kid":           forge(t, h.tokenKey, strings.Replace(head, h.tokens.kid, "token-x", 1), payload),
		"no kid":                forge(t, h.tokenKey, strings.Replace(head, `"kid":"`+h.tokens.kid+`",`, "", 1), payload),
		"path in kid":           forge(t, h.tokenKey, strings.Replace(head, h.tokens.kid, "../../dev/null", 1), payload),
		"wrong audience":        own(swap(`"aud":"demo"`, `"aud":"demo2"`)),
		"audience list":         own(swap(`"aud":"demo"`, `"aud":["demo"]`)),
		"no audience":           own(swap(`"aud":"demo",`, ``)),
		"wrong issuer":          own(swap(`"iss":"sigilo:ca:demo"`, `"iss":"sigilo:ca:demo2"`)),
		"other subject":         own(swap(h.participant.Participant.String(), other.participant.Participant.String())),
		"other thumbprint":      own(swap(encode64(h.participant.Thumbprint[:]), encode64(other.participant.Thumbprint[:]))),
		"no confirmation":       own(swap(`"x5t#S256":`, `"jkt":`)),
		"unknown claim":         own(swap(`{`, `{"admin":true,`)),
		"claim twice":           own(swap(`"aud":"demo"`, `"aud":"demo","aud":"demo"`)),
		"no end":                own(swap(`"exp":`, `"nbf":`)),
		"lives too long":        own(swap(`"exp":1772367300`, `"exp":1772367301`)),
		"fractional time":       own(swap(`"exp":1772367300`, `"exp":1772367300.5`)),
		"time as text":          own(swap(`"exp":1772367300`, `"exp":"1772367300"`)),
		"no jti":                own(payload[:strings.Index(payload, `"jti":"`)+7] + payload[strings.Index(payload, `","cnf"`):]),
		"trailing JSON":         own(payload + "{}"),
		"not an object":         own(`null`),
		"padded":                token + "==",
		"line end":              token + "\n",
		"line end inside":       token[:20] + "\n" + token[20:],
		"space":                 " " + token,
		"four parts":            token + ".AAAA",
		"two parts":             parts[0] + "." + parts[1],
		"JSON serialization":    `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"too large":             own(payload + strings.Repeat(" ", maxToken)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := VerifyToken(bad, h.keys, "demo", h.participant, epoch)
			wantCode(t, err, auction.CodeBadToken)
			if errors.Is(err, ErrUnknownKey) != unknown[name] {
				t.Errorf("is ErrUnknownKey: %v", !unknown[name])
			}
		})
	}
}

func TestEveryChangedByteOfATokenIsRefused(t *testing.T) {
	h := newHouse(t, "demo")
	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=~\n "
	for at := range token {
		for _, c := range []byte{alphabet[at%len(alphabet)], alphabet[(at+len(alphabet)/2)%len(alphabet)]} {
			bad := token[:at] + string(c) + token[at+1:]
			if _, err := VerifyToken(bad, h.keys, "demo", h.participant, epoch); bad != token && auction.CodeOf(err) != auction.CodeBadToken {
				t.Fatalf("byte %d as %q: %v", at, c, err)
			}
		}
	}
	for at := range token {
		bad := token[:at] + token[at+1:]
		if _, err := VerifyToken(bad, h.keys, "demo", h.participant, epoch); auction.CodeOf(err) != auction.CodeBadToken {
			t.Fatalf("without byte %d: %v", at, err)
		}
	}
}

func TestProof(t *testing.T) {
	h := newHouse(t, "demo")
	seen := ""
	take := func(nonce string) error { seen = nonce; return nil }
	key := &h.participantKey.PublicKey
	proof := must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", "n-1"))
	if err := VerifyProof(proof, key, ProofForToken, "demo", take); err != nil || seen != "n-1" {
		t.Fatalf("%v, nonce %q", err, seen)
	}
	stale := errors.New("stale")
	if err := VerifyProof(proof, key, ProofForToken, "demo", func(string) error { return stale }); !errors.Is(err, stale) {
		t.Errorf("the nonce is not the caller's to judge: %v", err)
	}
	never := func(string) error { t.Error("the nonce of a bad proof is looked at"); return nil }
	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	good := `{"purpose":"token","aud":"demo","nonce":"n"}`
	const head = `{"alg":"ES256","typ":"sigilo-proof+jwt"}`
	other := newTestKey(t)
	for name, bad := range map[string]string{
		"another key":     must[string](t)(NewProof(other, ProofForToken, "demo", "n")),
		"another purpose": must[string](t)(NewProof(h.participantKey, ProofForRenewal, "demo", "n")),
		"another house":   must[string](t)(NewProof(h.participantKey, ProofForToken, "demo2", "n")),
		"no nonce":        must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", "")),
		"long nonce":      must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", strings.Repeat("n", maxNonce+1))),
		"too large":       must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", strings.Repeat("n", maxProof))),
		"a token":         token,
		"with a kid":      forge(t, h.participantKey, `{"alg":"ES256","kid":"a","typ":"sigilo-proof+jwt"}`, good),
		"its own key":     forge(t, other, `{"alg":"ES256","jwk":`+string(must[[]byte](t)(json.Marshal(must[jwk](t)(newJWK(&other.PublicKey)))))+`,"typ":"sigilo-proof+jwt"}`, good),
		"none":            encode64([]byte(`{"alg":"none","typ":"sigilo-proof+jwt"}`)) + "." + encode64([]byte(good)) + ".",
		"unknown claim":   forge(t, h.participantKey, head, `{"purpose":"token","aud":"demo","nonce":"n","x":1}`),
		"changed":         strings.Replace(proof, ".", ".e", 1),
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, VerifyProof(bad, key, ProofForToken, "demo", never), auction.CodeBadEnrolment)
		})
	}
}
