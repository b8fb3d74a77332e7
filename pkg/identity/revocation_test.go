package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestRevocationList(t *testing.T) {
	h := newHouse(t, "demo")
	_, second := h.enrol(t, newTestKey(t))
	der := must[[]byte](t)(h.ca.NewRevocationList(7, epoch, epoch.Add(time.Hour), []Revoked{
		{Serial: second.Serial, At: epoch, Reason: ReasonKeyCompromise},
	}))
	list := must[*RevocationList](t)(h.verifier.RevocationList(der, h.intermediateDER, epoch))
	if list.Number != 7 || !list.NextUpdate.Equal(epoch.Add(time.Hour)) || !list.ThisUpdate.Equal(epoch) {
		t.Errorf("the list is not what was made: %+v", list)
	}
	wantCode(t, list.Check(h.participant, epoch), "")
	wantCode(t, list.Check(second, epoch), auction.CodeCertificateRevoked)
	wantCode(t, list.Check(h.participant, epoch.Add(time.Hour)), "")
	wantCode(t, list.Check(h.participant, epoch.Add(time.Hour+time.Second)), auction.CodeUnavailable)
	wantCode(t, list.Check(second, epoch.Add(2*time.Hour)), auction.CodeCertificateRevoked)
	wantCode(t, list.Check(newHouse(t, "demo").participant, epoch), auction.CodeUnavailable)

	empty := must[[]byte](t)(h.ca.NewRevocationList(8, epoch, epoch.Add(time.Hour), nil))
	wantCode(t, must[*RevocationList](t)(h.verifier.RevocationList(empty, h.intermediateDER, epoch)).Check(second, epoch), "")
}

func TestRevocationListRefuses(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	hour := epoch.Add(time.Hour)
	good := must[[]byte](t)(h.ca.NewRevocationList(1, epoch, hour, nil))
	raw := func(list x509.RevocationList) []byte {
		return must[[]byte](t)(x509.CreateRevocationList(rand.Reader, &list, h.ca.cert, h.caKey))
	}
	partial := pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x03, 0x81, 0x01, 0xff}}
	cases := map[string]struct{ list, issuer []byte }{
		"another root":          {must[[]byte](t)(other.ca.NewRevocationList(1, epoch, hour, nil)), other.intermediateDER},
		"another issuer":        {must[[]byte](t)(other.ca.NewRevocationList(1, epoch, hour, nil)), h.intermediateDER},
		"issued by the root":    {must[[]byte](t)(h.root.NewRevocationList(1, epoch, hour, nil)), h.rootDER},
		"issuer is a leaf":      {good, h.participantChain[0]},
		"issuer is not DER":     {good, []byte("x")},
		"trailing byte":         {append(bytes.Clone(good), 0), h.intermediateDER},
		"not DER":               {[]byte("x"), h.intermediateDER},
		"too large":             {make([]byte, maxRevocationList+1), h.intermediateDER},
		"from the future":       {must[[]byte](t)(h.ca.NewRevocationList(1, epoch.Add(time.Second), hour, nil)), h.intermediateDER},
		"partial":               {raw(x509.RevocationList{Number: big.NewInt(1), ThisUpdate: epoch, NextUpdate: hour, ExtraExtensions: []pkix.Extension{partial}}), h.intermediateDER},
		"number out of range":   {raw(x509.RevocationList{Number: new(big.Int).Lsh(big.NewInt(1), 60), ThisUpdate: epoch, NextUpdate: hour}), h.intermediateDER},
		"SHA-512":               {raw(x509.RevocationList{SignatureAlgorithm: x509.ECDSAWithSHA512, Number: big.NewInt(1), ThisUpdate: epoch, NextUpdate: hour}), h.intermediateDER},
		"changed, still parses": {func() []byte { b := bytes.Clone(good); b[len(b)-1] ^= 1; return b }(), h.intermediateDER},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := h.verifier.RevocationList(c.list, c.issuer, epoch)
			wantCode(t, err, auction.CodeBadCertificate)
		})
	}
	for _, serial := range []string{"", "xyz", "-5", "0"} {
		if _, err := h.ca.NewRevocationList(1, epoch, hour, []Revoked{{Serial: serial, At: epoch}}); err == nil {
			t.Errorf("serial %q: accepted", serial)
		}
	}
}
