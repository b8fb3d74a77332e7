package bench

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
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
	maxBody = 256 << 10 // of an answer of the CA
	// caPause is how long to wait when the CA asks for patience: it lets an
	// address make so many requests a second.
	caPause = 500 * time.Millisecond

	invitesPath = "/api/invites"
)

// A person is somebody who is enrolled.
type person struct {
	key         *ecdsa.PrivateKey
	chain       [][]byte
	thumbprint  auction.Hash
	participant auction.Participant
	// disclosure is one key for all commands: the house does not look at it,
	// and no auction of a benchmark is disclosed.
	disclosure []byte
}

// authority is the CA as a newcomer sees it.
type authority struct {
	house    string
	url      string
	operator string // token, "" where enrolment is open
	http     *http.Client
}

// enrol registers a new key under a name.
func (a *authority) enrol(ctx context.Context, username string) (*person, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	disclosure, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make disclosure key: %w", err)
	}
	csr, err := identity.NewRequest(key)
	if err != nil {
		return nil, err
	}
	request := struct {
		CSR      auction.Blob `json:"csr"`
		Invite   string       `json:"invite,omitzero"`
		Username string       `json:"username,omitzero"`
	}{CSR: csr, Username: username}
	if a.operator != "" {
		if request.Invite, err = a.invite(ctx, username); err != nil {
			return nil, err
		}
		request.Username = ""
	}
	var answer struct {
		Chain      []auction.Blob `json:"chain"`
		Credential string         `json:"credential"`
	}
	if err := a.post(ctx, "/api/sign-csr", request, &answer); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if len(answer.Chain) == 0 {
		return nil, errors.New("enrol: the CA sent no certificate")
	}
	p := &person{
		key: key, thumbprint: sha256.Sum256(answer.Chain[0]), participant: identity.ParticipantOf(&key.PublicKey),
		disclosure: disclosure.PublicKey().Bytes(),
	}
	for _, der := range answer.Chain {
		p.chain = append(p.chain, der)
	}
	return p, nil
}

func (a *authority) invite(ctx context.Context, username string) (string, error) {
	var answer struct {
		Invite  string       `json:"invite"`
		Expires auction.Time `json:"expires"`
	}
	err := a.post(ctx, invitesPath, struct {
		Username string `json:"username"`
	}{username}, &answer)
	if err != nil {
		return "", fmt.Errorf("make an invite: %w", err)
	}
	return answer.Invite, nil
}

// token gets a session token.
func (a *authority) token(ctx context.Context, p *person) (string, error) {
	var nonce struct {
		Nonce string `json:"nonce"`
	}
	if err := a.call(ctx, http.MethodGet, "/api/nonce", nil, &nonce); err != nil {
		return "", fmt.Errorf("get a nonce: %w", err)
	}
	proof, err := identity.NewProof(p.key, identity.ProofForToken, a.house, nonce.Nonce)
	if err != nil {
		return "", err
	}
	request := struct {
		Chain []auction.Blob `json:"chain"`
		Proof string         `json:"proof"`
	}{Proof: proof}
	for _, der := range p.chain {
		request.Chain = append(request.Chain, der)
	}
	var answer struct {
		Token   string       `json:"token"`
		Expires auction.Time `json:"expires"`
	}
	if err := a.post(ctx, "/api/issue", request, &answer); err != nil {
		return "", fmt.Errorf("get a session token: %w", err)
	}
	return answer.Token, nil
}

func (a *authority) post(ctx context.Context, path string, request, answer any) error {
	body, err := wire.Marshal(request)
	if err != nil {
		return err
	}
	return a.call(ctx, http.MethodPost, path, body, answer)
}

// call speaks to the CA, and waits while it asks for patience.
func (a *authority) call(ctx context.Context, method, path string, body []byte, answer any) error {
	for {
		err := a.callOnce(ctx, method, path, body, answer)
		if auction.CodeOf(err) != auction.CodeRateLimited {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(caPause):
		}
	}
}

func (a *authority) callOnce(ctx context.Context, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if path == invitesPath { // nobody else gets to see the operator's token
		req.Header.Set("Authorization", "Bearer "+a.operator)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach the CA: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the CA's answer: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return wire.Unmarshal(data, answer)
	}
	var refusal struct {
		Code   auction.Code   `json:"code"`
		Detail string         `json:"detail"`
		Least  auction.Amount `json:"least,omitzero"`
	}
	if err := wire.Unmarshal(data, &refusal); err != nil || refusal.Code == "" {
		return fmt.Errorf("the CA answered with status %d", res.StatusCode)
	}
	return &auction.Refusal{Code: refusal.Code, Detail: refusal.Detail}
}
