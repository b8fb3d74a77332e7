package wire_test

import (
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

func BenchmarkParseCommand(b *testing.B) {
	for _, name := range []string{"bid", "list", "inbox"} {
		jws := sign(b, commands()[name])
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(jws)))
			for b.Loop() {
				if _, err := wire.ParseCommand(jws); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s, err := wire.ParseCommand(sign(b, commands()["bid"]))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Verify(&signer.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseClient(b *testing.B) {
	data := wire.EncodeClient(&wire.CommandRequest{
		ID: 1, JWS: string(sign(b, commands()["bid"])),
		Stamps: []auction.Blob{[]byte(strings.Repeat("x", 400))},
	})
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := wire.ParseClient(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventMessage(b *testing.B) {
	e := auction.Entry{Event: bidEvent().Encode(), Commitment: hashOf("commitment")}
	b.ReportAllocs()
	for b.Loop() {
		wire.EventMessage(auction.LogID(lot), e)
	}
}
