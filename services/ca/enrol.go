package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

// backdate is how far before now certificates and lists begin, for verifiers
// whose clocks are behind.
const backdate = time.Minute

// signRequest asks for a certificate. Beside the request proper it has exactly one
// of: an invite; in open mode a username, with attributes or without; for a
// key that is enrolled a proof of possession over a fresh nonce (the request's own
// signature may be old).
type signRequest struct {
	CSR        string            `json:"csr"` // PKCS#10 in DER
	Invite     string            `json:"invite,omitempty"`
	IDToken    string            `json:"id_token,omitempty"`
	Username   string            `json:"username,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Proof      string            `json:"proof,omitempty"`
}

// check demands the form above.
func (r *signRequest) check(mode string) error {
	ways := 0
	for _, there := range []bool{r.Invite != "", r.IDToken != "", r.Username != "", r.Proof != ""} {
		if there {
			ways++
		}
	}
	switch {
	case ways != 1 || r.Username == "" && r.Attributes != nil:
		return auction.Refuse(auction.CodeBadRequest, "beside csr there is one of invite, id_token, proof, and username with attributes")
	case r.Username != "" && mode != ModeOpen:
		return auction.Refuse(auction.CodeBadEnrolment, "this house takes nobody's own word for who they are")
	case r.IDToken != "" && mode != ModeOIDC:
		return auction.Refuse(auction.CodeBadEnrolment, "this house has no identity provider")
	case len(r.IDToken) > maxIDToken:
		return auction.Refuse(auction.CodeBadRequest, "an ID token has at most %d characters", maxIDToken)
	case r.Username != "":
		return identity.CheckPerson(r.Username, r.Attributes)
	case len(r.Invite) > maxInvite:
		return auction.Refuse(auction.CodeBadRequest, "an invite has at most %d characters", maxInvite)
	}
	return nil
}

type signAnswer struct {
	Chain      []string `json:"chain"`      // DER, the participant's first, without the root
	Credential string   `json:"credential"` // SD-JWT
}

func (s *server) signCSR(c echo.Context) error {
	var request signRequest
	if err := read(c, &request); err != nil {
		return err
	}
	if err := request.check(s.cfg.Mode); err != nil {
		return err
	}
	der, err := decode64(request.CSR)
	if err != nil {
		return err
	}
	pub, err := identity.ParseRequest(der)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	issue := &issuance{server: s, csr: der, pub: pub, now: now}
	person, kind, err := s.register(ctx, &request, issue)
	if err != nil {
		return err
	}
	credential, err := s.keys.credentials.Issue(person.Username, person.Attributes, pub, now.Std())
	if err != nil {
		return err
	}
	s.metrics.issued.WithLabelValues(kind).Inc()
	return answer(c, signAnswer{Chain: encodeChain(issue.chain), Credential: credential})
}

// register finds out who asks, and records the certificate that issue makes.
func (s *server) register(ctx context.Context, request *signRequest, issue *issuance) (person registry.Person, kind string, err error) {
	key := identity.ParticipantOf(issue.pub)
	switch {
	case request.Proof != "":
		if err := s.verifyProof(request.Proof, issue.pub, identity.ProofForRenewal, issue.now); err != nil {
			return registry.Person{}, "", err
		}
		person, err = s.people.Renew(ctx, key, issue.now, issue.make)
		return person, kindRenewal, err
	case request.Invite != "":
		person, err = s.people.EnrolInvited(ctx, key, sha256.Sum256([]byte(request.Invite)), issue.now, issue.make)
		return person, kindEnrolment, err
	case request.IDToken != "":
		vouched, subject, err := s.provider.verify(ctx, request.IDToken, issue.csr, issue.now)
		if err != nil {
			return registry.Person{}, "", err
		}
		person, err = s.people.EnrolSubject(ctx, key, subject, vouched, issue.now, issue.make)
		return person, kindEnrolment, err
	default:
		person = registry.Person{Username: request.Username, Attributes: request.Attributes, Role: identity.RoleParticipant}
		return person, kindEnrolment, s.people.EnrolOpen(ctx, key, person, issue.now, issue.make)
	}
}

// issuance makes one certificate. Its chain leaves the service only after the
// registry has recorded it.
type issuance struct {
	server *server
	csr    []byte
	pub    *ecdsa.PublicKey
	now    auction.Time
	chain  [][]byte
}

// make relies on what tryIssuer has shown when the CA started: that a leaf of this
// issuer is one that the house's own verifiers take. What differs from one leaf to the
// next is looked at here.
func (i *issuance) make(role identity.Role) (registry.Certificate, error) {
	keys, start := i.server.keys, time.Now()
	now := i.now.Std()
	if !keys.issuer.ValidAt(now) {
		return registry.Certificate{}, auction.Refuse(auction.CodeUnavailable, "the CA's own certificate is not valid at this time")
	}
	ends := now.Add(i.server.cfg.CertificateLife)
	if last := keys.issuer.NotAfter(); ends.After(last) {
		ends = last
	}
	chain, serial, err := keys.issuer.IssueNumbered(i.pub, identity.Profile{
		Role: role, House: i.server.cfg.House, NotBefore: now.Add(-backdate), NotAfter: ends,
	})
	if err != nil {
		return registry.Certificate{}, err
	}
	i.server.metrics.timed("certificate", start)
	i.chain = chain
	return registry.Certificate{Serial: serial, Ends: auction.TimeOf(ends.Truncate(time.Second))}, nil
}

func (s *server) verifyProof(proof string, key *ecdsa.PublicKey, purpose identity.ProofPurpose, now auction.Time) error {
	return identity.VerifyProof(proof, key, purpose, s.cfg.House, func(nonce string) error {
		return s.nonces.check(nonce, now)
	})
}

// issueRequest asks for a session token.
type issueRequest struct {
	Chain []string `json:"chain"`
	Proof string   `json:"proof"`
}

type issueAnswer struct {
	Token   string       `json:"token"`
	Expires auction.Time `json:"expires"`
}

func (s *server) issueToken(c echo.Context) error {
	var request issueRequest
	if err := read(c, &request); err != nil {
		return err
	}
	chain, err := decodeChain(request.Chain)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	cert, err := s.keys.verifier.Verify(chain, identity.RoleParticipant, now.Std())
	if err != nil {
		var other error
		if cert, other = s.keys.verifier.Verify(chain, identity.RoleAuditor, now.Std()); other != nil {
			return err
		}
	}
	if err := s.verifyProof(request.Proof, cert.Key, identity.ProofForToken, now); err != nil {
		return err
	}
	if err := s.people.Usable(ctx, cert.Participant, cert.Serial); err != nil {
		return err
	}
	start := time.Now()
	token, issued, err := s.keys.tokens.Issue(cert, now.Std())
	if err != nil {
		return err
	}
	s.metrics.timed("token", start)
	s.metrics.issued.WithLabelValues(kindToken).Inc()
	return answer(c, issueAnswer{Token: token, Expires: auction.TimeOf(issued.Expires)})
}

type nonceAnswer struct {
	Nonce string `json:"nonce"`
}

func (s *server) nonce(c echo.Context) error {
	now, err := s.clock(c.Request().Context())
	if err != nil {
		return err
	}
	return answer(c, nonceAnswer{Nonce: s.nonces.make(now)})
}
