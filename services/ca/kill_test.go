package ca

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// childFolder is set for a process that is only a CA, to be killed.
const childFolder = "SIGILO_TEST_CA_FOLDER"

func TestMain(m *testing.M) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		os.Exit(m.Run())
	}
	cfg := testConfig(dir)
	cfg.OnListen = func(public, _ string) {
		fmt.Fprintln(os.Stderr, "http://"+public)
	}
	fmt.Fprintln(os.Stderr, Run(context.Background(), cfg))
	os.Exit(1)
}

// startChild runs a CA in a process of its own, by the clock of this machine, and returns
// it with its URL.
func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childFolder+"="+dir)
	stderr := must[io.ReadCloser](t)(cmd.StderrPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := must[string](t)(bufio.NewReader(stderr).ReadString('\n'))
	return cmd, strings.TrimSpace(url)
}

// ask is call for a CA that may be dead: answered is false if no answer came.
func ask(t *testing.T, url string, in, out any) (answered bool) {
	resp, err := http.Post(url, "application/json", bytes.NewReader(must[[]byte](t)(json.Marshal(in))))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(out) == nil
}

// enrolUntilKilled enrols everybody at once with a CA that is killed once so many of
// them have an answer.
func enrolUntilKilled(t *testing.T, dir string, clients []*client, invites []string, after int32) {
	t.Helper()
	child, url := startChild(t, dir)
	var answers atomic.Int32
	var wg sync.WaitGroup
	for i, p := range clients {
		wg.Go(func() {
			var answer signAnswer
			if ask(t, url+"/api/sign-csr", map[string]string{"csr": p.csr, "invite": invites[i]}, &answer) {
				p.chain = answer.Chain
				if answers.Add(1) == after {
					child.Process.Signal(syscall.SIGKILL) //nolint:errcheck // Wait tells whether it was
				}
			}
		})
	}
	wg.Wait()
	if err := child.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the CA ended by itself: %v", err)
	}
}

// A CA that is killed at any instant has recorded whatever it released, and
// what it did not release keeps nobody out.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	if err := Bootstrap(dir, BootstrapConfig{House: testHouse, Authorities: []string{"clock"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	const rounds, people, after = 3, 24, 6
	for round := range rounds {
		invites, clients := make([]string, people), make([]*client, people)
		ca := startCA(t, dir, func(c *Config) { c.Clock = nil })
		for i := range clients {
			invites[i], clients[i] = ca.invite(fmt.Sprintf("p%d-%d", round, i), nil), ca.newClient()
		}
		if err := ca.stop(); err != nil {
			t.Fatal(err)
		}

		enrolUntilKilled(t, dir, clients, invites, after)

		ca = startCA(t, dir, func(c *Config) { c.Clock = nil })
		for i, p := range clients {
			p.ca = ca
			if p.chain == nil {
				if code := p.sign(map[string]any{"invite": invites[i]}); code != "" {
					wantCode(t, "the invite again", code, auction.CodeBadEnrolment)
					wantCode(t, "a renewal instead", p.renew(), "")
				}
			}
			_, code := p.issue()
			wantCode(t, "a token", code, "")
		}
		var page peopleAnswer
		ca.mustCall("GET", "/api/people", nil, &page, ca.token)
		if len(page.People) != (round+1)*people {
			t.Errorf("%d people are enrolled", len(page.People))
		}
		for _, p := range clients {
			chain := must[[][]byte](t)(decodeChain(p.chain))
			cert := must[*identity.Certificate](t)(ca.verifier().Verify(chain, identity.RoleParticipant, time.Now()))
			ca.mustCall("POST", "/api/revoke", map[string]string{"serial": cert.Serial, "reason": "unspecified"}, nil, ca.token)
		}
		if err := ca.stop(); err != nil {
			t.Fatal(err)
		}
	}
}
