package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca"
)

// CAConfig configures [CA]. Server is required.
type CAConfig struct {
	// Server is the command line of a process that runs our CA: the flags of cmd/ca are
	// added to it.
	Server []string
	Peers  string // folder of the module that builds the peer; "" leaves it out

	Connections  []int // in turn
	Rounds       int   // of each server, in turn with the other, at each number of connections
	Certificates int   // of each round
	Progress     io.Writer
}

// CA measures certificate authorities over HTTP: certificates a second in a closed
// loop, the server's CPU time for each, and how long an answer took. Each server is
// a process of its own, with its keys on P-256 and in memory and with a database of its
// own on the same disk, where a certificate is recorded before it is given out.
// Both get the same requests for certificates, each of a key of its own, from the
// same generator, with a one-time code that the server has made beforehand: an invite
// of ours, a token of the peer's.
func CA(ctx context.Context, cfg CAConfig) (Result, error) {
	if len(cfg.Server) == 0 || cfg.Certificates < 1 {
		return Result{}, errors.New("bench ca: a server and certificates are needed")
	}
	c, err := newContest("certificates", cfg.Connections, cfg.Rounds, cfg.Progress)
	if err != nil {
		return Result{}, fmt.Errorf("bench ca: %w", err)
	}
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	result := newResult("ca")
	defer c.stop()
	kinds, err := cfg.start(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	var first int
	err = c.run(ctx, func() ([]job, error) {
		requests, err := newRequests(cfg.Certificates, first)
		if err != nil {
			return nil, err
		}
		first += len(requests)
		jobs := make([]job, len(c.servers))
		for i := range jobs {
			if jobs[i], err = kinds[i].job(ctx, requests); err != nil {
				return nil, fmt.Errorf("%s: %w", c.servers[i].name, err)
			}
		}
		return jobs, nil
	}, result)
	return result, err
}

// A newcomer wants a certificate.
type newcomer struct {
	name string
	csr  []byte // DER; it has the name, which the peer wants and ours does not look at
}

// newRequests makes newcomers with new keys, whose names are counted from first.
func newRequests(n, first int) ([]newcomer, error) {
	all := make([]newcomer, n)
	for i := range all {
		key, err := identity.NewKey()
		if err != nil {
			return nil, err
		}
		name := "newcomer-" + strconv.Itoa(first+i)
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		}, key)
		if err != nil {
			return nil, err
		}
		all[i] = newcomer{name, csr}
	}
	return all, nil
}

// caKind is how one of the two is asked for a certificate.
type caKind struct {
	code   func(ctx context.Context, name string) (string, error) // makes a one-time code
	encode func(n newcomer, code string) any
	look   func(answer []byte) error
}

// job asks once for each newcomer. It has the codes made first.
func (k caKind) job(ctx context.Context, newcomers []newcomer) (job, error) {
	bodies := make([][]byte, len(newcomers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8) // a few: they wait for the disk
	for i, n := range newcomers {
		group.Go(func() error {
			code, err := k.code(ctx, n.name)
			if err != nil {
				return err
			}
			bodies[i], err = json.Marshal(k.encode(n, code))
			return err
		})
	}
	return job{
		media: "application/json", look: k.look,
		body: func(number int, _ time.Duration) []byte {
			if number >= len(bodies) {
				return nil
			}
			return bodies[number]
		},
	}, group.Wait()
}

var errNoCertificate = errors.New("there is no certificate in the answer")

// ours is a CA of ours at a URL, whose operator has a token.
func ours(url, operator string) caKind {
	a := &authority{house: bidHouse, url: url, operator: operator, http: &http.Client{Timeout: httpTimeout}}
	return caKind{
		code: a.invite,
		encode: func(n newcomer, code string) any {
			return map[string]string{"csr": base64.RawURLEncoding.EncodeToString(n.csr), "invite": code}
		},
		look: func(answer []byte) error {
			var a struct {
				Chain      []string `json:"chain"`
				Credential string   `json:"credential"`
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return err
			}
			if len(a.Chain) == 0 || a.Credential == "" {
				return errNoCertificate
			}
			return nil
		},
	}
}

// peers is the peer's program at a URL.
func peers(url string) caKind {
	web := &http.Client{Timeout: httpTimeout}
	return caKind{
		code: func(ctx context.Context, name string) (string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/token?sub="+name, nil)
			if err != nil {
				return "", err
			}
			res, err := web.Do(req)
			if err != nil {
				return "", err
			}
			defer res.Body.Close()
			token, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
			if err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", res.StatusCode)
			}
			return string(token), err
		},
		encode: func(n newcomer, code string) any {
			csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: n.csr})
			return map[string]string{"csr": string(csr), "ott": code}
		},
		look: func(answer []byte) error {
			var a struct {
				Certificate string   `json:"crt"`
				Chain       []string `json:"certChain"`
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return err
			}
			if a.Certificate == "" {
				return errNoCertificate
			}
			return nil
		},
	}
}

// start starts our server, and the peer if there is one, and returns how they are
// asked, in this order.
func (cfg CAConfig) start(ctx context.Context, c *contest, dir string) ([]caKind, error) {
	program, err := buildPeer(ctx, cfg.Peers, stepCA, dir)
	if err != nil {
		return nil, err
	}
	keys := filepath.Join(dir, "keys")
	if err := ca.Bootstrap(keys, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		return nil, err
	}
	files := ca.Config{}.WithFiles(keys)
	token, err := os.ReadFile(files.OperatorToken)
	if err != nil {
		return nil, err
	}
	base, err := c.start(ctx, "sigilo", "/ca.pem", "/api/sign-csr", func(address string) []string {
		return append(cfg.Server[:len(cfg.Server):len(cfg.Server)],
			"--listen", address, "--internal", "127.0.0.1:0", "--house", bidHouse, "--rate", "0",
			"--root", files.Root, "--certificate", files.Certificate, "--key", files.Key,
			"--token-key", files.TokenKey[0], "--credential-key", files.CredentialKey[0],
			"--operator-token", files.OperatorToken, "--registry", filepath.Join(dir, "registry.db"))
	})
	if err != nil {
		return nil, err
	}
	kinds := []caKind{ours(base, string(bytes.TrimSpace(token)))}
	if program == "" {
		return kinds, nil
	}
	base, err = c.start(ctx, "peer", "/health", "/1.0/sign", func(address string) []string {
		return []string{program, address, filepath.Join(dir, "peer-db")}
	})
	return append(kinds, peers(base)), err
}
