package ca

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/identity"
)

// Names of what Bootstrap makes, beside tsa-<authority>.key and .pem (see TSAFiles).
const (
	FileRootKey       = "root.key" // to be taken offline: it is needed again only to make more
	FileRoot          = "root.pem"
	FileKey           = "ca.key"
	FileCertificate   = "ca.pem"
	FileTokenKey      = "token.key"
	FileCredentialKey = "credential.key"
	FileDMSKey        = "dms.key"
	FileDMS           = "dms.pem"
	FileLogKey        = "log.key" // a signer of signed notes (C2SP), Ed25519; one line, with no line end
	FileLog           = "log.pub" // its verifier
	FileOperatorToken = "operator.token"
)

// Lives of what the root signs. Leaves of the services end long before it does,
// so that a house must learn to replace them.
const (
	rootLife         = 10 * 365 * 24 * time.Hour
	intermediateLife = 5 * 365 * 24 * time.Hour
	serviceLife      = 2 * 365 * 24 * time.Hour
)

// maxMaterial bounds a file that Bootstrap reads again, in bytes.
const maxMaterial = 32 << 10

// BootstrapConfig says what keys a house needs.
type BootstrapConfig struct {
	House         string
	Authorities   []string  // names of its time authorities, at least one
	SimulatedTime bool      // they stamp simulated time
	Now           time.Time // when certificates begin
}

// Material is a set of keys and certificates by file name.
type Material map[string]Item

// An Item is the content of one file.
type Item struct {
	Data   []byte
	Secret bool // for its owner alone
}

// order is the one in which files are written: whatever a file needs is there
// before it, so that a crash at any point leaves what can be completed.
func (m Material) order() []string {
	rank := func(name string) int {
		switch {
		case m[name].Secret:
			return 0
		case name == FileRoot:
			return 1
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// TSAFiles returns the names of a time authority's key and certificate. Those
// for simulated time are others, so that none is ever taken for both.
func TSAFiles(authority string, simulated bool) (key, certificate string) {
	name := "tsa-" + authority
	if simulated {
		name += "-simulated"
	}
	return name + ".key", name + ".pem"
}

// WithFiles returns the configuration with its files as Bootstrap names them in dir.
func (c Config) WithFiles(dir string) Config {
	in := func(name string) string { return filepath.Join(dir, name) }
	c.Root, c.Certificate, c.Key = in(FileRoot), in(FileCertificate), in(FileKey)
	c.TokenKey, c.CredentialKey = []string{in(FileTokenKey)}, []string{in(FileCredentialKey)}
	c.OperatorToken = in(FileOperatorToken)
	return c
}

// Bootstrap makes what a house lacks of keys and certificates in a folder. It never
// replaces a file, so it can be run again: after a crash it goes on where it was, and
// with another authority it adds that one's. What it finds must be the house's own.
func Bootstrap(dir string, cfg BootstrapConfig) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	have, err := load(dir)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	all, err := Complete(have, cfg)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	for _, name := range all.order() {
		if _, there := have[name]; there {
			continue
		}
		mode := os.FileMode(0o644)
		if all[name].Secret {
			mode = 0o600
		}
		if err := identity.WriteNew(filepath.Join(dir, name), all[name].Data, mode); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	return nil
}

// load reads what is there already.
func load(dir string) (Material, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	have := Material{}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.Type().IsRegular() || strings.HasPrefix(name, ".") {
			continue
		}
		item := Item{}
		path := filepath.Join(dir, name)
		switch filepath.Ext(name) {
		case ".key", ".token":
			item.Secret = true
			item.Data, err = identity.LoadSecret(path, maxMaterial)
		case ".pem", ".pub", ".json":
			item.Data, err = os.ReadFile(path)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		have[name] = item
	}
	return have, nil
}

// Complete returns have with what the house lacks. It keeps every item as it
// is, and refuses those that do not belong together.
func Complete(have Material, cfg BootstrapConfig) (Material, error) {
	if err := identity.CheckName(cfg.House); err != nil {
		return nil, err
	}
	if len(cfg.Authorities) == 0 {
		return nil, errors.New("a house needs a time authority")
	}
	m := &maker{material: maps.Clone(have), cfg: cfg}
	if m.material == nil {
		m.material = Material{}
	}
	m.makeRoot()
	m.makeIntermediate()
	m.leaf(FileDMSKey, FileDMS, identity.Profile{Role: identity.RoleDMS})
	for _, authority := range cfg.Authorities {
		key, cert := TSAFiles(authority, cfg.SimulatedTime)
		m.leaf(key, cert, identity.Profile{Role: identity.RoleTSA, Authority: authority, Simulated: cfg.SimulatedTime})
	}
	m.key(FileTokenKey)
	m.key(FileCredentialKey)
	m.makeLogKey()
	m.add(FileOperatorToken, true, func() ([]byte, error) { return []byte(rand.Text()), nil })
	m.makePolicy()
	return m.material, m.err
}

// maker adds to material; after the first error it does nothing more.
type maker struct {
	cfg      BootstrapConfig
	material Material
	verifier *identity.Verifier
	err      error
}

func (m *maker) has(name string) bool {
	_, ok := m.material[name]
	return ok
}

// add makes what is not there.
func (m *maker) add(name string, secret bool, make func() ([]byte, error)) {
	if m.err != nil || m.has(name) {
		return
	}
	data, err := make()
	if err != nil {
		m.err = fmt.Errorf("make %s: %w", name, err)
		return
	}
	m.material[name] = Item{Data: data, Secret: secret}
}

// key returns the key of that name, and makes it if it is not there.
func (m *maker) key(name string) *ecdsa.PrivateKey {
	m.add(name, true, func() ([]byte, error) {
		key, err := identity.NewKey()
		if err != nil {
			return nil, err
		}
		return identity.EncodeKey(key)
	})
	if m.err != nil {
		return nil
	}
	key, err := identity.ParseKey(m.material[name].Data)
	if err != nil {
		m.err = fmt.Errorf("read %s: %w", name, err)
	}
	return key
}

// certificate adds the certificate of a key that is there, or is made now. One
// without its key was put there by somebody else.
func (m *maker) certificate(name, keyName string, make func(*ecdsa.PrivateKey) ([][]byte, error)) {
	if m.err == nil && m.has(name) && !m.has(keyName) {
		m.err = fmt.Errorf("%s is there without %s", name, keyName)
	}
	key := m.key(keyName)
	m.add(name, false, func() ([]byte, error) {
		chain, err := make(key)
		if err != nil {
			return nil, err
		}
		return identity.EncodeChain(chain), nil
	})
}

func (m *maker) chain(name string) [][]byte {
	if m.err != nil {
		return nil
	}
	chain, err := identity.ParseChain(m.material[name].Data)
	if err != nil {
		m.err = fmt.Errorf("read %s: %w", name, err)
	}
	return chain
}

func (m *maker) begin() time.Time { return m.cfg.Now.Add(-backdate) }

// makeRoot makes the root. It alone may be there without its key: that is where
// a root's key ought to be.
func (m *maker) makeRoot() {
	if !m.has(FileRoot) {
		m.certificate(FileRoot, FileRootKey, func(key *ecdsa.PrivateKey) ([][]byte, error) {
			der, err := identity.NewRoot(key, m.cfg.House, m.begin(), m.cfg.Now.Add(rootLife))
			return [][]byte{der}, err
		})
	}
	chain := m.chain(FileRoot)
	if m.err == nil {
		m.verifier, m.err = identity.NewVerifier(m.cfg.House, chain[0])
	}
}

// root returns the root as an issuer, for which its key is needed.
func (m *maker) root() (*identity.Issuer, error) {
	if !m.has(FileRootKey) {
		return nil, fmt.Errorf("%s is needed to sign it", FileRootKey)
	}
	key, chain := m.key(FileRootKey), m.chain(FileRoot)
	if m.err != nil {
		return nil, m.err
	}
	return identity.NewIssuer(chain, key)
}

func (m *maker) makeIntermediate() {
	m.certificate(FileCertificate, FileKey, func(key *ecdsa.PrivateKey) ([][]byte, error) {
		root, err := m.root()
		if err != nil {
			return nil, err
		}
		der, err := root.NewIntermediate(&key.PublicKey, m.cfg.House, m.begin(), m.cfg.Now.Add(intermediateLife))
		return [][]byte{der}, err
	})
	key, chain := m.key(FileKey), m.chain(FileCertificate)
	if m.err != nil {
		return
	}
	if _, err := tryIssuer(chain, key, m.cfg.House, m.verifier); err != nil {
		m.err = fmt.Errorf("check %s: %w", FileCertificate, err)
	}
}

// leaf makes the certificate of a service, or checks that the one that is there
// is this house's, in this role, and of this key.
func (m *maker) leaf(keyName, name string, profile identity.Profile) {
	profile.House = m.cfg.House
	profile.NotBefore, profile.NotAfter = m.begin(), m.cfg.Now.Add(serviceLife)
	m.certificate(name, keyName, func(key *ecdsa.PrivateKey) ([][]byte, error) {
		root, err := m.root()
		if err != nil {
			return nil, err
		}
		return root.Issue(&key.PublicKey, profile)
	})
	key, chain := m.key(keyName), m.chain(name)
	if m.err != nil {
		return
	}
	// One that has ended is still the house's: to replace it is not for here.
	cert, err := m.verifier.VerifyEnded(chain, profile.Role, m.cfg.Now, rootLife)
	switch {
	case err != nil:
		m.err = fmt.Errorf("check %s: %w", name, err)
	case !key.PublicKey.Equal(cert.Key):
		m.err = fmt.Errorf("check %s: it is not of the key in %s", name, keyName)
	case cert.Authority != profile.Authority || cert.Simulated != profile.Simulated:
		m.err = fmt.Errorf("check %s: it is another time authority's", name)
	}
}

// makeLogKey makes the key that signs heads and receipts. Its verifier follows
// from it.
func (m *maker) makeLogKey() {
	if m.err == nil && m.has(FileLog) && !m.has(FileLogKey) {
		m.err = fmt.Errorf("%s is there without %s", FileLog, FileLogKey)
	}
	m.add(FileLogKey, true, func() ([]byte, error) {
		secret, _, err := note.GenerateKey(rand.Reader, m.cfg.House)
		return []byte(secret), err
	})
	if m.err != nil {
		return
	}
	verifier, err := verifierOf(string(m.material[FileLogKey].Data), m.cfg.House)
	if err != nil {
		m.err = fmt.Errorf("read %s: %w", FileLogKey, err)
		return
	}
	m.add(FileLog, false, func() ([]byte, error) { return []byte(verifier), nil })
	if m.err == nil && string(m.material[FileLog].Data) != verifier {
		m.err = fmt.Errorf("check %s: it is not of the key in %s", FileLog, FileLogKey)
	}
}

// verifierOf derives the verifier key of a signer key that has the house's name.
func verifierOf(secret, house string) (string, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return "", err
	}
	if signer.Name() != house {
		return "", errors.New("it is another house's")
	}
	// PRIVATE+KEY+name+hash+base64(algorithm, seed); NewSigner has checked it.
	data, err := base64.StdEncoding.DecodeString(strings.SplitN(secret, "+", 5)[4])
	if err != nil {
		return "", err
	}
	public := ed25519.NewKeyFromSeed(data[1:])[ed25519.SeedSize:]
	return note.NewEd25519VerifierKey(house, ed25519.PublicKey(public))
}
