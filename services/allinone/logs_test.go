package allinone_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
	"github.com/sigilo/sigilo/services/allinone"
)

// TestLogsHoldNoSecrets holds a whole auction, refusals included, at the most
// talkative level, and searches what all services logged.
func TestLogsHoldNoSecrets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	var logs book
	var frames allinone.Haystack
	var commands secretFrames
	h, err := allinone.Start(ctx, allinone.Config{
		Dir: dir, SimulatedTime: true, Log: &logs, LogLevel: slog.LevelDebug,
		OnFrame: func(frame []byte) {
			frames.Add(frame)
			commands.note(frame)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	people := holdAuction(t, ctx, h)
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"service":"ca"`, `"service":"tsa1"`, `"service":"dms"`, `"msg":"auction closed"`} {
		if !bytes.Contains(logs.Bytes(), []byte(line)) {
			t.Errorf("no line with %s: is this the log of a whole run?", line)
		}
	}
	secrets := append(people, commands.secrets...)
	secrets = append(secrets, privateKeys(t, dir)...)
	if found := leaks(logs.Bytes(), secrets); len(found) != 0 {
		t.Errorf("the logs hold %d secrets, the first is %.60q", len(found), found[0])
	}
	// The search finds what is there: in the frames that the DMS decrypted are
	// commands, and a name that is planted is found too.
	if len(frames.Find(commands.secrets)) != len(commands.secrets) || len(commands.secrets) < 6 {
		t.Errorf("%d commands were sent, and not all are found", len(commands.secrets))
	}
	for _, planted := range append(people, `{"amount":170000}`, "eyJhbGciOiJFUzI1NiJ9.e30.x") {
		line := `{"level":"DEBUG","msg":"planted","value":` + planted + `}`
		if len(leaks([]byte(line), secrets)) == 0 {
			t.Errorf("%.20q is planted and not found", planted)
		}
	}
}

// leaks returns those of the secrets, and what has the shape of one, that stand
// in logs.
func leaks(logs []byte, secrets []string) []string {
	var stack allinone.Haystack
	stack.Add(logs)
	found := stack.Find(secrets)
	for _, shape := range secretShapes {
		if match := shape.Find(logs); match != nil {
			found = append(found, string(match))
		}
	}
	return found
}

// book keeps what several services log at once.
type book struct {
	mu           sync.Mutex
	bytes.Buffer // to be read when nobody writes any more
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// secretShapes are what no log line may look like: an amount, a token or a
// signed command, a private key.
var secretShapes = []*regexp.Regexp{
	regexp.MustCompile(`(?i)amount[^a-z0-9]{0,8}[0-9]+`),
	regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.`),
	regexp.MustCompile(`PRIVATE.KEY`),
}

// secretFrames collects the signed commands in the frames that the DMS decrypted.
type secretFrames struct {
	mu      sync.Mutex
	secrets []string
}

func (f *secretFrames) note(frame []byte) {
	m, err := wire.ParseClient(frame)
	if command, ok := m.(*wire.CommandRequest); err == nil && ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		parts := strings.Split(command.JWS, ".")
		f.secrets = append(f.secrets, parts[1][:min(64, len(parts[1]))], parts[2])
	}
}

// privateKeys returns what must not be seen of the house's key files: each line
// of a key or token.
func privateKeys(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.key", "*.token"} {
		files, err := filepath.Glob(filepath.Join(dir, "keys", pattern))
		if err != nil || len(files) == 0 {
			t.Fatal("no key files", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
					out = append(out, line)
				}
			}
		}
	}
	return out
}

// holdAuction has a seller and two bidders hold an auction to its end, with
// refusals, a disclosure, and somebody whom the house does not let in. It
// returns all that names a person, and the people's tokens.
func holdAuction(t *testing.T, ctx context.Context, h *allinone.House) (secrets []string) {
	t.Helper()
	var tokens secretTokens
	names := []string{"sofia.marques", "bruno.teixeira", "clara.nogueira"}
	people := make([]*client.Client, len(names))
	for i, name := range names {
		people[i] = enrol(t, ctx, h, name, "participant", h.Ready.DMS, client.Options{OnReceive: tokens.note})
		secrets = append(secrets, name, attributesOf(name)["email"], people[i].Profile().Participant().String())
	}
	seller, bruno, clara := people[0], people[1], people[2]
	id := listClock(t, ctx, seller)
	bid := func(c *client.Client, amount auction.Amount, want auction.Code) {
		t.Helper()
		if _, err := c.Bid(ctx, id, amount); auction.CodeOf(err) != want {
			t.Fatalf("a bid of %d: %v", amount, err)
		}
	}
	bid(bruno, 171717, "")
	bid(clara, 3000, auction.CodeBidTooLow)
	bid(clara, 181818, "")
	bid(seller, 191919, auction.CodeOwnAuction)
	if _, err := clara.Bid(ctx, "00000000-0000-4000-8000-000000000000", 1); auction.CodeOf(err) != auction.CodeUnknownAuction {
		t.Fatal(err)
	}
	shown, err := seller.Item(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetTime(ctx, shown.Terms.Closes.Add(6*time.Second)); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, ctx, seller, id)
	disclose := func(c *client.Client) {
		t.Helper()
		messages, err := c.Inbox(ctx)
		if err != nil || len(messages) != 1 {
			t.Fatal(len(messages), err)
		}
		if _, err := c.Closed(ctx, messages[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.Disclose(ctx, id, []string{"email"}); err != nil {
			t.Fatal(err)
		}
	}
	disclose(seller)
	disclose(clara)
	messages, err := seller.Inbox(ctx)
	if err != nil || len(messages) != 1 {
		t.Fatal(len(messages), err)
	}
	if closing, err := seller.Opened(ctx, messages[0]); err != nil || closing.Theirs["username"] != names[2] {
		t.Fatalf("the seller learns %v: %v", closing.Theirs, err)
	}
	if len(tokens.secrets) < len(people) {
		t.Fatalf("only %d tokens were seen", len(tokens.secrets))
	}
	return append(secrets, tokens.secrets...)
}

// secretTokens collects the session tokens and credentials that the CA gave.
type secretTokens struct {
	mu      sync.Mutex
	secrets []string
}

func (s *secretTokens) note(data []byte) {
	var answer struct{ Token, Credential string }
	if json.Unmarshal(data, &answer) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range []string{answer.Token, answer.Credential} {
		if parts := strings.SplitN(text, ".", 3); len(parts) == 3 {
			s.secrets = append(s.secrets, parts[1])
			if _, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
				panic("a token that is none")
			}
		}
	}
}
