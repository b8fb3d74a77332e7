package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	httpTimeout = 15 * time.Second // of one call to the CA or a TSA
	maxBody     = 256 << 10        // of an answer of the CA
)

var errNotEnrolled = auction.Refuse(auction.CodeBadCertificate, "not enrolled with the house: enrol first")

// Enrolment is what a CA asks of a newcomer: in mode invite the code that its
// operator made, in mode open a name of one's own choice, in mode oidc a login at
// the identity provider of the house.
type Enrolment struct {
	Invite     string
	Username   string
	Attributes map[string]string
	// Browse, if set, has the person log in: it is given the address to open in a
	// browser on this machine, and need not wait until that is done. The context
	// of Enroll bounds the wait.
	Browse func(url string) error
}

type signRequest struct {
	CSR        auction.Blob      `json:"csr"`
	Invite     string            `json:"invite,omitzero"`
	IDToken    string            `json:"id_token,omitzero"`
	Username   string            `json:"username,omitzero"`
	Attributes map[string]string `json:"attributes,omitzero"`
	Proof      string            `json:"proof,omitzero"`
}

type signAnswer struct {
	Chain      []auction.Blob `json:"chain"`
	Credential string         `json:"credential"`
}

// Enroll registers the profile's key with the CA and keeps the certificate and
// the identity credential that it gets.
func (c *Client) Enroll(ctx context.Context, e Enrolment) error {
	c.enrolling.Lock()
	defer c.enrolling.Unlock()
	csr, err := identity.NewRequest(c.profile.key)
	if err != nil {
		return err
	}
	request := signRequest{CSR: csr, Invite: e.Invite, Username: e.Username, Attributes: e.Attributes}
	if e.Browse != nil {
		if request.IDToken, err = c.logIn(ctx, csr, e.Browse); err != nil {
			return err
		}
	}
	return c.sign(ctx, request)
}

// Renew gets a new certificate and credential for a key that is registered
// already, by proof of possession: after a logout, or a long absence.
func (c *Client) Renew(ctx context.Context) error {
	c.enrolling.Lock()
	defer c.enrolling.Unlock()
	return c.renew(ctx)
}

// renew is Renew for a caller that holds enrolling.
func (c *Client) renew(ctx context.Context) error {
	csr, err := identity.NewRequest(c.profile.key)
	if err != nil {
		return err
	}
	proof, err := c.proof(ctx, identity.ProofForRenewal)
	if err != nil {
		return err
	}
	return c.sign(ctx, signRequest{CSR: csr, Proof: proof})
}

func (c *Client) sign(ctx context.Context, request signRequest) error {
	var answer signAnswer
	if err := c.post(ctx, "/api/sign-csr", request, &answer); err != nil {
		return err
	}
	chain := raw(answer.Chain)
	if len(chain) == 0 {
		return auction.Refuse(auction.CodeBadCertificate, "the CA sent no certificate")
	}
	if err := c.checkOwn(chain); err != nil {
		return err
	}
	if _, err := identity.ClaimsOf(answer.Credential); err != nil {
		return fmt.Errorf("read the credential: %w", err)
	}
	return c.profile.saveEnrolment(chain, answer.Credential)
}

// checkOwn checks that a chain is of the own key, from the pinned root, and in
// a role that a person may have. It is judged as of its own first second: a
// client that has no trusted time yet learns from the house when it has ended.
func (c *Client) checkOwn(chain [][]byte) error {
	cert, err := c.ownCertificate(chain)
	if err != nil {
		return err
	}
	if !cert.Key.Equal(&c.profile.key.PublicKey) {
		return auction.Refuse(auction.CodeBadCertificate, "the CA certified another key than yours")
	}
	return nil
}

func (c *Client) ownCertificate(chain [][]byte) (*identity.Certificate, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadCertificate, "the CA sent something that is no certificate")
	}
	cert, err := c.verifier.Verify(chain, identity.RoleParticipant, leaf.NotBefore)
	if err == nil {
		return cert, nil
	}
	if cert, other := c.verifier.Verify(chain, identity.RoleAuditor, leaf.NotBefore); other == nil {
		return cert, nil
	}
	return nil, err
}

// session returns a token and the chain that it is bound to, and renews what
// has ended or is about to.
func (c *Client) session(ctx context.Context) (token string, chain [][]byte, err error) {
	c.enrolling.Lock()
	defer c.enrolling.Unlock()
	if chain, err = c.profile.chain(); err != nil {
		return "", nil, err
	}
	if chain == nil {
		return "", nil, errNotEnrolled
	}
	c.mu.Lock()
	token = c.token
	c.mu.Unlock()
	if token != "" {
		return token, chain, nil
	}
	// A command that was signed under this certificate, and is not committed yet, the
	// house takes in a session under this one alone.
	if c.nearEnd(chain) && c.sending.Load() == 0 {
		if err := c.renew(ctx); err != nil {
			c.options.Log.WarnContext(ctx, "the certificate was not renewed", "error", err)
		}
	}
	token, err = c.issue(ctx)
	if auction.CodeOf(err) == auction.CodeBadCertificate { // it has ended meanwhile
		if err := c.renew(ctx); err != nil {
			return "", nil, err
		}
		token, err = c.issue(ctx)
	}
	if err != nil {
		return "", nil, err
	}
	c.mu.Lock()
	c.token = token
	c.mu.Unlock()
	chain, err = c.profile.chain()
	return token, chain, err
}

// renewAhead is how long before its end a certificate is renewed.
const renewAhead = time.Hour

func (c *Client) nearEnd(chain [][]byte) bool {
	c.mu.Lock()
	t := c.trust
	c.mu.Unlock()
	if t == nil {
		return false
	}
	now, err := t.clock.Now()
	if err != nil {
		return false
	}
	cert, err := c.ownCertificate(chain)
	return err == nil && cert.NotAfter.Before(now.Std().Add(renewAhead))
}

// dropToken forgets a token that the house no longer takes.
func (c *Client) dropToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

func (c *Client) issue(ctx context.Context) (string, error) {
	chain, err := c.profile.chain()
	if err != nil {
		return "", err
	}
	proof, err := c.proof(ctx, identity.ProofForToken)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token   string       `json:"token"`
		Expires auction.Time `json:"expires"`
	}
	err = c.post(ctx, "/api/issue", struct {
		Chain []auction.Blob `json:"chain"`
		Proof string         `json:"proof"`
	}{blobs(chain), proof}, &answer)
	return answer.Token, err
}

func (c *Client) proof(ctx context.Context, purpose identity.ProofPurpose) (string, error) {
	var answer struct {
		Nonce string `json:"nonce"`
	}
	data, err := c.call(ctx, http.MethodGet, "/api/nonce", nil)
	if err != nil {
		return "", err
	}
	if err := wire.Unmarshal(data, &answer); err != nil {
		return "", err
	}
	return identity.NewProof(c.profile.key, purpose, c.profile.house.House, answer.Nonce)
}

// keySet fetches the CA's public keys, for the credential of a counterpart.
func (c *Client) keySet(ctx context.Context) (*identity.KeySet, error) {
	data, err := c.call(ctx, http.MethodGet, "/.well-known/ca-public", nil)
	if err != nil {
		return nil, err
	}
	return identity.ParseKeySet(data)
}

func (c *Client) post(ctx context.Context, path string, request, answer any) error {
	body, err := wire.Marshal(request)
	if err != nil {
		return err
	}
	data, err := c.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	return wire.Unmarshal(data, answer)
}

// call speaks to the CA and turns its refusals into ours.
func (c *Client) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.profile.house.CA, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.options.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the CA: %w", errors.Join(err, auction.Refuse(auction.CodeUnavailable, "the CA does not answer: try again")))
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the CA's answer: %w", err)
	}
	c.received(data)
	if res.StatusCode == http.StatusOK {
		return data, nil
	}
	var refusal struct {
		Code   auction.Code   `json:"code"`
		Detail string         `json:"detail"`
		Least  auction.Amount `json:"least,omitzero"`
	}
	if err := wire.Unmarshal(data, &refusal); err != nil || refusal.Code == "" {
		return nil, fmt.Errorf("the CA answered with status %d", res.StatusCode)
	}
	return nil, &auction.Refusal{Code: refusal.Code, Detail: refusal.Detail}
}

func blobs(in [][]byte) []auction.Blob {
	out := make([]auction.Blob, len(in))
	for i, b := range in {
		out[i] = b
	}
	return out
}

func raw(in []auction.Blob) [][]byte {
	out := make([][]byte, len(in))
	for i, b := range in {
		out[i] = b
	}
	return out
}
