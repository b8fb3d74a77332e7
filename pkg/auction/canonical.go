package auction

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Canonical JSON: members in the order of the Go struct, absent members left
// out, no white space, strings escaped as ECMAScript's JSON.stringify does.
// What is hashed or kept for ever is written so, and read back only if it is
// exactly that: one meaning has one encoding, and doubled members, unknown
// members, other spellings of a number or of a name cannot hide in it.

// marshalCanonical encodes one of this package's own structs. It cannot fail
// for them; a failure is a defect and panics.
func marshalCanonical(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("auction: internal error: encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// parseCanonical decodes data into v and refuses any encoding but v's own.
func parseCanonical(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Refuse(CodeBadRequest, "not the JSON that the protocol describes")
	}
	if !bytes.Equal(marshalCanonical(v), data) {
		return Refuse(CodeBadRequest, "not in canonical form: order of members, white space, or escapes")
	}
	return nil
}

// Blob is binary data; in JSON it is unpadded base64url (RFC 4648 section 5),
// read strictly: no padding, no line breaks, no stray trailing bits.
type Blob []byte

var strictBase64 = base64.RawURLEncoding.Strict()

// AppendText implements encoding.TextAppender.
func (b Blob) AppendText(dst []byte) ([]byte, error) {
	return strictBase64.AppendEncode(dst, b), nil
}

// MarshalText implements encoding.TextMarshaler.
func (b Blob) MarshalText() ([]byte, error) { return b.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Blob) UnmarshalText(text []byte) error {
	if bytes.ContainsAny(text, "\r\n") { // which encoding/base64 would skip
		return Refuse(CodeBadRequest, "base64url has no line breaks")
	}
	out, err := strictBase64.AppendDecode(nil, text)
	if err != nil {
		return Refuse(CodeBadRequest, "binary data is unpadded base64url")
	}
	*b = out
	return nil
}

// AppendText implements encoding.TextAppender.
func (h Hash) AppendText(dst []byte) ([]byte, error) { return hex.AppendEncode(dst, h[:]), nil }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// plainText reports whether s is valid UTF-8 of at most limit bytes whose
// characters a terminal and every JSON encoder treat alike: printable ones,
// the space, and line breaks where multiline. That leaves out control and
// format characters such as right-to-left overrides.
func plainText(s string, limit int, multiline bool) bool {
	return len(s) <= limit && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && !(multiline && r == '\n')
	}) < 0
}
