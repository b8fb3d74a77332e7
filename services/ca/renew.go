package ca

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

const (
	// renewBefore is how long before its end a service's certificate is replaced:
	// weeks for somebody to notice that it was not.
	renewBefore = 60 * 24 * time.Hour
	// succeedBefore is how long before the end of a time authority's certificate
	// its successor is made, and listed in the policy.
	succeedBefore = 180 * 24 * time.Hour
	// successorRest is how long a successor waits. An auction is judged by the
	// policy that it was listed under, and lasts up to 90 days: by then no open
	// auction has a policy that does not list the successor.
	successorRest = 120 * 24 * time.Hour
	// lastMoment is when a successor takes over whatever its age.
	lastMoment = 48 * time.Hour
	// maxListed is how many certificates of one authority a policy lists.
	maxListed = 4
)

// successorFile is the name of the certificate that will replace a time
// authority's. Once it has, the two are the same.
func successorFile(certificate string) string {
	return strings.TrimSuffix(certificate, ".pem") + "-next.pem"
}

// Renew returns material that Complete returned with certificates in place of
// those that end soon, of the same keys, and with the policy that follows. due
// names the certificates that should be replaced and cannot be, because the
// root's key is not there. Keys stay as they are.
//
// A time authority's certificate is replaced in two steps, months apart: first
// its successor is made and listed in the policy, and later it takes over.
func Renew(have Material, cfg BootstrapConfig) (renewed Material, due []string, err error) {
	r := &renewer{maker: maker{material: maps.Clone(have), cfg: cfg}}
	r.makeRoot()
	r.service(FileDMSKey, FileDMS, identity.Profile{Role: identity.RoleDMS})
	for _, authority := range cfg.Authorities {
		r.authority(authority)
	}
	r.policy()
	return r.material, r.due, r.err
}

type renewer struct {
	maker
	due []string
}

// read returns the certificate in a file, ended or not.
func (r *renewer) read(name string, role identity.Role) *identity.Certificate {
	chain := r.chain(name)
	if r.err != nil {
		return nil
	}
	cert, err := r.verifier.VerifyEnded(chain, role, r.cfg.Now, rootLife)
	if err != nil {
		r.err = fmt.Errorf("check %s: %w", name, err)
	}
	return cert
}

// issue puts a new certificate of a key that is there into a file.
func (r *renewer) issue(keyName, name string, profile identity.Profile) {
	if !r.has(FileRootKey) {
		r.due = append(r.due, name)
		return
	}
	delete(r.material, name)
	profile.House = r.cfg.House
	profile.NotBefore, profile.NotAfter = r.begin(), r.cfg.Now.Add(serviceLife)
	r.certificate(name, keyName, func(key *ecdsa.PrivateKey) ([][]byte, error) {
		root, err := r.root()
		if err != nil {
			return nil, err
		}
		return root.Issue(&key.PublicKey, profile)
	})
}

func (r *renewer) service(keyName, name string, profile identity.Profile) {
	cert := r.read(name, profile.Role)
	if r.err == nil && cert.NotAfter.Sub(r.cfg.Now) < renewBefore {
		r.issue(keyName, name, profile)
	}
}

// authority makes the successor of a time authority's certificate, or lets it
// take over, or does nothing.
func (r *renewer) authority(name string) {
	key, file := TSAFiles(name, r.cfg.SimulatedTime)
	next := successorFile(file)
	cert := r.read(file, identity.RoleTSA)
	if r.err != nil || cert.NotAfter.Sub(r.cfg.Now) >= succeedBefore {
		return
	}
	if !r.has(next) || bytes.Equal(r.material[next].Data, r.material[file].Data) {
		r.issue(key, next, identity.Profile{
			Role: identity.RoleTSA, Authority: name, Simulated: r.cfg.SimulatedTime,
		})
		return
	}
	successor := r.read(next, identity.RoleTSA)
	if r.err == nil && (r.cfg.Now.Sub(successor.NotBefore) >= successorRest || cert.NotAfter.Sub(r.cfg.Now) < lastMoment) {
		r.material[file] = r.material[next]
	}
}

// policy lists the certificates of the time authorities that there are now, and
// keeps what an operator decided. The quorum changes with the authorities alone.
func (r *renewer) policy() {
	if r.err != nil {
		return
	}
	p, err := auction.ParsePolicy(r.material[FilePolicy].Data)
	if err != nil {
		r.err = fmt.Errorf("read %s: %w", FilePolicy, err)
		return
	}
	oid := tsp.RealTime
	if p.Simulated {
		oid = tsp.SimulatedTime
	}
	listed := make(map[string]auction.Authority, len(p.Authorities))
	names := make([]string, 0, len(p.Authorities))
	for _, a := range p.Authorities {
		listed[a.Name] = a
		names = append(names, a.Name)
	}
	if !slices.Equal(names, r.cfg.Authorities) {
		p.Quorum = quorumOf(len(r.cfg.Authorities))
	}
	p.Authorities = nil
	for _, name := range r.cfg.Authorities {
		a := listed[name]
		a.Name, a.Policy = name, oid.String()
		a.Certificates = r.certificates(name, a.Certificates)
		p.Authorities = append(p.Authorities, a)
	}
	if r.err != nil {
		return
	}
	doc, err := p.Encode()
	if err != nil {
		r.err = fmt.Errorf("write %s: %w", FilePolicy, err)
		return
	}
	r.material[FilePolicy] = Item{Data: doc}
}

// certificates returns those that are listed and those that are not yet, the
// newest of them.
func (r *renewer) certificates(authority string, listed []auction.Blob) []auction.Blob {
	listed = slices.Clone(listed)
	_, file := TSAFiles(authority, r.cfg.SimulatedTime)
	for _, name := range []string{file, successorFile(file)} {
		if !r.has(name) {
			continue
		}
		chain := r.chain(name)
		if r.err != nil {
			return nil
		}
		if !slices.ContainsFunc(listed, func(b auction.Blob) bool { return bytes.Equal(b, chain[0]) }) {
			listed = append(listed, chain[0])
		}
	}
	return listed[max(0, len(listed)-maxListed):]
}
