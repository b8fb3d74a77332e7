package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

var alice = map[string]string{"city": "Zürich", "email": "somebody@example.org", "family_name": "Älpler"}

func (h *house) credential(t testing.TB) string {
	return must[string](t)(h.credentials.Issue("alice", alice, &h.participantKey.PublicKey, epoch))
}

func (h *house) expect() Expectation {
	return Expectation{House: h.name, Holder: h.participant.Participant, Audience: "to-bob", Nonce: "close-1", At: epoch.Add(time.Hour)}
}

func (h *house) present(t testing.TB, credential string, claims ...string) string {
	return must[string](t)(Present(credential, h.participantKey, claims, "to-bob", "close-1", epoch.Add(time.Hour)))
}

func TestPresentationShowsTheChosenClaimsAlone(t *testing.T) {
	h := newHouse(t, "demo")
	credential := h.credential(t)
	all := maps.Clone(alice)
	all[ClaimUsername] = "alice"
	if diff := cmp.Diff(all, must[map[string]string](t)(ClaimsOf(credential))); diff != "" {
		t.Fatalf("the holder's own claims: %s", diff)
	}
	rapid.Check(t, func(r *rapid.T) {
		want := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if rapid.Bool().Draw(r, name) {
				want[name] = all[name]
			}
		}
		presentation := h.present(t, credential, slices.Collect(maps.Keys(want))...)
		got, err := VerifyPresentation(presentation, h.keys, h.expect())
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatal(diff)
		}
		for name, value := range all {
			if _, shown := want[name]; shown {
				continue
			}
			for part := range strings.SplitSeq(presentation, "~") {
				for inner := range strings.SplitSeq(part, ".") {
					if data, err := decode64(inner); err == nil && strings.Contains(string(data), value) {
						r.Fatalf("%s is in the presentation", name)
					}
				}
			}
		}
	})
}

// The number of digests must not tell how much the CA knows of somebody.
func TestCredentialsHaveOneNumberOfDigests(t *testing.T) {
	h := newHouse(t, "demo")
	full := map[string]string{}
	for i := range MaxAttributes {
		full[fmt.Sprintf("a%d", i)] = "x"
	}
	var lengths []int
	for _, attributes := range []map[string]string{nil, alice, full} {
		credential := must[string](t)(h.credentials.Issue("alice", attributes, &h.participantKey.PublicKey, epoch))
		signed, _, _ := strings.Cut(credential, "~")
		lengths = append(lengths, len(signed))
		if _, err := VerifyPresentation(h.present(t, credential), h.keys, h.expect()); err != nil {
			t.Fatal(err)
		}
	}
	if lengths[0] != lengths[1] || lengths[1] != lengths[2] {
		t.Errorf("lengths %v", lengths)
	}
}

func TestVerifyPresentationRefuses(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	credential := h.credential(t)
	good := h.present(t, credential, ClaimUsername)
	signed, rest, _ := strings.Cut(good, "~")
	shown, binding, _ := strings.Cut(rest, "~")
	hidden := func() string {
		for part := range strings.SplitSeq(credential, "~") {
			if name, _, err := parseDisclosure(part); err == nil && name == "city" {
				return part
			}
		}
		return ""
	}()
	bind := func(before string, claims keyBindingClaims) string {
		claims.Hash = digestOf(before)
		return before + must[string](t)(sign(h.participantKey, keyBindingType, "", claims))
	}
	at := epoch.Add(time.Hour).Unix()
	normal := keyBindingClaims{IssuedAt: at, Audience: "to-bob", Nonce: "close-1"}
	claims := func(change func(*credentialClaims)) string {
		var c credentialClaims
		payload := must[[]byte](t)(decode64(strings.Split(signed, ".")[1]))
		if err := unmarshal(payload, &c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		return bind(must[string](t)(sign(h.credKey, credentialType, h.credentials.kid, c))+"~"+shown+"~", normal)
	}
	if _, err := VerifyPresentation(claims(func(*credentialClaims) {}), h.keys, h.expect()); err != nil {
		t.Fatalf("the unspoilt form is refused: %v", err)
	}
	otherJWK := must[jwk](t)(newJWK(&other.participantKey.PublicKey))
	invented := newDisclosure("city", "Atlantis")
	foreign := other.present(t, must[string](t)(other.credentials.Issue("alice", alice, &h.participantKey.PublicKey, epoch)))
	byToken := must[string](t)(sign(h.tokenKey, credentialType, h.tokens.kid, credentialClaims{}))

	const sig, form = auction.CodeBadSignature, auction.CodeBadRequest
	for name, c := range map[string]struct {
		presentation string
		want         auction.Code
	}{
		"empty":                  {"", form},
		"no key binding":         {strings.TrimSuffix(good, binding), sig},
		"a bare token":           {signed, form},
		"another house's key":    {foreign, auction.CodeBadToken},
		"the token key":          {bind(byToken+"~", normal), auction.CodeBadToken},
		"an invented claim":      {bind(signed+"~"+invented+"~", normal), sig},
		"a claim twice":          {bind(signed+"~"+shown+"~"+shown+"~", normal), form},
		"one claim more":         {signed + "~" + shown + "~" + hidden + "~" + binding, sig},
		"one claim less":         {signed + "~" + binding, sig},
		"an empty claim":         {bind(signed+"~"+shown+"~~", normal), sig},
		"too many claims":        {bind(signed+"~"+strings.Repeat(shown+"~", digestCount+1), normal), form},
		"too large":              {good + strings.Repeat("A", maxCredential), auction.CodeTooLarge},
		"bound by another key":   {signed + "~" + shown + "~" + must[string](t)(sign(other.participantKey, keyBindingType, "", normal)), sig},
		"another audience":       {bind(signed+"~", keyBindingClaims{IssuedAt: at, Audience: "to-carol", Nonce: "close-1"}), sig},
		"another nonce":          {bind(signed+"~", keyBindingClaims{IssuedAt: at, Audience: "to-bob", Nonce: "close-2"}), sig},
		"bound in the future":    {bind(signed+"~", keyBindingClaims{IssuedAt: at + 31, Audience: "to-bob", Nonce: "close-1"}), sig},
		"bound before it was":    {bind(signed+"~", keyBindingClaims{IssuedAt: epoch.Unix() - 31, Audience: "to-bob", Nonce: "close-1"}), sig},
		"a proof as key binding": {signed + "~" + must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", "n")), sig},
		"no hash":                {signed + "~" + must[string](t)(sign(h.participantKey, keyBindingType, "", normal)), sig},
		"another holder":         {claims(func(c *credentialClaims) { c.Confirmation.Key = otherJWK }), sig},
		"no holder":              {claims(func(c *credentialClaims) { c.Confirmation = holderBinding{} }), sig},
		"another issuer":         {claims(func(c *credentialClaims) { c.Issuer = "sigilo:ca:demo2" }), sig},
		"another hash":           {claims(func(c *credentialClaims) { c.Algorithm = "sha-512" }), sig},
		"a digest twice":         {claims(func(c *credentialClaims) { c.Digests[1] = c.Digests[0] }), sig},
		"digests not in order":   {claims(func(c *credentialClaims) { slices.Reverse(c.Digests) }), sig},
		"too few digests":        {claims(func(c *credentialClaims) { c.Digests = c.Digests[1:] }), sig},
		"ended":                  {claims(func(c *credentialClaims) { c.Expires = at }), sig},
		"from the future":        {claims(func(c *credentialClaims) { c.IssuedAt = at + 31 }), sig},
		"lives too long":         {claims(func(c *credentialClaims) { c.Expires = c.IssuedAt + int64(CredentialLife/time.Second) + 1 }), sig},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := VerifyPresentation(c.presentation, h.keys, h.expect())
			wantCode(t, err, c.want)
		})
	}
	for name, change := range map[string]func(*Expectation){
		"house":    func(e *Expectation) { e.House = "demo2" },
		"holder":   func(e *Expectation) { e.Holder = other.participant.Participant },
		"audience": func(e *Expectation) { e.Audience = "to-carol" },
		"nonce":    func(e *Expectation) { e.Nonce = "close-2" },
		"earlier":  func(e *Expectation) { e.At = epoch.Add(-time.Hour) },
		"later":    func(e *Expectation) { e.At = epoch.Add(CredentialLife) },
	} {
		want := h.expect()
		change(&want)
		if _, err := VerifyPresentation(good, h.keys, want); auction.CodeOf(err) != sig {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// A binding over nothing must not meet a verifier who expects nothing.
	unbound := bind(signed+"~", keyBindingClaims{IssuedAt: at})
	nothing := h.expect()
	nothing.Audience, nothing.Nonce = "", ""
	if _, err := VerifyPresentation(unbound, h.keys, nothing); err == nil {
		t.Error("a presentation to nobody passes")
	}
	// What the credential key signs is never a session token.
	if _, err := VerifyToken(signed, h.keys, "demo", h.participant, epoch); auction.CodeOf(err) != auction.CodeBadToken {
		t.Errorf("a credential as a token: %v", err)
	}
}

// Two disclosures of one name, both signed by the issuer, must not pass: which
// of them counts would depend on who looks.
func TestOneNameUnderTwoDigests(t *testing.T) {
	h := newHouse(t, "demo")
	signed, rest, _ := strings.Cut(h.credential(t), "~")
	shown, _, _ := strings.Cut(rest, "~")
	second := newDisclosure(ClaimUsername, "mallory")
	var c credentialClaims
	if err := unmarshal(must[[]byte](t)(decode64(strings.Split(signed, ".")[1])), &c); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(c.Digests, func(d string) bool { return d != digestOf(shown) })
	c.Digests[at] = digestOf(second)
	slices.Sort(c.Digests)
	before := must[string](t)(sign(h.credKey, credentialType, h.credentials.kid, c)) + "~" + shown + "~" + second + "~"
	binding := must[string](t)(sign(h.participantKey, keyBindingType, "", keyBindingClaims{
		IssuedAt: epoch.Unix(), Audience: "to-bob", Nonce: "close-1", Hash: digestOf(before),
	}))
	_, err := VerifyPresentation(before+binding, h.keys, h.expect())
	wantCode(t, err, auction.CodeBadRequest)
}

func TestParseDisclosureRefuses(t *testing.T) {
	salt := encode64(make([]byte, saltBytes))
	encode := func(v any) string { return encode64(must[[]byte](t)(json.Marshal(v))) }
	if _, _, err := parseDisclosure(encode([]string{salt, "city", "x"})); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "not base64url": "=", "not JSON": encode64([]byte("x")),
		"two parts":     encode([]string{salt, "x"}),
		"four parts":    encode([]string{salt, "city", "x", "y"}),
		"short salt":    encode([]string{"AAAA", "city", "x"}),
		"number":        encode([]any{salt, "city", 7}),
		"null":          encode([]any{salt, "city", nil}),
		"object":        encode([]any{salt, "city", map[string]string{}}),
		"_sd":           encode([]string{salt, "_sd", "x"}),
		"...":           encode([]string{salt, "...", "x"}),
		"reserved":      encode([]string{salt, "iss", "x"}),
		"control":       encode([]string{salt, "city", "a\x00b"}),
		"right to left": encode([]string{salt, "city", "a\u202eb"}),
		"too long":      encode([]string{salt, "city", strings.Repeat("x", maxClaimValue+1)}),
		"too large":     encode([]string{salt, "city", strings.Repeat("x", maxDisclosure)}),
		"trailing":      encode64([]byte(`["` + salt + `","city","x"]x`)),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseDisclosure(bad)
			wantCode(t, err, auction.CodeBadRequest)
		})
	}
}

func TestIssueAndPresentRefuse(t *testing.T) {
	h := newHouse(t, "demo")
	credential := h.credential(t)
	for name, present := range map[string]func() (string, error){
		"a claim that is not there": func() (string, error) {
			return Present(credential, h.participantKey, []string{"age"}, "a", "n", epoch)
		},
		"a claim twice": func() (string, error) {
			return Present(credential, h.participantKey, []string{"city", "city"}, "a", "n", epoch)
		},
		"no audience": func() (string, error) { return Present(credential, h.participantKey, nil, "", "n", epoch) },
		"no nonce":    func() (string, error) { return Present(credential, h.participantKey, nil, "a", "", epoch) },
		"a presentation": func() (string, error) {
			return Present(h.present(t, credential), h.participantKey, nil, "a", "n", epoch)
		},
	} {
		if _, err := present(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	many := map[string]string{}
	for i := range MaxAttributes + 1 {
		many[fmt.Sprintf("a%d", i)] = "x"
	}
	for name, c := range map[string]struct {
		username   string
		attributes map[string]string
	}{
		"no username": {"", nil}, "space before": {" a", nil}, "space after": {"a ", nil},
		"control": {"a\nb", nil}, "not UTF-8": {"\xff", nil}, "long": {strings.Repeat("a", maxUsername+1), nil},
		"username twice": {"a", map[string]string{"username": "b"}}, "reserved": {"a", map[string]string{"sub": "b"}},
		"upper case": {"a", map[string]string{"City": "b"}}, "digit first": {"a", map[string]string{"1a": "b"}},
		"empty value": {"a", map[string]string{"city": ""}}, "long value": {"a", map[string]string{"city": strings.Repeat("b", maxClaimValue+1)}},
		"long name": {"a", map[string]string{strings.Repeat("b", maxClaimName+1): "b"}}, "many": {"a", many},
	} {
		_, err := h.credentials.Issue(c.username, c.attributes, &h.participantKey.PublicKey, epoch)
		if auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryChangedByteOfAPresentationIsRefused(t *testing.T) {
	h := newHouse(t, "demo")
	good := h.present(t, h.credential(t), ClaimUsername, "city")
	for at := range good {
		c := byte('A')
		if good[at] == c {
			c = 'B'
		}
		bad := good[:at] + string(c) + good[at+1:]
		if _, err := VerifyPresentation(bad, h.keys, h.expect()); err == nil {
			t.Fatalf("byte %d as %q passes", at, c)
		}
	}
}
