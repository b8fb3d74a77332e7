package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

// caCmd is what the operator of a house's CA does: sigilo ca NAME.
type caCmd struct {
	Invite      caInviteCmd `cmd:"" help:"Make a one-time code with which somebody enrols."`
	List        caListCmd   `cmd:"" help:"Show who is enrolled, with their names."`
	Revoke      caRevokeCmd `cmd:"" help:"Revoke a key and all of its certificates."`
	Erase       caEraseCmd  `cmd:"" help:"Revoke the keys of a person, and forget who they are."`
	ExportAudit caAuditCmd  `cmd:"" name:"export-audit" help:"Print the audit table, one JSON object a line."`
}

// operatorFlags say which CA, and show that the operator asks.
type operatorFlags struct {
	House         string `help:"Ready file of a house that is up: it has the CA's URL and the operator's token." type:"path" placeholder:"FILE"`
	CA            string `name:"ca" help:"Base URL of the CA." placeholder:"URL"`
	OperatorToken string `name:"operator-token" help:"File with the operator's token." type:"path" placeholder:"FILE"`
}

// Validate demands one of the two ways.
func (f *operatorFlags) Validate() error {
	byHand := f.CA != "" && f.OperatorToken != ""
	if (f.House != "") == byHand || !byHand && (f.CA != "" || f.OperatorToken != "") {
		return errors.New("either --house, or --ca and --operator-token are needed")
	}
	return nil
}

func (f *operatorFlags) open(a *app) (*operator, error) {
	return openOperator(a, "CA", f.House, f.CA, f.OperatorToken, func(r client.ReadyFile) string { return r.CA })
}

type caInviteCmd struct {
	operatorFlags
	Username  string            `arg:"" help:"Who it is for. The house answers for it that they are."`
	Attribute map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"More that their credential will say: email=ada@example.org. Repeat it for more."`
	Role      string            `enum:"participant,auditor" default:"participant" help:"participant or auditor."`
	Valid     time.Duration     `default:"168h" help:"How long the code is good for."`
}

func (caInviteCmd) Help() string {
	return `Give the code to the person by a way that others do not see.

Example: sigilo ca invite ada --attribute email=ada@example.org --house ready.json`
}

// Run makes an invite.
func (c *caInviteCmd) Run(ctx context.Context, a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	var answer struct {
		Invite  string       `json:"invite"`
		Expires auction.Time `json:"expires"`
	}
	err = o.call(ctx, http.MethodPost, "/api/invites", struct {
		Username   string            `json:"username"`
		Attributes map[string]string `json:"attributes,omitempty"`
		Role       string            `json:"role"`
		Seconds    int64             `json:"valid_seconds"`
	}{c.Username, c.Attribute, c.Role, int64(c.Valid / time.Second)}, &answer)
	if err != nil {
		return err
	}
	a.result(answer, func() {
		a.print("%s", plain(answer.Invite))
		a.note("good once, until %s", clock(answer.Expires.Std()))
	})
	return nil
}

// person is somebody's key as the CA lists it.
type person struct {
	Person      int64             `json:"person"`
	Participant string            `json:"participant"`
	Username    string            `json:"username"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Role        string            `json:"role"`
	Enrolled    auction.Time      `json:"enrolled"`
	Ends        auction.Time      `json:"ends"`
	Revoked     bool              `json:"revoked"`
}

type caListCmd struct{ operatorFlags }

func (caListCmd) Help() string {
	return `Each line is a key; people may have several. That you looked is in the audit.

Example: sigilo ca list --ca https://ca.example --operator-token operator.token`
}

// Run lists everybody, page by page.
func (c *caListCmd) Run(ctx context.Context, a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	people := []person{}
	for after := ""; ; {
		var page struct {
			People []person `json:"people"`
			Next   string   `json:"next,omitempty"`
		}
		if err := o.call(ctx, http.MethodGet, "/api/people?after="+url.QueryEscape(after), nil, &page); err != nil {
			return err
		}
		people = append(people, page.People...)
		if page.Next <= after { // "" at the end; pages go forward
			break
		}
		after = page.Next
	}
	a.result(people, func() {
		rows := [][]string{{"PERSON", "USERNAME", "ROLE", "PARTICIPANT", "CERTIFICATE ENDS", "REVOKED"}}
		for _, p := range people {
			rows = append(rows, []string{
				strconv.FormatInt(p.Person, 10), plain(p.Username), plain(p.Role), plain(p.Participant), clock(p.Ends.Std()), strconv.FormatBool(p.Revoked),
			})
		}
		a.table(rows)
	})
	return nil
}

type caRevokeCmd struct {
	operatorFlags
	Participant string `arg:"" optional:"" help:"The key's participant, as sigilo ca list shows it."`
	Serial      string `placeholder:"HEX" help:"Instead: serial number of a certificate of the key."`
	Reason      string `required:"" enum:"unspecified,key_compromise,superseded,cessation,withdrawn" placeholder:"REASON" help:"unspecified, key_compromise, superseded, cessation or withdrawn."`
}

func (caRevokeCmd) Help() string {
	return `It holds within a minute, when the house has the next revocation list.

Example: sigilo ca revoke --serial 5485... --reason key_compromise --house ready.json`
}

// Run revokes a key.
func (c *caRevokeCmd) Run(ctx context.Context, a *app) error {
	if (c.Participant == "") == (c.Serial == "") {
		return usage("either a participant or --serial is needed")
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	if err := o.call(ctx, http.MethodPost, "/api/revoke", struct {
		Participant string `json:"participant,omitempty"`
		Serial      string `json:"serial,omitempty"`
		Reason      string `json:"reason"`
	}{c.Participant, c.Serial, c.Reason}, &struct{}{}); err != nil {
		return err
	}
	a.result(struct {
		Revoked bool `json:"revoked"`
	}{true}, func() { a.print("revoked") })
	return nil
}

type caEraseCmd struct {
	operatorFlags
	Username string `arg:"" help:"Whom to forget."`
}

func (caEraseCmd) Help() string {
	return `Name and attributes go out of the registry for good; keys stay, revoked and without
a name. Copies of the registry, such as backups, are yours to deal with.

Example: sigilo ca erase ada --house ready.json`
}

// Run erases a person.
func (c *caEraseCmd) Run(ctx context.Context, a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	if err := o.call(ctx, http.MethodPost, "/api/erase", struct {
		Username string `json:"username"`
	}{c.Username}, &struct{}{}); err != nil {
		return err
	}
	a.result(struct {
		Erased bool `json:"erased"`
	}{true}, func() { a.print("erased") })
	return nil
}

// auditEntry is a line of the CA's audit table.
type auditEntry struct {
	ID          int64        `json:"id"`
	At          auction.Time `json:"at"`
	Action      string       `json:"action"`
	Person      int64        `json:"person,omitzero"`
	Participant string       `json:"participant,omitempty"`
	Serial      string       `json:"serial,omitempty"`
	Reason      string       `json:"reason,omitempty"`
}

type caAuditCmd struct {
	operatorFlags
	After int64 `help:"Only entries after the one with this id." placeholder:"ID"`
}

func (caAuditCmd) Help() string {
	return `Entries name people by number, which sigilo ca list translates until they are erased.

Example: sigilo ca export-audit --house ready.json > audit.jsonl`
}

// Run prints the audit table as it comes.
func (c *caAuditCmd) Run(ctx context.Context, a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	for after := c.After; ; {
		var page struct {
			Entries []auditEntry `json:"entries"`
			Next    int64        `json:"next,omitzero"`
		}
		if err := o.call(ctx, http.MethodGet, "/api/audit?after="+strconv.FormatInt(after, 10), nil, &page); err != nil {
			return err
		}
		for _, entry := range page.Entries {
			a.printJSON(a.out, entry)
		}
		if page.Next <= after {
			return nil
		}
		after = page.Next
	}
}
