package identity

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	keys "github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/sigilo/sigilo/pkg/auction"
)

// TestCommandsAreJWS has another implementation judge the golden vectors of
// package wire, which checks and makes signed commands with code of its own.
func TestCommandsAreJWS(t *testing.T) {
	var v struct {
		Key        json.RawMessage
		Thumbprint auction.Hash
		Commands   []struct{ Name, Payload, JWS string }
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile("../wire/testdata/commands.json")), &v); err != nil {
		t.Fatal(err)
	}
	private := must[keys.Key](t)(keys.ParseKey(v.Key))
	key := must[keys.Key](t)(private.PublicKey())
	other := newTestKey(t)
	if len(v.Commands) == 0 {
		t.Error("no commands")
	}
	for _, c := range v.Commands {
		payload, err := jws.Verify([]byte(c.JWS), jws.WithKey(jwa.ES256, key))
		if err != nil || string(payload) != c.Payload {
			t.Errorf("%s: %v, %s", c.Name, err, payload)
		}
		head := must[*jws.Message](t)(jws.Parse([]byte(c.JWS))).Signatures()[0].ProtectedHeaders()
		if head.Algorithm() != jwa.ES256 || head.Type() != "sigilo-command+jwt" || head.X509CertThumbprintS256() != encode64(v.Thumbprint[:]) {
			t.Errorf("%s: header %v", c.Name, head)
		}
		if _, err := jws.Verify([]byte(c.JWS), jws.WithKey(jwa.ES256, &other.PublicKey)); err == nil {
			t.Errorf("%s: verifies with another key", c.Name)
		}
	}
}
