package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Labels of what a handshake signs and derives; one purpose each.
const (
	labelHello = "sigilo/hello/v1" // the DMS's signature
	labelAuth  = "sigilo/auth/v1"  // the client's signature
	labelC2S   = "sigilo/c2s/v1"   // info of the context client to DMS
	labelS2C   = "sigilo/s2c/v1"   // info of the context DMS to client, and the export into it
)

// exportSize is the size of the secret that ties the second context to the first.
const exportSize = 32

// A transcript hashes the handshake's messages as they were sent.
type transcript struct{ sum hash.Hash }

func newTranscript() transcript { return transcript{sha256.New()} }

// add appends to the transcript.
func (t transcript) add(b []byte) { t.sum.Write(b) }

// bind returns label, a zero byte and the hash of the transcript so far.
func (t transcript) bind(label string) []byte {
	return t.sum.Sum(append([]byte(label), 0))
}

// infoS2C returns the info of the context DMS to client. The export from the
// context client to DMS makes it a secret of the two: see the package comment.
func (t transcript) infoS2C(c2s interface {
	Export(exporterContext string, length int) ([]byte, error)
},
) ([]byte, error) {
	secret, err := c2s.Export(labelS2C, exportSize)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return append(t.bind(labelS2C), secret...), nil
}

// sign signs the transcript so far. The signature is ASN.1 over P-256 and SHA-256.
func (t transcript) sign(random io.Reader, key crypto.Signer, label string) ([]byte, error) {
	digest := sha256.Sum256(t.bind(label))
	sig, err := key.Sign(random, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign handshake: %w", err)
	}
	return sig, nil
}

// verify checks a signature that sign made. It refuses with bad_certificate a
// key of another curve, with bad_signature a signature over anything else.
func (t transcript) verify(key *ecdsa.PublicKey, label string, sig []byte) error {
	if key == nil || key.Curve != elliptic.P256() {
		return auction.Refuse(auction.CodeBadCertificate, "the certificate's key is not on P-256")
	}
	digest := sha256.Sum256(t.bind(label))
	if !ecdsa.VerifyASN1(key, digest[:], sig) {
		return auction.Refuse(auction.CodeBadSignature, "the handshake is not signed by the certificate's key")
	}
	return nil
}

// checkSigner reports a long-term key or chain that the other side would refuse.
func checkSigner(key crypto.Signer, chain [][]byte) error {
	if key == nil {
		return errors.New("no signing key")
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return errors.New("signing key is not on P-256")
	}
	if len(chain) == 0 || len(chain) > maxChain {
		return fmt.Errorf("chain has %d certificates, not 1 to %d", len(chain), maxChain)
	}
	for _, der := range chain {
		if len(der) == 0 || len(der) > maxCert {
			return fmt.Errorf("certificate has %d bytes, not 1 to %d", len(der), maxCert)
		}
	}
	return nil
}
