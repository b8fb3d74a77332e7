package identity

import (
	"crypto/x509"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A Role is what a certificate entitles its holder to be. The set is closed.
type Role string

const (
	RoleParticipant Role = "participant" // lists and bids
	RoleDMS         Role = "dms"         // runs auctions
	RoleTSA         Role = "tsa"         // stamps time
	RoleAuditor     Role = "auditor"     // reads the private parts of a transcript
	RoleWitness     Role = "witness"     // co-signs heads
)

// Roles lists the closed set.
func Roles() []Role {
	return []Role{RoleParticipant, RoleDMS, RoleTSA, RoleAuditor, RoleWitness}
}

// arc is the prefix of the role policies: the documentation arc of RFC 5612,
// followed by 17 (Sigilo) and 1 (roles).
var arc = []uint64{1, 3, 6, 1, 4, 1, 32473, 17, 1}

// The certificate of a time authority states, beside its role, under which
// policy it stamps (17.2): no key stamps both kinds of time.
var (
	oidRealTime      = mustOID([]uint64{1, 3, 6, 1, 4, 1, 32473, 17, 2, 1})
	oidSimulatedTime = mustOID([]uint64{1, 3, 6, 1, 4, 1, 32473, 17, 2, 2})
)

func (r Role) valid() bool {
	for _, known := range Roles() {
		if r == known {
			return true
		}
	}
	return false
}

// OID returns the certificate policy that states the role:
// 1.3.6.1.4.1.32473.17.1.1 for a participant, .2 dms, .3 tsa, .4 auditor, .5
// witness. The zero OID, which matches nothing, stands for an unknown role.
func (r Role) OID() x509.OID {
	for i, known := range Roles() {
		if r == known {
			return mustOID(append(arc[:len(arc):len(arc)], uint64(i)+1))
		}
	}
	return x509.OID{}
}

// mustOID is for constants: a constant that is no OID is a programming error.
func mustOID(arcs []uint64) x509.OID {
	oid, err := x509.OIDFromInts(arcs)
	if err != nil {
		panic(err)
	}
	return oid
}

// RoleURI returns the only subject alternative name of a certificate:
// sigilo:<role>:<house>, or for a time authority sigilo:tsa:<house>:<authority>.
// The authority is ignored for every other role.
func RoleURI(role Role, house, authority string) string {
	uri := "sigilo:" + string(role) + ":" + house
	if role == RoleTSA {
		uri += ":" + authority
	}
	return uri
}

// maxName bounds the id of a house and the name of an authority, in bytes.
const maxName = 32

// CheckName accepts the id of a house or the name of a time authority:
// [a-z0-9-]{1,32}. It refuses with bad_request.
func CheckName(name string) error {
	if len(name) < 1 || len(name) > maxName {
		return auction.Refuse(auction.CodeBadRequest, "a name of a house or an authority has 1 to %d characters", maxName)
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return auction.Refuse(auction.CodeBadRequest, "a name of a house or an authority has only a-z, 0-9 and -")
		}
	}
	return nil
}
