package ca

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// TestBadInput sends what nobody should, and looks that nothing has come of it.
func TestBadInput(t *testing.T) {
	ca := startCA(t, newFolder(t), func(c *Config) { c.MaxKeys = 1 })
	alice, bob := ca.enrolled("alice", nil), ca.newClient()
	invite := ca.invite("bob", nil)
	other := newCA(t)
	foreign := other.enrolled("alice", nil)
	proof := alice.proof(identity.ProofForToken)
	chain := must[[]byte](t)(json.Marshal(alice.chain))
	csr := fmt.Sprintf(`"csr":%q`, bob.csr)
	attributes := make([]string, identity.MaxAttributes+1)
	for i := range attributes {
		attributes[i] = fmt.Sprintf(`"a%d":"x"`, i)
	}
	issue := func(chain, proof string) string { return fmt.Sprintf(`{"chain":%s,"proof":%q}`, chain, proof) }
	quoted := func(chain []string) string { return string(must[[]byte](t)(json.Marshal(chain))) }

	const form, enrolment = auction.CodeBadRequest, auction.CodeBadEnrolment
	cases := []struct {
		name, path, body string
		want             auction.Code
	}{
		{"empty", "/api/sign-csr", ``, form},
		{"not JSON", "/api/sign-csr", `csr`, form},
		{"a list", "/api/sign-csr", `[]`, form},
		{"null", "/api/sign-csr", `null`, form},
		{"unknown member", "/api/sign-csr", `{` + csr + `,"invite":"x","admin":true}`, form},
		{"doubled member", "/api/sign-csr", `{` + csr + `,` + csr + `,"invite":"x"}`, form},
		{"trailing bytes", "/api/sign-csr", `{` + csr + `,"invite":"x"} {}`, form},
		{"another case", "/api/sign-csr", `{"CSR":"AAAA","invite":"x"}`, form},
		{"a number for a text", "/api/sign-csr", `{"csr":7,"invite":"x"}`, form},
		{"a null member", "/api/sign-csr", `{` + csr + `,"invite":null}`, form},
		{"csr alone", "/api/sign-csr", `{` + csr + `}`, form},
		{"invite and proof", "/api/sign-csr", `{` + csr + `,"invite":"x","proof":"y"}`, form},
		{"attributes with an invite", "/api/sign-csr", `{` + csr + `,"invite":"x","attributes":{"city":"Bern"}}`, form},
		{"a long invite", "/api/sign-csr", `{` + csr + `,"invite":"` + strings.Repeat("x", maxInvite+1) + `"}`, form},
		{"too large", "/api/sign-csr", `{"csr":"` + strings.Repeat("A", maxBody) + `"}`, auction.CodeTooLarge},
		{"csr in padded base64", "/api/sign-csr", `{"csr":"` + bob.csr + `=","invite":"` + invite + `"}`, form},
		{"csr with a line end", "/api/sign-csr", `{"csr":"` + bob.csr + `\n","invite":"` + invite + `"}`, form},
		{"csr is not PKCS#10", "/api/sign-csr", `{"csr":"AAAA","invite":"` + invite + `"}`, enrolment},
		{"csr with a byte more", "/api/sign-csr", `{"csr":"` + bob.csr + `AAAA","invite":"` + invite + `"}`, enrolment},
		{"unknown invite", "/api/sign-csr", `{` + csr + `,"invite":"x"}`, enrolment},
		{"a name, in invite mode", "/api/sign-csr", `{` + csr + `,"username":"mallory"}`, enrolment},
		{"a proof that is none", "/api/sign-csr", `{` + csr + `,"proof":"x"}`, enrolment},
		{"a token proof for a renewal", "/api/sign-csr", fmt.Sprintf(`{"csr":%q,"proof":%q}`, alice.csr, proof), enrolment},

		{"no chain", "/api/issue", issue(`[]`, proof), auction.CodeBadCertificate},
		{"a long chain", "/api/issue", issue(`["AA","AA","AA","AA"]`, proof), auction.CodeBadCertificate},
		{"a chain in base64 with padding", "/api/issue", issue(`["AA=="]`, proof), form},
		{"another root's chain", "/api/issue", issue(quoted(foreign.chain), proof), auction.CodeBadCertificate},
		{"the leaf alone", "/api/issue", issue(quoted(alice.chain[:1]), proof), auction.CodeBadCertificate},
		{"no proof", "/api/issue", issue(string(chain), ""), enrolment},
		{"another's proof", "/api/issue", issue(string(chain), must[string](t)(identity.NewProof(bob.key, identity.ProofForToken, testHouse, ca.nonce()))), enrolment},
		{"another house's proof", "/api/issue", issue(string(chain), must[string](t)(identity.NewProof(alice.key, identity.ProofForToken, "other", ca.nonce()))), enrolment},
		{"another CA's nonce", "/api/issue", issue(string(chain), must[string](t)(identity.NewProof(alice.key, identity.ProofForToken, testHouse, other.nonce()))), enrolment},
		{"a renewal proof for a token", "/api/issue", issue(string(chain), alice.proof(identity.ProofForRenewal)), enrolment},
		{"a known certificate of no key", "/api/issue", `{"chain":` + string(chain) + `}`, enrolment},

		{"invite without a name", "/api/invites", `{}`, form},
		{"invite for somebody with all keys", "/api/invites", `{"username":"Alice"}`, form},
		{"name with control characters", "/api/invites", `{"username":"a\u0007"}`, form},
		{"a reserved attribute", "/api/invites", `{"username":"c","attributes":{"iss":"x"}}`, form},
		{"an attribute that is no text", "/api/invites", `{"username":"c","attributes":{"age":7}}`, form},
		{"too many attributes", "/api/invites", `{"username":"c","attributes":{` + strings.Join(attributes, ",") + `}}`, form},
		{"a service's role", "/api/invites", `{"username":"c","role":"dms"}`, form},
		{"a negative life", "/api/invites", `{"username":"c","valid_seconds":-1}`, form},
		{"a long life", "/api/invites", `{"username":"c","valid_seconds":7776001}`, form},
		{"a fractional life", "/api/invites", `{"username":"c","valid_seconds":1.5}`, form},

		{"erase nobody", "/api/erase", `{}`, form},
		{"erase somebody unknown", "/api/erase", `{"username":"zoe"}`, form},

		{"revoke nobody", "/api/revoke", `{"reason":"withdrawn"}`, form},
		{"revoke by both", "/api/revoke", `{"serial":"a","participant":"b","reason":"withdrawn"}`, form},
		{"revoke without reason", "/api/revoke", `{"serial":"a"}`, form},
		{"revoke for a bad reason", "/api/revoke", `{"serial":"a","reason":"dislike"}`, form},
		{"revoke an unknown serial", "/api/revoke", `{"serial":"abc","reason":"withdrawn"}`, form},
		{"revoke a long serial", "/api/revoke", `{"serial":"` + strings.Repeat("a", maxSerial+1) + `","reason":"withdrawn"}`, form},
		{"revoke an unknown participant", "/api/revoke", `{"participant":"` + strings.Repeat("0", 64) + `","reason":"withdrawn"}`, form},
		{"revoke no participant", "/api/revoke", `{"participant":"xyz","reason":"withdrawn"}`, form},
	}
	var before, after peopleAnswer
	ca.mustCall("GET", "/api/people", nil, &before, ca.token)
	for _, c := range cases {
		token := ""
		if c.path == "/api/invites" || c.path == "/api/revoke" || c.path == "/api/erase" {
			token = ca.token
		}
		wantCode(t, c.name, ca.call("POST", c.path, c.body, nil, token), c.want)
	}
	for _, after := range []string{"x", "-1", "1.5", "9223372036854775808"} {
		wantCode(t, "an audit after "+after, ca.call("GET", "/api/audit?after="+after, nil, nil, ca.token), form)
	}
	wantCode(t, "a page after nobody", ca.call("GET", "/api/people?after=x", nil, nil, ca.token), form)
	wantCode(t, "no such path", ca.call("GET", "/api/settime", nil, nil, ""), form)
	wantCode(t, "no such method", ca.call("GET", "/api/issue", nil, nil, ""), form)
	plain := ca.request("POST", "/api/sign-csr", strings.NewReader("{}"), "")
	plain.Header.Set("Content-Type", "text/plain")
	if response, _ := ca.do(plain); response.StatusCode != http.StatusBadRequest {
		t.Errorf("text: %d", response.StatusCode)
	}

	ca.mustCall("GET", "/api/people", nil, &after, ca.token)
	if len(before.People) != 1 || len(after.People) != 1 || after.People[0].Revoked {
		t.Errorf("people before %+v, after %+v", before, after)
	}
	wantCode(t, "the invite", bob.sign(map[string]any{"invite": invite}), "")
}

func TestOnlyTheOperatorOperates(t *testing.T) {
	ca := newCA(t)
	for _, path := range []string{"/api/invites", "/api/revoke", "/api/erase", "/api/people", "/api/audit"} {
		method, body := "POST", any(`{"username":"mallory"}`)
		if path == "/api/people" || path == "/api/audit" {
			method, body = "GET", nil
		}
		for _, token := range []string{"", "x", ca.token + "x", ca.token[:len(ca.token)-1], strings.ToLower(ca.token)} {
			wantCode(t, path, ca.call(method, path, body, nil, token), auction.CodeNotAllowed)
		}
		basic := ca.request(method, path, nil, "")
		basic.Header.Set("Authorization", ca.token)
		if response, _ := ca.do(basic); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s with the bare token: %d", path, response.StatusCode)
		}
	}
}

func TestAnswersAreNotKept(t *testing.T) {
	ca := newCA(t)
	for path, want := range map[string]string{
		"/api/nonce": "no-store", "/.well-known/sigilo": "no-store",
		"/.well-known/ca-public": cacheKeys, "/ca.pem": cacheKeys, "/crl.der": cacheList,
	} {
		response, _ := ca.do(ca.request("GET", path, nil, ""))
		if got := response.Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}
