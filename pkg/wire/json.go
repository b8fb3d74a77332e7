package wire

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sigilo/sigilo/pkg/auction"
)

// strict makes the decoder refuse what the protocol does not name, and gives
// the domain's types their text forms: one that is there is well formed, so
// that an empty text cannot pass for an absent member.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		text(auction.ParsePseudonym),
		text(auction.ParseID),
		text(parseLogID),
		text(parseCode),
		text(parseCurrency),
		json.UnmarshalFromFunc(readBlob),
		json.UnmarshalFromFunc(readAmount),
		json.UnmarshalFromFunc(readTime),
		json.UnmarshalFromFunc(readUint64),
	)),
)

// encode makes the encoder total over this package's types: a text that is not
// UTF-8 is mended rather than refused.
var encode = json.JoinOptions(json.Deterministic(true), jsontext.AllowInvalidUTF8(true))

// Unmarshal reads one JSON value strictly into v: see the package comment. The
// caller bounds the size of data. Everything that data can cause is refused:
// with the code of the type that did not parse (bad_amount for an amount that
// is a number and not one of 1 .. [auction.MaxAmount]), else with bad_request.
func Unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v, strict); err != nil {
		var refusal *auction.Refusal
		if errors.As(err, &refusal) {
			return refusal
		}
		return malformed()
	}
	// A null would be read as if the member were absent.
	if bytes.Contains(data, []byte("null")) && hasNull(data) {
		return malformed()
	}
	return nil
}

// Marshal writes v as [Unmarshal] reads it: members in the order of the struct,
// map keys sorted, no white space.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

func malformed() error {
	return auction.Refuse(auction.CodeBadRequest, "not the JSON that the protocol describes")
}

// hasNull reports whether a literal null stands anywhere in valid JSON.
func hasNull(data []byte) bool {
	for d := jsontext.NewDecoder(bytes.NewBuffer(data)); ; {
		token, err := d.ReadToken()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		if token.Kind() == jsontext.KindNull {
			return true
		}
	}
}

// text reads a JSON string by parse, and nothing but a string.
func text[T ~string](parse func(string) (T, error)) *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *T) error {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		if token.Kind() != jsontext.KindString {
			return malformed()
		}
		*v, err = parse(token.String())
		return err
	})
}

func parseLogID(s string) (auction.LogID, error) {
	if s == string(auction.HouseLog) {
		return auction.HouseLog, nil
	}
	id, err := auction.ParseID(s)
	return auction.LogID(id), err
}

// parseCode takes any code that looks like one: an old client shows the person
// a newer code as it is.
func parseCode(s string) (auction.Code, error) {
	if !auction.IsWord(s) {
		return "", auction.Refuse(auction.CodeBadRequest, "a code is a lower-case name")
	}
	return auction.Code(s), nil
}

func parseCurrency(s string) (auction.Currency, error) {
	c := auction.Currency(s)
	_, err := c.Digits()
	return c, err
}

// readBlob reads binary data of at least one byte, without escapes in its text.
func readBlob(d *jsontext.Decoder, v *auction.Blob) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != jsontext.KindString {
		return malformed()
	}
	encoded := value[1 : len(value)-1]
	out := make(auction.Blob, base64url.DecodedLen(len(encoded)))
	if len(out) == 0 || !decode(out, encoded) {
		return auction.Refuse(auction.CodeBadRequest, "binary data is unpadded base64url of at least one byte")
	}
	*v = out
	return nil
}

// readInteger reads a JSON number of plain digits, below 2^53. Any other number
// is not ok; what is no number is an error.
func readInteger(d *jsontext.Decoder) (n uint64, ok bool, err error) {
	value, err := d.ReadValue()
	if err != nil {
		return 0, false, err
	}
	if value.Kind() != jsontext.KindNumber {
		return 0, false, malformed()
	}
	n, err = strconv.ParseUint(string(value), 10, 64)
	return n, err == nil && n <= maxInteger, nil
}

func readAmount(d *jsontext.Decoder, v *auction.Amount) error {
	n, ok, err := readInteger(d)
	if err != nil {
		return err
	}
	if !ok || n == 0 {
		return auction.Refuse(auction.CodeBadAmount, "an amount is a whole number of minor units, more than zero and below 2^53")
	}
	*v = auction.Amount(n)
	return nil
}

func readTime(d *jsontext.Decoder, v *auction.Time) error {
	n, ok, err := readInteger(d)
	if err != nil {
		return err
	}
	if !ok || n == 0 {
		return auction.Refuse(auction.CodeBadRequest, "a time is in whole microseconds since 1970")
	}
	*v = auction.Time(n)
	return nil
}

func readUint64(d *jsontext.Decoder, v *uint64) error {
	n, ok, err := readInteger(d)
	if err != nil {
		return err
	}
	if !ok {
		return auction.Refuse(auction.CodeBadRequest, "a number here is whole, not negative, and below 2^53")
	}
	*v = n
	return nil
}
