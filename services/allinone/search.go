package allinone

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"sync"
)

// Haystack collects bytes that somebody could see, and finds names in them, also
// where base64 or hexadecimal hides them. It is safe for concurrent use.
type Haystack struct {
	mu   sync.Mutex
	data bytes.Buffer
}

// Write implements io.Writer. Nothing can be found across two writes.
func (h *Haystack) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.data.Write(p)
	h.data.WriteByte('\n')
	return len(p), nil
}

// Add is Write for callers that expect no answer.
func (h *Haystack) Add(p []byte) { _, _ = h.Write(p) }

// Size returns how many bytes were collected.
func (h *Haystack) Size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.data.Len()
}

// Find returns those of the names that are in there, whatever their case.
func (h *Haystack) Find(names []string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := make(map[string]bool)
	search(bytes.ToLower(h.data.Bytes()), h.data.Bytes(), names, found, searchDepth)
	var out []string
	for _, name := range names {
		if found[name] {
			out = append(out, name)
		}
	}
	return out
}

// searchDepth is how many layers of encoding are taken off: a claim stands in
// base64 within an SD-JWT, which may itself stand in base64 within a message.
const searchDepth = 4

var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

func search(lower, data []byte, names []string, found map[string]bool, depth int) {
	for _, name := range names {
		if bytes.Contains(lower, []byte(strings.ToLower(name))) {
			found[name] = true
		}
	}
	if depth == 0 {
		return
	}
	for _, run := range encoded.FindAll(data, -1) {
		for _, inner := range decodings(run) {
			search(bytes.ToLower(inner), inner, names, found, depth-1)
		}
	}
}

// decodings returns what a run of letters may stand for, in base64 of either
// alphabet from each of the four places where it may begin, and in hexadecimal.
func decodings(run []byte) [][]byte {
	var out [][]byte
	text := strings.NewReplacer("-", "+", "_", "/").Replace(string(run))
	for skip := range 4 {
		if skip >= len(text) {
			break
		}
		part := text[skip:]
		if part = part[:len(part)-len(part)%4]; part == "" {
			continue
		}
		if inner, err := base64.RawStdEncoding.DecodeString(part); err == nil && printable(inner) {
			out = append(out, inner)
		}
	}
	if tail := len(text) % 4; tail > 1 { // the last, incomplete group of an encoding without padding
		if inner, err := base64.RawStdEncoding.DecodeString(text); err == nil && printable(inner) {
			out = append(out, inner)
		}
	}
	if inner, err := hex.DecodeString(text); err == nil && printable(inner) {
		out = append(out, inner)
	}
	return out
}

// printable reports whether text could be in there: random bytes are passed
// over, or each layer would be searched for nothing.
func printable(b []byte) bool {
	n := 0
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			if n++; n >= 6 {
				return true
			}
		} else {
			n = 0
		}
	}
	return false
}
