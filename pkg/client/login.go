package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// callbackPath is where the identity provider sends the browser back to. An
// operator registers http://127.0.0.1/callback at the provider; the port is any
// that is free (RFC 8252, section 7.3).
const callbackPath = "/callback"

// caDescription is what a CA says of itself.
type caDescription struct {
	House        string `json:"house"`
	Mode         string `json:"mode"`
	Simulated    bool   `json:"simulated_time"`
	Root         string `json:"root"`
	RootSHA256   string `json:"root_sha256"`
	OIDCIssuer   string `json:"oidc_issuer,omitzero"`
	OIDCClientID string `json:"oidc_client_id,omitzero"`
}

// logIn has the person log in at the identity provider of the house, and returns
// an ID token that is good for one certificate request alone, since its nonce is
// made from that. It is the authorization code flow with PKCE (RFC 7636) of a
// program that listens on a loopback address for the browser (RFC 8252). browse
// has the person open the address that it is given; it may return before they did.
func (c *Client) logIn(ctx context.Context, csr []byte, browse func(url string) error) (string, error) {
	ctx = oidc.ClientContext(ctx, c.options.HTTP)
	cfg, err := c.provider(ctx)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the browser: %w", err)
	}
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	back := &callback{state: state, code: make(chan string, 1)}
	server := &http.Server{Handler: back, ReadHeaderTimeout: httpTimeout}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) // until it is shut down
	}()
	defer func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // for the page that the browser shows
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		<-served
	}()
	cfg.RedirectURL = "http://" + listener.Addr().String() + callbackPath
	if err := browse(cfg.AuthCodeURL(state, oidc.Nonce(identity.LoginNonce(csr)), oauth2.S256ChallengeOption(verifier))); err != nil {
		return "", err
	}
	var code string
	select {
	case code = <-back.code:
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), auction.Refuse(auction.CodeBadEnrolment, "nobody logged in at the identity provider in time"))
	}
	if code == "" {
		return "", auction.Refuse(auction.CodeBadEnrolment, "the identity provider did not let you in")
	}
	token, err := cfg.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return "", auction.Refuse(auction.CodeBadEnrolment, "the identity provider gave no token for the login: try again")
	}
	idToken, ok := token.Extra("id_token").(string)
	if !ok {
		return "", auction.Refuse(auction.CodeBadEnrolment, "the identity provider gave no ID token")
	}
	return idToken, nil
}

// provider asks the CA for the identity provider, and that for its endpoints.
func (c *Client) provider(ctx context.Context) (oauth2.Config, error) {
	data, err := c.call(ctx, http.MethodGet, "/.well-known/sigilo", nil)
	if err != nil {
		return oauth2.Config{}, err
	}
	var d caDescription
	if err := wire.Unmarshal(data, &d); err != nil {
		return oauth2.Config{}, err
	}
	if d.OIDCIssuer == "" || d.OIDCClientID == "" {
		return oauth2.Config{}, auction.Refuse(auction.CodeBadEnrolment, "this house has no identity provider to log in at")
	}
	if err := c.checkURLs(d.OIDCIssuer); err != nil {
		return oauth2.Config{}, err
	}
	found, err := oidc.NewProvider(ctx, d.OIDCIssuer)
	if err != nil {
		return oauth2.Config{}, auction.Refuse(auction.CodeUnavailable, "the identity provider does not answer: try again")
	}
	endpoint := found.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a program has no secret to authenticate with
	return oauth2.Config{
		ClientID: d.OIDCClientID, Endpoint: endpoint, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}, c.checkURLs(endpoint.AuthURL, endpoint.TokenURL)
}

// checkURLs refuses what would go out in clear, unless that is allowed.
func (c *Client) checkURLs(urls ...string) error {
	if c.options.AllowInsecure {
		return nil
	}
	return checkURLs(urls)
}

// callback waits for the browser to come back with the code of one login.
type callback struct {
	state string
	code  chan string // gets one: "" for a login that failed
}

// ServeHTTP takes the first answer that has the state of this login. Others are
// somebody else's, such as a page that guesses the port.
func (b *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != callbackPath || query.Get("state") != b.state {
		http.Error(w, "This is not the login that is waited for.", http.StatusBadRequest)
		return
	}
	select {
	case b.code <- query.Get("code"):
	default:
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	io.WriteString(w, "Close this page and go back to the program.\n")
}
