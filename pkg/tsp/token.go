package tsp

import (
	"bytes"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

// parsedToken is a token taken apart, not verified. Its slices alias the token.
type parsedToken struct {
	info      []byte // TSTInfo, DER
	sid       []byte // IssuerAndSerialNumber, a DER element
	attrs     []byte // the signed attributes, tagged as they are carried
	digest    []byte // the messageDigest attribute's value
	ess       []byte // the signingCertificateV2 attribute, a DER element
	signature []byte // ECDSA-Sig-Value, DER
	tst       tstInfo
}

func badStamp(detail string) error { return auction.Refuse(auction.CodeBadStamp, "%s", detail) }

// parseToken reads a token of the profile without certificates. It accepts one
// encoding only, so that a token's bytes can stand for it.
func parseToken(der []byte) (parsedToken, error) {
	if len(der) > MaxToken {
		return parsedToken{}, badStamp("a time stamp is larger than its profile allows")
	}
	var t parsedToken
	var signerInfo cryptobyte.String
	if !t.readSignedData(der, &signerInfo) || !t.readSignerInfo(signerInfo) || !t.readSignedAttrs() {
		return parsedToken{}, badStamp("a time stamp is not a signed token of the profile")
	}
	if !t.tst.read(t.info) {
		return parsedToken{}, badStamp("a time stamp's content is not of the profile")
	}
	return t, nil
}

// readSignedData reads ContentInfo and SignedData (RFC 5652 sections 3, 5.1).
func (t *parsedToken) readSignedData(der []byte, signerInfo *cryptobyte.String) bool {
	var contentInfo, wrapped, signed, encap, content, signers cryptobyte.String
	input := cryptobyte.String(der)
	return input.ReadASN1(&contentInfo, cbasn1.SEQUENCE) && input.Empty() &&
		readConstant(&contentInfo, derOIDSignedData) &&
		contentInfo.ReadASN1(&wrapped, tag0.Constructed()) && contentInfo.Empty() &&
		wrapped.ReadASN1(&signed, cbasn1.SEQUENCE) && wrapped.Empty() &&
		readConstant(&signed, derSignedDataStart) &&
		signed.ReadASN1(&encap, cbasn1.SEQUENCE) &&
		readConstant(&encap, derOIDTSTInfo) &&
		encap.ReadASN1(&content, tag0.Constructed()) && encap.Empty() &&
		content.ReadASN1Bytes(&t.info, cbasn1.OCTET_STRING) && content.Empty() &&
		// No certificates and no CRLs: what is not signed could be changed.
		signed.ReadASN1(&signers, cbasn1.SET) && signed.Empty() &&
		signers.ReadASN1(signerInfo, cbasn1.SEQUENCE) && signers.Empty()
}

// readSignerInfo reads RFC 5652 section 5.3, without unsigned attributes.
func (t *parsedToken) readSignerInfo(in cryptobyte.String) bool {
	var sid, attrs cryptobyte.String
	ok := readConstant(&in, derSignerInfoStart) &&
		in.ReadASN1Element(&sid, cbasn1.SEQUENCE) &&
		readConstant(&in, derAlgSHA256) &&
		in.ReadASN1Element(&attrs, tag0.Constructed()) &&
		readConstant(&in, derAlgECDSA) &&
		in.ReadASN1Bytes(&t.signature, cbasn1.OCTET_STRING) && in.Empty()
	t.sid, t.attrs = sid, attrs
	return ok
}

// readSignedAttrs reads the three attributes in their order.
func (t *parsedToken) readSignedAttrs() bool {
	var in, digest, value, ess cryptobyte.String
	outer := cryptobyte.String(t.attrs)
	ok := outer.ReadASN1(&in, tag0.Constructed()) &&
		readConstant(&in, derAttrContentType) &&
		in.ReadASN1(&digest, cbasn1.SEQUENCE) &&
		readConstant(&digest, derOIDMessageDigest) &&
		digest.ReadASN1(&value, cbasn1.SET) && digest.Empty() &&
		value.ReadASN1Bytes(&t.digest, cbasn1.OCTET_STRING) && value.Empty() &&
		in.ReadASN1Element(&ess, cbasn1.SEQUENCE) && in.Empty()
	t.ess = ess
	return ok
}

// read parses what marshal wrote. The imprint must be SHA-256.
func (t *tstInfo) read(der []byte) bool {
	var seq, policy, imprint, when, accuracy cryptobyte.String
	var version int64
	var ordering bool
	input := cryptobyte.String(der)
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1Element(&policy, cbasn1.OBJECT_IDENTIFIER) ||
		!seq.ReadASN1Element(&imprint, cbasn1.SEQUENCE) ||
		!readUnsigned(&seq, &t.serial) ||
		!seq.ReadASN1(&when, cbasn1.GeneralizedTime) ||
		!seq.ReadASN1(&accuracy, cbasn1.SEQUENCE) ||
		!seq.ReadASN1Boolean(&ordering) || !ordering {
		return false
	}
	t.policy, t.messageImprint = policy, imprint
	if seq.PeekASN1Tag(cbasn1.INTEGER) && !readUnsigned(&seq, &t.nonce) {
		return false
	}
	var ok bool
	if t.time, ok = parseGenTime(when); !ok {
		return false
	}
	t.accuracy, ok = parseAccuracy(accuracy)
	return ok && seq.Empty()
}

// readUnsigned reads an INTEGER from 1 to 2^160-1.
func readUnsigned(s *cryptobyte.String, out *[]byte) bool {
	return s.ReadASN1Integer(out) && (*out)[0] != 0 && len(*out) <= maxNonce
}

// parseAccuracy reads RFC 3161's Accuracy, in which a part that is zero is left out.
func parseAccuracy(in cryptobyte.String) (time.Duration, bool) {
	var s, ms, us int64
	if in.PeekASN1Tag(cbasn1.INTEGER) && (!in.ReadASN1Integer(&s) || s < 1 || s > 60) ||
		in.PeekASN1Tag(tag0) && (!in.ReadASN1Int64WithTag(&ms, tag0) || ms < 1 || ms > 999) ||
		in.PeekASN1Tag(tag1) && (!in.ReadASN1Int64WithTag(&us, tag1) || us < 1 || us > 999) {
		return 0, false
	}
	d := time.Duration(s)*time.Second + time.Duration(ms)*time.Millisecond + time.Duration(us)*time.Microsecond
	return d, in.Empty() && d > 0 && d <= maxAccuracy
}

// maxTime is the first time that a JSON number does not hold exactly.
const maxTime = auction.Time(1) << 53

// parseGenTime reads a GeneralizedTime of DER with at most six digits of a
// fraction: YYYYMMDDhhmmss[.f]Z, from 1970 on.
func parseGenTime(s []byte) (auction.Time, bool) {
	const whole = len("20060102150405")
	if len(s) < whole+1 || len(s) > whole+len(".999999Z") || s[len(s)-1] != 'Z' {
		return 0, false
	}
	micros, ok := parseFraction(s[whole : len(s)-1])
	if !ok {
		return 0, false
	}
	var fields [7]int // two digits each: century, year, month, day, hour, minute, second
	for i := range fields {
		hi, lo := s[2*i]-'0', s[2*i+1]-'0'
		if hi > 9 || lo > 9 {
			return 0, false
		}
		fields[i] = int(hi)*10 + int(lo)
	}
	year, month, day := fields[0]*100+fields[1], time.Month(fields[2]), fields[3]
	t := time.Date(year, month, day, fields[4], fields[5], fields[6], 0, time.UTC)
	// time.Date normalizes a 30 February or a 24:00: such a time is none.
	y, m, d := t.Date()
	hour, minute, second := t.Clock()
	if y != year || m != month || d != day || hour != fields[4] || minute != fields[5] || second != fields[6] {
		return 0, false
	}
	at := auction.TimeOf(t) + micros
	return at, at >= 0 && at < maxTime
}

// parseFraction reads "" or a point with one to six digits, the last not zero.
func parseFraction(s []byte) (auction.Time, bool) {
	if len(s) == 0 {
		return 0, true
	}
	digits := s[1:]
	if s[0] != '.' || len(digits) == 0 || digits[len(digits)-1] == '0' {
		return 0, false
	}
	micros := auction.Time(0)
	for i := range len("999999") {
		micros *= 10
		if i >= len(digits) {
			continue
		}
		d := digits[i] - '0'
		if d > 9 {
			return 0, false
		}
		micros += auction.Time(d)
	}
	return micros, true
}

// readConstant reads bytes that are the same in every token.
func readConstant(s *cryptobyte.String, want []byte) bool {
	if !bytes.HasPrefix(*s, want) {
		return false
	}
	return s.Skip(len(want))
}
