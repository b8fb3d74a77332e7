package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

const (
	// defaultInvite and maxInviteLife bound how long an invite lies about.
	defaultInvite = 7 * 24 * time.Hour
	maxInviteLife = 90 * 24 * time.Hour
	// maxInvite bounds the text of an invite; ours has 26 characters.
	maxInvite = 128
	// peoplePage is how many people one answer lists.
	peoplePage = 100
)

// inviteRequest says who may enrol. The operator answers for who that is.
type inviteRequest struct {
	Username   string            `json:"username"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Role       identity.Role     `json:"role,omitempty"`          // participant (the default) or auditor
	Seconds    int64             `json:"valid_seconds,omitempty"` // 0: seven days
}

// check demands a form that can be registered, and fills in the defaults.
func (r *inviteRequest) check() error {
	if err := identity.CheckPerson(r.Username, r.Attributes); err != nil {
		return err
	}
	switch r.Role {
	case "":
		r.Role = identity.RoleParticipant
	case identity.RoleParticipant, identity.RoleAuditor:
	default:
		return auction.Refuse(auction.CodeBadRequest, "people are participants or auditors")
	}
	switch limit := int64(maxInviteLife / time.Second); {
	case r.Seconds == 0:
		r.Seconds = int64(defaultInvite / time.Second)
	case r.Seconds < 0 || r.Seconds > limit:
		return auction.Refuse(auction.CodeBadRequest, "an invite is valid for 1 to %d seconds", limit)
	}
	return nil
}

type inviteAnswer struct {
	Invite  string       `json:"invite"` // shown once, and kept nowhere
	Expires auction.Time `json:"expires"`
}

func (s *server) invite(c echo.Context) error {
	var request inviteRequest
	if err := read(c, &request); err != nil {
		return err
	}
	if err := request.check(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	code := rand.Text() // 128 bits
	expires := now.Add(time.Duration(request.Seconds) * time.Second)
	person := registry.Person{Username: request.Username, Attributes: request.Attributes, Role: request.Role}
	if err := s.people.Invite(ctx, sha256.Sum256([]byte(code)), person, now, expires); err != nil {
		return err
	}
	return answer(c, inviteAnswer{Invite: code, Expires: expires})
}

// revokeRequest names a key by its participant or by a certificate of it; either way the
// key is revoked, with all of its certificates.
type revokeRequest struct {
	Participant string `json:"participant,omitempty"`
	Serial      string `json:"serial,omitempty"`
	Reason      string `json:"reason"`
}

// reasons are the words for a CRLReason (RFC 5280 5.3.1).
var reasons = map[string]identity.RevocationReason{
	"unspecified":    identity.ReasonUnspecified,
	"key_compromise": identity.ReasonKeyCompromise,
	"superseded":     identity.ReasonSuperseded,
	"cessation":      identity.ReasonCessation,
	"withdrawn":      identity.ReasonWithdrawn,
}

// wordOf is the word of a reason that came as one, or from an erasure.
func wordOf(reason identity.RevocationReason) string {
	for word, r := range reasons {
		if r == reason {
			return word
		}
	}
	return ""
}

// maxSerial bounds the text of a serial number: 20 octets (RFC 5280 4.1.2.2).
const maxSerial = 40

func (s *server) revoke(c echo.Context) error {
	var request revokeRequest
	if err := read(c, &request); err != nil {
		return err
	}
	reason, ok := reasons[request.Reason]
	if !ok {
		return auction.Refuse(auction.CodeBadRequest, "a reason is unspecified, key_compromise, superseded, cessation or withdrawn")
	}
	if (request.Participant == "") == (request.Serial == "") || len(request.Serial) > maxSerial {
		return auction.Refuse(auction.CodeBadRequest, "either a participant or a serial number is needed")
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	var key auction.Participant
	if request.Serial != "" {
		key, err = s.people.KeyOfSerial(ctx, request.Serial)
	} else {
		var hash auction.Hash
		hash, err = auction.ParseHash(request.Participant)
		key = auction.Participant(hash)
	}
	if err != nil {
		return err
	}
	if err := s.people.Revoke(ctx, key, reason, now); err != nil {
		return err
	}
	s.list.drop()
	return answer(c, struct{}{})
}

// person is an enrolled key and who is behind it.
type person struct {
	Person      int64             `json:"person"` // who it is in the audit
	Participant string            `json:"participant"`
	Username    string            `json:"username"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Role        identity.Role     `json:"role"`
	Enrolled    auction.Time      `json:"enrolled"`
	Ends        auction.Time      `json:"ends"`
	Revoked     bool              `json:"revoked"`
}

type peopleAnswer struct {
	People []person `json:"people"`
	Next   string   `json:"next,omitempty"` // give it as ?after= for the rest
}

func (s *server) listPeople(c echo.Context) error {
	var after auction.Participant
	if text := c.QueryParam("after"); text != "" {
		hash, err := auction.ParseHash(text)
		if err != nil {
			return err
		}
		after = auction.Participant(hash)
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	entries, err := s.people.People(ctx, after, peoplePage, now)
	if err != nil {
		return err
	}
	page := peopleAnswer{People: []person{}}
	for _, e := range entries {
		page.People = append(page.People, person{
			Person: e.ID, Participant: e.Participant.String(), Username: e.Person.Username, Attributes: e.Person.Attributes,
			Role: e.Person.Role, Enrolled: e.Enrolled, Ends: e.Ends, Revoked: e.Revoked,
		})
	}
	if len(entries) == peoplePage {
		page.Next = entries[len(entries)-1].Participant.String()
	}
	return answer(c, page)
}
