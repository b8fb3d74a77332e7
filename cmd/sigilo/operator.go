package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// operator calls a service's API for its operator.
type operator struct {
	service string // its name for a person
	url     string
	token   string
	http    http.Client
}

// openOperator returns a caller of a service's API: by a ready file, in which
// pick finds the service, or else by its URL and the file of the operator's token.
func openOperator(a *app, service, readyFile, url, tokenFile string, pick func(client.ReadyFile) string) (*operator, error) {
	token := ""
	if readyFile != "" {
		data, err := identity.LoadSecret(readyFile, maxReadyFile)
		if err != nil {
			return nil, local("read the ready file: %w", err)
		}
		var ready client.ReadyFile
		if err := wire.Unmarshal(data, &ready); err != nil || ready.OperatorToken == "" {
			return nil, local("%s is not the ready file of a house that is up", readyFile)
		}
		url, token = pick(ready), ready.OperatorToken
	} else {
		data, err := identity.LoadSecret(tokenFile, maxOperatorToken)
		if err != nil {
			return nil, local("read the operator's token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	return newOperator(a, service, url, token)
}

// newOperator returns a caller of the API of the service at url.
func newOperator(a *app, service, url, token string) (*operator, error) {
	if err := (client.House{CA: url}).CheckURLs(); err != nil && !a.Insecure {
		return nil, local("%w (--insecure allows it)", err)
	}
	o := &operator{service: service, url: strings.TrimSuffix(url, "/"), token: token}
	o.http.Timeout = a.Timeout
	o.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token is for this service alone
	return o, nil
}

// maxOperatorAnswer is above what a page of people can have, in bytes.
const maxOperatorAnswer = 2 << 20

// call sends in as JSON, or nothing if it is nil, and decodes the answer into out,
// unless that is nil.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	data, err := o.fetch(ctx, method, path, in, maxOperatorAnswer)
	if err != nil || out == nil {
		return err
	}
	if err := wire.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the %s's answer: %w", o.service, err)
	}
	return nil
}

// fetch sends in as JSON, or nothing if it is nil, and returns the answer, of which
// limit bytes are read.
func (o *operator) fetch(ctx context.Context, method, path string, in any, limit int64) ([]byte, error) {
	var body io.Reader
	if in != nil {
		data, err := wire.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.url+path, body)
	if err != nil {
		return nil, usage("the %s's URL is not one: %w", o.service, err)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the %s: %w", o.service, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return nil, &failure{exitUnavailable, fmt.Errorf("read the %s's answer: %w", o.service, err)}
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return data, nil
	}
	var refusal struct {
		Code   auction.Code   `json:"code"`
		Detail string         `json:"detail"`
		Least  auction.Amount `json:"least,omitzero"`
	}
	if wire.Unmarshal(data, &refusal) != nil || refusal.Code == "" {
		return nil, &failure{exitUnavailable, fmt.Errorf("the %s answers with status %d", o.service, resp.StatusCode)}
	}
	return nil, auction.Refuse(refusal.Code, "%s", refusal.Detail)
}
