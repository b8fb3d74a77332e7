package sigilo_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/wire"
)

const protocolPage = "docs/protocol.md"

// row returns the other cells of the first table row that begins with the given one.
func row(page, cell string) []string {
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, "| "+cell+" |"); ok {
			return strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), "|"), "|")
		}
	}
	return nil
}

func TestProtocolListsEveryRefusal(t *testing.T) {
	text := page(t, protocolPage)
	_, table, _ := strings.Cut(text, "\n### 22.1 ")
	table, _, _ = strings.Cut(table, "\n### ")
	for _, code := range auction.Codes() {
		cells := row(table, "`"+string(code)+"`")
		if len(cells) != 3 || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("section 22.1 does not say what %s means and what to do", code)
			continue
		}
		if want := strconv.Itoa(ops.HTTPStatus(code)); strings.TrimSpace(cells[0]) != want {
			t.Errorf("section 22.1 gives %s the status%s, not %s", code, cells[0], want)
		}
	}
	if rows := strings.Count(table, "\n| `"); rows != len(auction.Codes()) {
		t.Errorf("section 22.1 has %d codes, the code %d", rows, len(auction.Codes()))
	}
}

func TestProtocolListsEveryCloseCode(t *testing.T) {
	text := page(t, protocolPage)
	_, table, _ := strings.Cut(text, "\n### 22.2 ")
	table, _, _ = strings.Cut(table, "\n### ")
	codes := closeCodes(t)
	for name, value := range codes {
		if row(table, value) == nil {
			t.Errorf("section 22.2 does not have %s, %s", name, value)
		}
	}
	if rows := strings.Count(table, "\n| 4"); rows != len(codes) {
		t.Errorf("section 22.2 has %d codes, the code %d", rows, len(codes))
	}
}

// closeCodes reads the constants of pkg/wire/closecode.go: name and value.
func closeCodes(t *testing.T) map[string]string {
	t.Helper()
	codes := make(map[string]string)
	for _, decl := range parseFile(t, "pkg/wire/closecode.go").Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			value := spec.(*ast.ValueSpec)
			codes[value.Names[0].Name] = value.Values[0].(*ast.BasicLit).Value
		}
	}
	if len(codes) == 0 {
		t.Fatal("no close codes found")
	}
	return codes
}

func parseFile(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProtocolListsEveryMessage(t *testing.T) {
	text := page(t, protocolPage)
	for _, vectors := range [][]vector{messages(t).Client, messages(t).Server} {
		for _, v := range vectors {
			var m struct {
				Type string `json:"type"`
			}
			if err := json.Unmarshal([]byte(v.Message), &m); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text, "\n**`"+m.Type+"`**") {
				t.Errorf("section 12 does not describe the message %s", m.Type)
			}
		}
	}
}

func TestProtocolListsEveryMember(t *testing.T) {
	text := page(t, protocolPage)
	tag := regexp.MustCompile(`json:"([a-z0-9_]+)`)
	for _, dir := range []string{"pkg/auction", "pkg/wire", "pkg/evidence", "services/ca"} {
		for path, source := range sources(t, dir) {
			if strings.Contains(path, "kubernetes") {
				continue // another project's protocol
			}
			for _, found := range tag.FindAllStringSubmatch(source, -1) {
				if !strings.Contains(text, "`"+found[1]+"`") {
					t.Errorf("%s does not name the member %s of %s", protocolPage, found[1], path)
				}
			}
		}
	}
}

func TestProtocolListsEveryLabel(t *testing.T) {
	text := page(t, protocolPage)
	label := regexp.MustCompile(`\bsigilo/[a-z0-9-]+/v[0-9]+\b`)
	used := make(map[string]bool)
	for path, source := range sources(t, ".") {
		for _, found := range label.FindAllString(source, -1) {
			used[found] = true
			if row(text, "`"+found+"`") == nil {
				t.Errorf("section 2.4 does not list %s of %s", found, path)
			}
		}
	}
	for _, listed := range label.FindAllString(text, -1) {
		if !used[listed] {
			t.Errorf("%s speaks of %s, which the code does not know", protocolPage, listed)
		}
	}
}

// sources returns the Go files below a folder, without tests, by their path.
func sources(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go"):
			out[path] = page(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type vector struct{ Name, Message string }

type messageFile struct {
	Client, Server []vector
	Ready          string
}

func messages(t *testing.T) messageFile {
	t.Helper()
	var file messageFile
	if err := json.Unmarshal([]byte(page(t, "pkg/wire/testdata/messages.json")), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestProtocolExamples holds every line of JSON in the page: messages and
// commands are test vectors, and documents are read by the code as they stand.
func TestProtocolExamples(t *testing.T) {
	known := make(map[string]bool)
	file := messages(t)
	for _, v := range append(file.Client, file.Server...) {
		known[v.Message] = true
	}
	known[file.Ready] = true
	var commands struct{ Commands []struct{ Payload string } }
	if err := json.Unmarshal([]byte(page(t, "pkg/wire/testdata/commands.json")), &commands); err != nil {
		t.Fatal(err)
	}
	for _, c := range commands.Commands {
		known[c.Payload] = true
	}
	identities := identityVectors(t)

	count := 0
	for _, line := range examples(page(t, protocolPage)) {
		count++
		if err := checkExample(line, known, identities); err != nil {
			t.Errorf("%v: %.60s...", err, line)
		}
	}
	if count < 30 {
		t.Errorf("only %d examples were found", count)
	}
}

func checkExample(line string, known map[string]bool, identities []string) error {
	var err error
	switch {
	case strings.HasPrefix(line, `{"type":`), strings.HasPrefix(line, `{"v":1,"aud":`), strings.HasPrefix(line, `{"v":1,"time":`):
		if !known[line] {
			err = fmt.Errorf("it is not in pkg/wire/testdata")
		}
	case strings.HasPrefix(line, `{"seq":`):
		_, err = auction.ParseEvent([]byte(line))
	case strings.HasPrefix(line, `{"v":1,"policy":`):
		_, err = auction.ParseTerms([]byte(line))
	case strings.HasPrefix(line, `{"v":1,"house":`):
		_, err = auction.ParsePolicy([]byte(line))
	case strings.HasPrefix(line, `{"code":`):
		var body struct {
			Code   auction.Code `json:"code"`
			Detail string       `json:"detail"`
		}
		err = wire.Unmarshal([]byte(line), &body)
	case strings.HasPrefix(line, `{"auction":`):
		err = wire.Unmarshal([]byte(line), new(auction.Receipt))
	default:
		if !slices.Contains(identities, line) {
			err = fmt.Errorf("it is not in pkg/identity/testdata")
		}
	}
	return err
}

// examples returns the lines of the page's blocks of JSON.
func examples(page string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(page) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "```json":
			inside = true
		case line == "```":
			inside = false
		case inside:
			out = append(out, line)
		}
	}
	return out
}

// identityVectors returns the JSON inside of what package identity signs.
func identityVectors(t *testing.T) []string {
	t.Helper()
	var v struct {
		KeySet       string `json:"key_set"`
		Token        string `json:"token"`
		Proof        string `json:"proof"`
		Credential   string `json:"credential"`
		Presentation string `json:"presentation"`
	}
	if err := json.Unmarshal([]byte(page(t, "pkg/identity/testdata/vectors.json")), &v); err != nil {
		t.Fatal(err)
	}
	out := []string{v.KeySet}
	for _, object := range []string{v.Token, v.Proof, v.Credential, v.Presentation} {
		for _, part := range strings.FieldsFunc(object, func(r rune) bool { return r == '.' || r == '~' }) {
			if plain, err := base64.RawURLEncoding.DecodeString(part); err == nil {
				out = append(out, string(plain))
			}
		}
	}
	return out
}

// has reports an error unless the page holds the value.
func has(t *testing.T, what, value string) {
	t.Helper()
	if !strings.Contains(page(t, protocolPage), value) {
		t.Errorf("%s is %s, which the page does not have", what, value)
	}
}

func TestProtocolHashesOfExamples(t *testing.T) {
	for _, line := range examples(page(t, protocolPage)) {
		switch {
		case strings.HasPrefix(line, `{"v":1,"house":`):
			has(t, "the hash of the policy", auction.PolicyHash([]byte(line)).String())
		case strings.HasPrefix(line, `{"v":1,"policy":`):
			has(t, "the hash of the terms", auction.TermsHash([]byte(line)).String())
		}
	}
}

// TestProtocolWorkedExample makes the values of section 16.4 again.
func TestProtocolWorkedExample(t *testing.T) {
	const seed, salt = "\x01", "s"
	secret, verifier, err := note.GenerateKey(strings.NewReader(strings.Repeat(seed, 64)), "demo")
	if err != nil {
		t.Fatal(err)
	}
	has(t, "the log key", verifier)
	signer, err := evidence.NewLogSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	thumbprint, _ := auction.ParseHash("e12ee979870da95d460c47e87ce06d6988246994e3ac8041b56186104b88f66b")
	participant, _ := auction.ParseHash("2ffc1d06387ef8bb7a34312b6c6c3f691550684508c3ce7ee3889375a18d6fa0")
	private := auction.Private{
		JWS: []byte("a.b.c"), Tokens: [][]byte{[]byte("stamp")}, Certificate: thumbprint,
		Participant: auction.Participant(participant), CRL: 3, Arrival: 1_780_000_000_123_456, TS: 1_780_000_000_000_001,
	}.Encode()
	has(t, "the private part", hex.EncodeToString(private))
	const id auction.ID = "7c1a2f60-4a55-4a0b-9d1c-5f0e3a9b6d21"
	event := auction.Event{
		Seq: 2, Kind: auction.SomeoneBid, Auction: id, Pseudonym: "0b9f3c52-8e1d-4f7a-a6b0-2d4c6e8f1a35",
		Time: 1_780_000_000, Amount: 1500,
	}
	entry := auction.Entry{Seq: 2, Event: event.Encode(), Commitment: auction.Commit([]byte(strings.Repeat(salt, auction.SaltSize)), private)}
	has(t, "the commitment", entry.Commitment.String())
	has(t, "the leaf", entry.Leaf().String())

	first, _ := auction.ParseHash("d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa")
	leaf := entry.Leaf()
	head := auction.Head{Size: 2, Root: sha256.Sum256(slices.Concat([]byte{1}, first[:], leaf[:]))}
	has(t, "the root", head.Root.String())
	has(t, "the digest of the close", auction.CloseDigest(id, head).String())
	signed, err := signer.SignHead("demo", auction.LogID(id), head)
	if err != nil {
		t.Fatal(err)
	}
	has(t, "the signed head", signed)
	receipts := []auction.Receipt{{Auction: id, Seq: 1, Leaf: first}, {Auction: id, Seq: 2, Leaf: leaf}}
	if err := signer.SignReceipts(receipts); err != nil {
		t.Fatal(err)
	}
	receipt, err := wire.Marshal(receipts[1])
	if err != nil {
		t.Fatal(err)
	}
	has(t, "the receipt", string(receipt))
}
