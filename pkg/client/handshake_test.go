package client_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A client opens a session with nobody but the DMS of its house: with no other
// house under the same root, and in no other role, whatever key signs.
func TestHelloOfSomebodyElse(t *testing.T) {
	keys := filepath.Dir(theHouse.Ready.RootCertificate)
	chainOf := func(name string) [][]byte { return must(identity.LoadChain(filepath.Join(keys, name+".pem")))(t) }
	root := must(identity.NewIssuer(chainOf("root"), must(identity.LoadKey(filepath.Join(keys, "root.key")))(t)))(t)
	for _, tt := range []struct {
		name    string
		profile identity.Profile // with no role, the CA's own certificate
		refused bool
	}{
		{"the DMS", identity.Profile{Role: identity.RoleDMS, House: "demo"}, false},
		{"the DMS of another house", identity.Profile{Role: identity.RoleDMS, House: "other"}, true},
		{"a time authority", identity.Profile{Role: identity.RoleTSA, House: "demo", Authority: "tsa1"}, true},
		{"a participant", identity.Profile{Role: identity.RoleParticipant, House: "demo"}, true},
		{"an auditor", identity.Profile{Role: identity.RoleAuditor, House: "demo"}, true},
		{"a witness", identity.Profile{Role: identity.RoleWitness, House: "demo"}, true},
		{"the CA", identity.Profile{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			l.chain, l.key = chainOf("ca"), must(identity.LoadKey(filepath.Join(keys, "ca.key")))(t)
			if tt.profile.Role != "" {
				l.key = must(identity.NewKey())(t)
				tt.profile.NotBefore = time.Now().Add(-time.Hour)
				tt.profile.NotAfter = time.Now().Add(ahead + time.Hour)
				l.chain = must(root.Issue(&l.key.PublicKey, tt.profile))(t)
			}
			l.toHouse = func(m wire.ClientMessage) bool {
				if tt.refused {
					t.Error("it got a request")
				}
				return true
			}
			_, err := enrolAt(t, l).Items(within(t))
			if !tt.refused {
				check(t, err)
				return
			}
			wantCode(t, err, auction.CodeBadCertificate)
		})
	}
}
