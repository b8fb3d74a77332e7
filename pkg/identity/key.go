package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Sizes of files, in bytes. A P-256 key in PEM has about 240, a chain below 9000.
const (
	maxKeyFile   = 4 << 10
	maxChainFile = 32 << 10
)

const (
	pemKey         = "PRIVATE KEY"
	pemCertificate = "CERTIFICATE"
)

// NewKey makes a P-256 key.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

// ParticipantOf returns peer_sub: SHA-256 of the key's SubjectPublicKeyInfo in
// DER. Every key that this package makes or accepts is P-256; another one is a
// mistake of the program, and panics.
func ParticipantOf(pub *ecdsa.PublicKey) auction.Participant {
	return auction.Participant(keyHash(pub))
}

func keyHash(pub *ecdsa.PublicKey) auction.Hash {
	if pub == nil || pub.Curve != elliptic.P256() {
		panic("identity: not a P-256 key")
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic("identity: a P-256 key without a point")
	}
	return sha256.Sum256(der)
}

// EncodeKey returns the key as PKCS#8 in PEM.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// ParseKey reads what EncodeKey wrote: one PEM block, P-256, nothing after it.
func ParseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemKey || len(rest) != 0 || len(block.Headers) != 0 {
		return nil, errors.New("parse key: not one PEM block of type " + pemKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The parser's text could quote key bytes.
		return nil, errors.New("parse key: not PKCS#8")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("parse key: not a P-256 key")
	}
	return key, nil
}

// LoadKey reads a private key file. It refuses one that users outside the
// file's group may read, or that the group may write; group read is let pass,
// since Kubernetes mounts a secret for a pod's group in this way.
func LoadKey(path string) (*ecdsa.PrivateKey, error) {
	return LoadLockedKey(path, "")
}

// LoadLockedKey reads a private key file as [LoadKey] does, which may be encrypted
// with the passphrase: it is then what age -p makes of such a file, in either of
// age's two forms. An empty passphrase reads only files that are not encrypted.
func LoadLockedKey(path, passphrase string) (*ecdsa.PrivateKey, error) {
	data, err := LoadLockedSecret(path, passphrase)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	return ParseKey(data)
}

// LoadLockedSecret reads any other small file in the way of [LoadLockedKey].
func LoadLockedSecret(path, passphrase string) ([]byte, error) {
	data, err := LoadSecret(path, maxKeyFile)
	if err != nil || !locked(data) {
		return data, err
	}
	if passphrase == "" {
		return nil, fmt.Errorf("%s is encrypted, and there is no passphrase", path)
	}
	if data, err = unlock(data, passphrase); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// SaveKey writes a new private key file with mode 0600. An existing file is
// never touched: the error is then fs.ErrExist.
func SaveKey(path string, key *ecdsa.PrivateKey) error {
	data, err := EncodeKey(key)
	if err != nil {
		return err
	}
	return WriteNew(path, data, 0o600)
}

// LoadSecret reads a file of at most limit bytes under the rule of [LoadKey].
func LoadSecret(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("%s has mode %04o: others could use it; set it to 0600", path, mode)
	}
	return readBounded(file, limit)
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d bytes", limit)
	}
	return data, nil
}

// WriteNew makes a file whole or not at all, and durable, and never replaces
// one: if path exists the error is fs.ErrExist. The link is what makes it so: a
// process that dies on the way leaves at most a stray temporary file.
func WriteNew(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(writeSync(tmp, data, mode), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(dir)
}

func writeSync(file *os.File, data []byte, mode os.FileMode) error {
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// EncodeChain returns certificates as PEM, in their order.
func EncodeChain(chain [][]byte) []byte {
	var out []byte
	for _, der := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})...)
	}
	return out
}

// ParseChain reads PEM certificates, at most three, and nothing but them. It
// verifies nothing: see [Verifier].
func ParseChain(data []byte) ([][]byte, error) {
	var chain [][]byte
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil || block.Type != pemCertificate || len(block.Headers) != 0 {
			return nil, errors.New("parse chain: not PEM certificates alone")
		}
		if len(chain) == maxChain {
			return nil, fmt.Errorf("parse chain: more than %d certificates", maxChain)
		}
		chain, data = append(chain, block.Bytes), rest
	}
	if len(chain) == 0 {
		return nil, errors.New("parse chain: no certificate")
	}
	return chain, nil
}

// LoadChain reads a file of PEM certificates: see [ParseChain].
func LoadChain(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load chain: %w", err)
	}
	defer file.Close()
	data, err := readBounded(file, maxChainFile)
	if err != nil {
		return nil, fmt.Errorf("load chain: %w", err)
	}
	return ParseChain(data)
}
