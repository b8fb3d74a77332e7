package wire_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// One space makes no difference to JSON, and takes what has the encoder's form to
// the decoder: both readings must give the same.

// checkDecoded holds that what was read of a payload is what the decoder reads.
func checkDecoded(t testing.TB, payload string, s wire.Signed, err error) {
	t.Helper()
	other, otherErr := wire.ParseCommand([]byte(jwsOf(goodHeader(), " "+payload)))
	if auction.CodeOf(otherErr) == auction.CodeTooLarge && auction.CodeOf(err) != auction.CodeTooLarge {
		return // it was as long as may be
	}
	if auction.CodeOf(err) != auction.CodeOf(otherErr) {
		t.Fatalf("%s: %v, and by the decoder %v", payload, err, otherErr)
	}
	if diff := cmp.Diff(other.Command, s.Command); diff != "" {
		t.Fatalf("%s: by the decoder and without it: %s", payload, diff)
	}
}

// TestABidIsReadAsTheDecoderReadsIt changes every byte of a bid, so that many a
// reading fails at each place.
func TestABidIsReadAsTheDecoderReadsIt(t *testing.T) {
	good := []byte(goodPayload())
	for i := range good {
		for _, b := range []byte(" \"\\0g\x80") {
			payload := bytes.Clone(good)
			payload[i] = b
			s, err := wire.ParseCommand([]byte(jwsOf(goodHeader(), string(payload))))
			checkDecoded(t, string(payload), s, err)
		}
	}
	for _, number := range []string{"0", "00", "01", "-0", "1e3", "1.0", "9007199254740991", "9007199254740992", "18446744073709551616", ""} {
		for _, payload := range []string{
			swap(string(good), "1500", number),
			swap(string(good), `"size":12`, `"size":`+number),
			swap(string(good), `"v":1`, `"v":`+number),
		} {
			s, err := wire.ParseCommand([]byte(jwsOf(goodHeader(), payload)))
			checkDecoded(t, payload, s, err)
		}
	}
}

func TestAReceiptIsWrittenAsTheEncoderWritesIt(t *testing.T) {
	hash := rapid.Custom(func(t *rapid.T) auction.Hash { return hashOf(rapid.String().Draw(t, "of")) })
	bytesOf := rapid.SliceOf(rapid.Byte())
	rapid.Check(t, func(t *rapid.T) {
		m := &wire.ReceiptAnswer{
			ID: rapid.Uint32().Draw(t, "id"), Event: string(bytesOf.Draw(t, "event")), Commitment: hash.Draw(t, "commitment"),
			Salt: bytesOf.Draw(t, "salt"), Arrival: auction.Time(rapid.Int64().Draw(t, "arrival")), CRL: rapid.Uint64().Draw(t, "crl"),
			Receipt: auction.Receipt{
				Auction: auction.ID(rapid.String().Draw(t, "auction")), Seq: rapid.Uint64().Draw(t, "seq"), Leaf: hash.Draw(t, "leaf"),
				Index: rapid.Uint64().Draw(t, "index"), Batch: rapid.Uint64().Draw(t, "batch"),
				Path: rapid.SliceOf(hash).Draw(t, "path"), Signature: bytesOf.Draw(t, "signature"),
			},
		}
		object, err := json.Marshal(m, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			t.Fatal(err)
		}
		want := `{"type":"receipt",` + string(object[1:]) + "\n"
		if got := string(wire.AppendMessage(nil, m)); got != want {
			t.Fatalf("\n got %s\nwant %s", got, want)
		}
	})
}
