package tsp

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Sizes, in bytes. A token of this profile has about 600 bytes; with the
// certificates of its authority, about 1400.
const (
	MaxToken    = 1024 // of a token as [Authority.Verify] takes it, without certificates
	MaxResponse = 8192 // of a TimeStampResp
)

// FailureInfo is a bit of PKIFailureInfo (RFC 3161 2.4.2).
type FailureInfo int

const (
	BadAlg              FailureInfo = 0  // an algorithm that is not supported
	BadRequest          FailureInfo = 2  // not permitted or not supported
	BadDataFormat       FailureInfo = 5  // malformed
	TimeNotAvailable    FailureInfo = 14 // the time source is out of order
	UnacceptedPolicy    FailureInfo = 15 // not the policy of this authority
	UnacceptedExtension FailureInfo = 16 // an extension that is not supported
	SystemFailure       FailureInfo = 25 // a defect of the authority
)

// failures are the bits that are known, by their names in RFC 3161.
var failures = []struct {
	info FailureInfo
	name string
}{
	{BadAlg, "badAlg"},
	{BadRequest, "badRequest"},
	{BadDataFormat, "badDataFormat"},
	{TimeNotAvailable, "timeNotAvailable"},
	{UnacceptedPolicy, "unacceptedPolicy"},
	{UnacceptedExtension, "unacceptedExtension"},
	{SystemFailure, "systemFailure"},
}

// String names the bit as RFC 3161 does; an unknown one is "unknown". The names
// are a closed set, fit for the labels of metrics.
func (f FailureInfo) String() string {
	for _, known := range failures {
		if known.info == f {
			return known.name
		}
	}
	return "unknown"
}

// A Failure is an authority's refusal to stamp.
type Failure struct {
	Info FailureInfo
	Text string // a sentence for people
}

func (f *Failure) Error() string { return "time stamp refused: " + f.Info.String() + ": " + f.Text }

func fail(info FailureInfo, text string) *Failure { return &Failure{Info: info, Text: text} }

// PKIStatus values (RFC 3161 2.4.2).
const (
	statusGranted   = 0
	statusRejection = 2
)

// marshalGranted wraps a token in a TimeStampResp.
func marshalGranted(token []byte) []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(statusGranted) })
			b.AddBytes(token)
		})
	})
}

// marshalFailure encodes a rejection.
func marshalFailure(f *Failure) []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(statusRejection)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(f.Text)) })
				})
				b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
					// A named bit list ends with its last 1 bit (X.690 11.2.2).
					bits := make([]byte, f.Info/8+1)
					bits[f.Info/8] = 1 << (7 - f.Info%8)
					b.AddUint8(uint8(7 - f.Info%8))
					b.AddBytes(bits)
				})
			})
		})
	})
}

// ParseResponse returns the token of a TimeStampResp that grants one. A
// response that refuses gives a *[Failure]; one that is malformed, another
// error. The token is not verified; it aliases der.
func ParseResponse(der []byte) (token []byte, err error) {
	if len(der) > MaxResponse {
		return nil, errors.New("parse time-stamp response: too large")
	}
	var response, info, content cryptobyte.String
	var status int64
	input := cryptobyte.String(der)
	if !input.ReadASN1(&response, cbasn1.SEQUENCE) || !input.Empty() ||
		!response.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&status) {
		return nil, errors.New("parse time-stamp response: malformed")
	}
	if status != statusGranted {
		if !response.Empty() {
			return nil, errors.New("parse time-stamp response: a refusal with a token")
		}
		return nil, parseFailure(info)
	}
	if !info.Empty() {
		return nil, errors.New("parse time-stamp response: granted with a failure")
	}
	if !response.ReadASN1Element(&content, cbasn1.SEQUENCE) || !response.Empty() {
		return nil, errors.New("parse time-stamp response: granted without one token")
	}
	return content, nil
}

// parseFailure reads what follows the status in a PKIStatusInfo. It does not
// pass on the free text, which is whatever the other side likes.
func parseFailure(info cryptobyte.String) error {
	var bits asn1.BitString
	if !info.SkipOptionalASN1(cbasn1.SEQUENCE) || !info.ReadASN1BitString(&bits) || !info.Empty() {
		return errors.New("parse time-stamp response: refused without a reason")
	}
	for _, known := range failures {
		if bits.At(int(known.info)) == 1 {
			return fail(known.info, "the authority gave no token")
		}
	}
	return errors.New("parse time-stamp response: refused for an unknown reason")
}
