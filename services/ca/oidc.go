package ca

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

const (
	// providerTimeout bounds a request to the provider: somebody waits for it.
	providerTimeout = 5 * time.Second
	// idTokenLife is how old an ID token may be. A person has just logged in.
	idTokenLife = 10 * time.Minute
	// maxIDToken bounds an ID token, in bytes.
	maxIDToken = 8 << 10
)

// idTokenAlgorithms are those of RFC 7518 and 8037 that need no shared secret.
var idTokenAlgorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// provider knows people by the ID tokens (OpenID Connect Core 1.0) of one
// OpenID provider. It asks for the provider's keys when they are needed first: the CA
// starts without it.
type provider struct {
	cfg   Config
	found atomic.Pointer[oidc.Provider] // nil until the provider has answered
}

func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if found := p.found.Load(); found != nil {
		return found, nil
	}
	// The client stays with what is found, which fetches keys by it.
	ctx = oidc.ClientContext(ctx, &http.Client{Timeout: providerTimeout})
	found, err := oidc.NewProvider(ctx, p.cfg.OIDCIssuer)
	if err != nil {
		return nil, auction.Refuse(auction.CodeUnavailable, "the identity provider does not answer")
	}
	p.found.Store(found)
	return found, nil
}

// verify returns who an ID token says somebody is, and the hash that is theirs for
// ever. It refuses with bad_enrolment, or with unavailable.
func (p *provider) verify(ctx context.Context, idToken string, csr []byte, now auction.Time) (registry.Person, auction.Hash, error) {
	refuse := func(why string) (registry.Person, auction.Hash, error) {
		return registry.Person{}, auction.Hash{}, auction.Refuse(auction.CodeBadEnrolment, "the ID token is refused: %s", why)
	}
	found, err := p.discover(ctx)
	if err != nil {
		return registry.Person{}, auction.Hash{}, err
	}
	token, err := found.Verifier(&oidc.Config{
		ClientID: p.cfg.OIDCClientID, SupportedSigningAlgs: idTokenAlgorithms, Now: now.Std,
	}).Verify(ctx, idToken)
	if err != nil {
		return refuse("it is not the provider's for this house, or has ended")
	}
	switch age := now.Std().Sub(token.IssuedAt); {
	case !slices.Equal(token.Audience, []string{p.cfg.OIDCClientID}):
		return refuse("it is for others too")
	case token.Nonce != identity.LoginNonce(csr):
		return refuse("it is not for this request: its nonce is another")
	case token.Subject == "":
		return refuse("it names nobody")
	case age > idTokenLife || age < -backdate:
		return refuse("it was issued at another time: log in again")
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return refuse("its claims are not an object")
	}
	person, err := p.person(claims)
	subject := sha256.Sum256([]byte(token.Issuer + "\x00" + token.Subject))
	return person, subject, err
}

// person takes the configured claims, and no others.
func (p *provider) person(claims map[string]any) (registry.Person, error) {
	text := func(name string) string {
		if verified, _ := claims["email_verified"].(bool); name == "email" && !verified {
			return ""
		}
		value, _ := claims[name].(string)
		return value
	}
	person := registry.Person{Username: text(p.cfg.OIDCUsername), Attributes: map[string]string{}, Role: identity.RoleParticipant}
	for _, name := range p.cfg.OIDCAttributes {
		if value := text(name); value != "" {
			person.Attributes[name] = value
		}
	}
	if err := identity.CheckPerson(person.Username, person.Attributes); err != nil {
		var refusal *auction.Refusal
		if errors.As(err, &refusal) {
			return person, auction.Refuse(auction.CodeBadEnrolment, "the ID token's claims cannot be registered: %s", refusal.Detail)
		}
		return person, err
	}
	return person, nil
}
