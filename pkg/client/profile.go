package client

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Profile is a participant's directory, readable by its owner alone:
//
//	house.json            the house that is pinned
//	key.pem               the permanent key
//	chain.pem             the certificate, while logged in
//	credential            the identity credential (SD-JWT)
//	disclosure/PSEUDONYM  private disclosure key of a command
//	pending/PSEUDONYM     a command that was sent and not answered yet
//	receipts/PSEUDONYM    a command that was committed, with its receipt
//	closed/AUCTION        how an auction closed, verified
//	junk/AUCTION.KIND     a private message that did not hold, as a proof
//	house.log             the public house log, as far as it was verified
//
// Everything is written whole or not at all, and before what depends on it.
type Profile struct {
	dir   string
	house House
	key   *ecdsa.PrivateKey
}

const (
	maxChainFile = 16 << 10
	maxRecord    = 256 << 10
)

// folders are those of a profile.
var folders = []string{"disclosure", "pending", "receipts", "closed", "junk"}

// CreateProfile makes a directory with a new key. It refuses to touch a profile
// that is there.
func CreateProfile(dir string, house House) (*Profile, error) {
	if err := house.check(); err != nil {
		return nil, err
	}
	for _, sub := range folders {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "house.json")); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds a profile already: %w", dir, cmp.Or(err, fs.ErrExist))
	}
	key, err := firstKey(filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	p := &Profile{dir: dir, house: house, key: key}
	return p, p.saveHouse()
}

// firstKey makes a key, or takes the one of a creation that was interrupted
// before it named the house.
func firstKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := identity.LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = identity.NewKey(); err != nil {
		return nil, err
	}
	return key, identity.SaveKey(path, key)
}

// OpenProfile opens a directory that CreateProfile made.
func OpenProfile(dir string) (*Profile, error) {
	house, err := LoadHouse(filepath.Join(dir, "house.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a profile: enrol first: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	key, err := identity.LoadKey(filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	return &Profile{dir: dir, house: house, key: key}, nil
}

// House returns the pinned house.
func (p *Profile) House() House { return p.house }

// Relocate takes the URLs of a house that has moved: the same house, under the
// root that is pinned.
func (p *Profile) Relocate(h House) error {
	if err := h.check(); err != nil {
		return err
	}
	theirs, err := h.root()
	if err != nil {
		return err
	}
	ours, err := p.house.root()
	if err != nil {
		return err
	}
	if h.House != p.house.House || !bytes.Equal(theirs, ours) {
		return auction.Refuse(auction.CodeNotAllowed, "the profile is of another house, or its root is another")
	}
	h.Root, h.LogKey = p.house.Root, p.house.LogKey
	p.house = h
	return p.saveHouse()
}

// Dir returns the directory.
func (p *Profile) Dir() string { return p.dir }

// Participant returns the permanent identifier of the profile's key.
func (p *Profile) Participant() auction.Participant { return identity.ParticipantOf(&p.key.PublicKey) }

// Enrolled reports whether there is a certificate: after an enrolment and
// before a logout.
func (p *Profile) Enrolled() bool {
	_, err := os.Stat(filepath.Join(p.dir, "chain.pem"))
	return err == nil
}

// Pending returns the commands that were sent and not answered yet.
func (p *Profile) Pending() ([]Prepared, error) {
	return records[Prepared](p, "pending")
}

// Closings returns how auctions closed that one sold or won in, as far as one
// has verified it: see [Client.Closed].
func (p *Profile) Closings() ([]Closing, error) {
	return records[Closing](p, "closed")
}

func records[T any](p *Profile, folder string) ([]T, error) {
	names, err := p.names(folder)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(names))
	for i, name := range names {
		if err := p.load(folder+"/"+name, &out[i]); err != nil {
			return nil, fmt.Errorf("read %s of the profile: %w", folder, err)
		}
	}
	return out, nil
}

// Thumbprint returns the SHA-256 of the profile's certificate.
func (p *Profile) Thumbprint() (auction.Hash, error) {
	chain, err := p.chain()
	if err != nil {
		return auction.Hash{}, err
	}
	if chain == nil {
		return auction.Hash{}, errNotEnrolled
	}
	return sha256.Sum256(chain[0]), nil
}

// Logout removes the certificate and the credential. The keys stay: with them
// come what was bid and won. forget removes all that the profile keeps, and the
// directory if it holds nothing else.
func (p *Profile) Logout(forget bool) error {
	err := errors.Join(p.remove("chain.pem"), p.remove("credential"))
	if !forget {
		return err
	}
	for _, folder := range folders {
		err = errors.Join(err, os.RemoveAll(filepath.Join(p.dir, folder)))
	}
	// The house file goes last: after a crash the key is gone, not the house alone.
	err = errors.Join(err, p.remove("house.log"), p.remove("key.pem"), p.remove("house.json"))
	if rest, readErr := os.ReadDir(p.dir); readErr == nil && len(rest) == 0 {
		err = errors.Join(err, os.Remove(p.dir))
	}
	return err
}

func (p *Profile) saveHouse() error {
	data, err := wire.Marshal(p.house)
	if err != nil {
		return err
	}
	return p.write("house.json", data)
}

// Chain returns the certificate chain in DER, nil if there is none.
func (p *Profile) chain() ([][]byte, error) {
	chain, err := identity.LoadChain(filepath.Join(p.dir, "chain.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return chain, err
}

// Credential returns the identity credential.
func (p *Profile) credential() (string, error) {
	data, err := p.read("credential", maxChainFile)
	return string(data), err
}

func (p *Profile) saveEnrolment(chain [][]byte, credential string) error {
	if err := p.write("credential", []byte(credential)); err != nil {
		return err
	}
	return p.write("chain.pem", identity.EncodeChain(chain))
}

// newDisclosureKey makes the key that the counterpart will seal to, and keeps
// it before anything names it. One that is there stays: a command that bears it
// may be committed.
func (p *Profile) newDisclosureKey(name auction.Pseudonym, kem hpke.KEM) ([]byte, error) {
	if key, err := p.disclosureKey(name, kem); err == nil {
		return key.PublicKey().Bytes(), nil
	}
	key, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	private, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), p.write("disclosure/"+string(name), private)
}

func (p *Profile) disclosureKey(name auction.Pseudonym, kem hpke.KEM) (hpke.PrivateKey, error) {
	data, err := p.read("disclosure/"+string(name), maxRecord)
	if err != nil {
		return nil, err
	}
	return kem.NewPrivateKey(data)
}

// save keeps a record as JSON; load reads it.
func (p *Profile) save(name string, record any) error {
	data, err := wire.Marshal(record)
	if err != nil {
		return err
	}
	return p.write(name, data)
}

func (p *Profile) load(name string, record any) error {
	data, err := p.read(name, maxRecord)
	if err != nil {
		return err
	}
	return wire.Unmarshal(data, record)
}

// names lists the records below a folder.
func (p *Profile) names(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(p.dir, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// has reports whether there is a record.
func (p *Profile) has(name string) bool {
	_, err := os.Stat(filepath.Join(p.dir, name))
	return err == nil
}

func (p *Profile) read(name string, limit int64) ([]byte, error) {
	return readFile(filepath.Join(p.dir, name), limit)
}

// write replaces a file atomically and durably.
func (p *Profile) write(name string, data []byte) error {
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { // a folder that an older program did not make
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func (p *Profile) remove(name string) error {
	err := os.Remove(filepath.Join(p.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
