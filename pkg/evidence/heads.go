package evidence

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	headLabel = "sigilo/head/v1"

	maxHead = 1 << 10   // bytes of a signed head
	maxSize = 1<<53 - 1 // entries of a log
)

// SignHead returns the signed head of a house's log: a C2SP tlog-checkpoint,
// which is a signed note of three lines, the origin "sigilo/head/v1 house/log",
// the size in decimal, and the root in base64.
func (s *LogSigner) SignHead(house string, log auction.LogID, head auction.Head) (string, error) {
	signed, err := note.Sign(&note.Note{Text: headText(house, log, head)}, s.signer)
	if err != nil {
		return "", fmt.Errorf("sign head: %w", err)
	}
	return string(signed), nil
}

// OpenHead checks a signed head of the given house's log and returns it. It
// takes exactly what SignHead writes: one signature, by key, and one spelling.
// It refuses with [auction.CodeBadSignature].
func OpenHead(text string, key LogKey, house string, log auction.LogID) (auction.Head, error) {
	bad := auction.Refuse(auction.CodeBadSignature, "the house did not sign this head of its log")
	if len(text) > maxHead {
		return auction.Head{}, bad
	}
	n, err := note.Open([]byte(text), note.VerifierList(key.verifier))
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return auction.Head{}, bad
	}
	head, ok := parseHeadText(n.Text)
	if !ok || headText(house, log, head) != n.Text {
		return auction.Head{}, bad
	}
	// Open drops a doubled signature and takes loose base64.
	signature, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || text != fmt.Sprintf("%s\n— %s %s\n", n.Text, n.Sigs[0].Name, base64.StdEncoding.EncodeToString(signature)) {
		return auction.Head{}, bad
	}
	return head, nil
}

func headText(house string, log auction.LogID, head auction.Head) string {
	return fmt.Sprintf("%s %s/%s\n%d\n%s\n", headLabel, house, log, head.Size,
		base64.StdEncoding.EncodeToString(head.Root[:]))
}

// parseHeadText reads size and root; that the rest is right, and all in one
// spelling, shows when they are written again.
func parseHeadText(text string) (auction.Head, bool) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return auction.Head{}, false
	}
	size, err1 := strconv.ParseUint(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err1 != nil || err2 != nil || size > maxSize || len(root) != len(auction.Hash{}) {
		return auction.Head{}, false
	}
	return auction.Head{Size: size, Root: auction.Hash(root)}, true
}
