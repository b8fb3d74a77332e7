package identity

import (
	"crypto"
	"fmt"
	"strings"
	"testing"

	jwxjwk "github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestKeySet(t *testing.T) {
	h := newHouse(t, "demo")
	data := must[[]byte](t)(h.keys.Marshal())
	set := must[*KeySet](t)(ParseKeySet(data))
	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyToken(token, set, "demo", h.participant, epoch); err != nil {
		t.Fatal(err)
	}
	if again := must[[]byte](t)(set.Marshal()); string(again) != string(data) {
		t.Errorf("not the same document:\n%s\n%s", data, again)
	}
	// jwx reads the same keys and derives the same names.
	foreign := must[jwxjwk.Set](t)(jwxjwk.Parse(data))
	for i := range foreign.Len() {
		key, _ := foreign.Key(i)
		_, thumbprint, _ := strings.Cut(key.KeyID(), "-")
		if want := encode64(must[[]byte](t)(key.Thumbprint(crypto.SHA256))); thumbprint != want {
			t.Errorf("kid %s, thumbprint %s", key.KeyID(), want)
		}
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	h := newHouse(t, "demo")
	good := string(must[[]byte](t)(h.keys.Marshal()))
	one := good[len(`{"keys":[`) : strings.Index(good, "},")+1]
	x := strings.Split(one, `"x":"`)[1][:43]
	var many []string
	for range maxKeySetKeys + 1 {
		issuer := must[*TokenIssuer](t)(NewTokenIssuer("demo", newTestKey(t)))
		data := string(must[[]byte](t)(NewKeySet([]*TokenIssuer{issuer}, nil).Marshal()))
		many = append(many, strings.TrimSuffix(strings.TrimPrefix(data, `{"keys":[`), `]}`))
	}
	wrap := func(keys ...string) string { return fmt.Sprintf(`{"keys":[%s]}`, strings.Join(keys, ",")) }
	if _, err := ParseKeySet([]byte(wrap(one))); err != nil {
		t.Fatalf("the unspoilt form is refused: %v", err)
	}
	for name, bad := range map[string]string{
		"empty":            "",
		"no keys":          wrap(),
		"null":             `null`,
		"a list":           `[` + one + `]`,
		"too many":         wrap(many...),
		"too large":        wrap(one) + strings.Repeat(" ", maxKeySet),
		"trailing":         wrap(one) + "x",
		"twice":            wrap(one, one),
		"two purposes":     wrap(one, strings.Replace(one, "token-", "credential-", 1)),
		"another purpose":  wrap(strings.Replace(one, "token-", "other-", 1)),
		"no kid":           wrap(strings.Replace(one, `"kid"`, `"kix"`, 1)),
		"foreign kid":      wrap(strings.Replace(one, "token-", "token-A", 1)),
		"private key":      wrap(strings.Replace(one, `{`, `{"d":"AAAA",`, 1)),
		"RSA":              wrap(strings.Replace(one, `"EC"`, `"RSA"`, 1)),
		"P-384":            wrap(strings.Replace(one, `"P-256"`, `"P-384"`, 1)),
		"another alg":      wrap(strings.Replace(one, `"ES256"`, `"ES384"`, 1)),
		"for encryption":   wrap(strings.Replace(one, `"sig"`, `"enc"`, 1)),
		"not on the curve": wrap(strings.Replace(one, x, encode64(make([]byte, 32)), 1)),
		"short coordinate": wrap(strings.Replace(one, x, x[:40], 1)),
		"member twice":     wrap(strings.Replace(one, `{`, `{"kty":"EC",`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeySet([]byte(bad))
			wantCode(t, err, auction.CodeBadToken)
		})
	}
}
