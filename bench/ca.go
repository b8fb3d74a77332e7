package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

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
// same generator, and neither asks who somebody is: ours enrols in mode open.
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
	if err := cfg.start(ctx, c, dir); err != nil {
		return Result{}, err
	}
	var newcomers int
	err = c.run(ctx, func() ([]job, error) {
		requests, err := newRequests(cfg.Certificates)
		if err != nil {
			return nil, err
		}
		ours, err := enrolJob(requests, newcomers)
		if err != nil {
			return nil, err
		}
		newcomers += len(requests)
		theirs, err := stepJob(requests)
		return []job{ours, theirs}, err
	}, result)
	return result, err
}

// newRequests makes certificate requests of new keys, in DER.
func newRequests(n int) ([][]byte, error) {
	requests := make([][]byte, n)
	for i := range requests {
		key, err := identity.NewKey()
		if err != nil {
			return nil, err
		}
		if requests[i], err = identity.NewRequest(key); err != nil {
			return nil, err
		}
	}
	return requests, nil
}

// enrolJob asks our CA for a certificate for each request, under names that are
// counted from first.
func enrolJob(requests [][]byte, first int) (job, error) {
	encode := func(number int, der []byte) any {
		return map[string]string{
			"csr": base64.RawURLEncoding.EncodeToString(der), "username": "newcomer-" + strconv.Itoa(first+number),
		}
	}
	return certificateJob(requests, encode, func(answer []byte) error {
		var a struct {
			Chain      []string `json:"chain"`
			Credential string   `json:"credential"`
		}
		if err := json.Unmarshal(answer, &a); err != nil {
			return err
		}
		if len(a.Chain) == 0 || a.Credential == "" {
			return errors.New("there is no certificate")
		}
		return nil
	})
}

// stepJob asks the peer for the same.
func stepJob(requests [][]byte) (job, error) {
	encode := func(_ int, der []byte) any {
		return map[string]string{
			"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
		}
	}
	return certificateJob(requests, encode, func(answer []byte) error {
		var a struct {
			Certificate string   `json:"crt"`
			Chain       []string `json:"certChain"`
		}
		if err := json.Unmarshal(answer, &a); err != nil {
			return err
		}
		if a.Certificate == "" {
			return errors.New("there is no certificate")
		}
		return nil
	})
}

// certificateJob asks once for each request, as encode puts it.
func certificateJob(requests [][]byte, encode func(number int, der []byte) any, look func([]byte) error) (job, error) {
	bodies := make([][]byte, len(requests))
	for i, der := range requests {
		var err error
		if bodies[i], err = json.Marshal(encode(i, der)); err != nil {
			return job{}, err
		}
	}
	return job{
		media: "application/json", look: look,
		body: func(number int, _ time.Duration) []byte {
			if number >= len(bodies) {
				return nil
			}
			return bodies[number]
		},
	}, nil
}

// start starts our server, and the peer if there is one, in this order.
func (cfg CAConfig) start(ctx context.Context, c *contest, dir string) error {
	peer, err := buildPeer(ctx, cfg.Peers, stepCA, dir)
	if err != nil {
		return err
	}
	keys := filepath.Join(dir, "keys")
	if err := ca.Bootstrap(keys, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		return err
	}
	files := ca.Config{}.WithFiles(keys)
	err = c.start(ctx, "sigilo", "/ca.pem", "/api/sign-csr", func(address string) []string {
		return append(cfg.Server[:len(cfg.Server):len(cfg.Server)],
			"--listen", address, "--internal", "127.0.0.1:0", "--house", bidHouse, "--mode", ca.ModeOpen, "--rate", "0",
			"--root", files.Root, "--certificate", files.Certificate, "--key", files.Key,
			"--token-key", files.TokenKey[0], "--credential-key", files.CredentialKey[0],
			"--operator-token", files.OperatorToken, "--registry", filepath.Join(dir, "registry.db"))
	})
	if err != nil || peer == "" {
		return err
	}
	return c.start(ctx, "peer", "/health", "/sign", func(address string) []string {
		return []string{peer, address, filepath.Join(dir, "peer-db")}
	})
}
