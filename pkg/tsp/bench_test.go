package tsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"
)

// BenchmarkVerify is the whole check of a token, BenchmarkSignature the one
// P-256 verification in it that cannot be avoided, and BenchmarkParse what is
// done to the token's bytes besides: under 2 µs.
func BenchmarkVerify(b *testing.B) {
	a := newTestHouse(b, 1).authority(b, "one", 2, nil)
	v, imprint := a.verifier(b), digestOf("bid")
	token := a.stamp(b, imprint, start)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(token, imprint); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	token := newTestHouse(b, 1).authority(b, "one", 2, nil).stamp(b, digestOf("bid"), start)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseToken(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignature(b *testing.B) {
	key := newTestKey(b, 2)
	digest := sha256.Sum256([]byte("bid"))
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	a := newTestHouse(b, 1).authority(b, "one", 2, nil)
	issuer := a.issuer(b, at(start))
	request := mustMarshal(b, mustRequest(b, digestOf("bid"), RealTime))
	b.ReportAllocs()
	for b.Loop() {
		issuer.last = 0 // the clock stands still: let it not run away
		issuer.Respond(request)
	}
}

func BenchmarkClockNow(b *testing.B) {
	c := NewClock(&testStamper{}, nil, false)
	if err := c.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Now(); err != nil {
				b.Error(err)
			}
		}
	})
}
