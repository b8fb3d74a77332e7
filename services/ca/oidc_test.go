package ca

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

func withOIDC(c *Config, issuer string) {
	c.Mode, c.OIDCIssuer, c.OIDCClientID = ModeOIDC, issuer, "sigilo"
	c.OIDCUsername, c.OIDCAttributes = "preferred_username", []string{"email", "name", "phone_number"}
}

// startProvider builds and runs an OpenID provider until the test ends, and
// returns its issuer.
func startProvider(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oidctest")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = "oidctest" // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the provider: %v", err)
		}
	})
	return strings.TrimSpace(must[string](t)(bufio.NewReader(out).ReadString('\n')))
}

// login does what a person's program and browser do: the authorization code flow
// with PKCE (RFC 7636). It returns the ID token.
func login(t *testing.T, issuer, client, user, nonce string) string {
	t.Helper()
	browser := &http.Client{
		Jar:     must[*cookiejar.Jar](t)(cookiejar.New(nil)),
		Timeout: 30 * time.Second,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), "http://localhost/callback") {
				return http.ErrUseLastResponse // where the program would listen
			}
			return nil
		},
	}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	page := must[*http.Response](t)(browser.Get(issuer + "auth?" + url.Values{
		"client_id": {client}, "redirect_uri": {"http://localhost/callback"}, "response_type": {"code"},
		"scope": {"openid profile email phone"}, "nonce": {nonce}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()))
	page.Body.Close()
	answer := must[*http.Response](t)(browser.PostForm(issuer+"login/username", url.Values{
		"username": {user}, "password": {"verysecure"}, "id": {page.Request.URL.Query().Get("authRequestID")},
	}))
	answer.Body.Close()
	if answer.StatusCode != http.StatusFound {
		t.Fatalf("login: status %d at %s after %s", answer.StatusCode, answer.Request.URL, page.Request.URL)
	}
	callback := must[*url.URL](t)(answer.Location())
	tokens := must[*http.Response](t)(browser.PostForm(issuer+"oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {callback.Query().Get("code")}, "client_id": {client},
		"redirect_uri": {"http://localhost/callback"}, "code_verifier": {verifier},
	}))
	defer tokens.Body.Close()
	var got struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(tokens.Body).Decode(&got); err != nil || got.IDToken == "" {
		t.Fatalf("no ID token: status %d, %v", tokens.StatusCode, err)
	}
	return got.IDToken
}

func (p *client) nonce(t *testing.T) string {
	der, err := decode64(p.csr)
	if err != nil {
		t.Fatal(err)
	}
	return identity.LoginNonce(der)
}

func TestOIDC(t *testing.T) {
	issuer := startProvider(t)
	ca := startCA(t, newFolder(t), func(c *Config) { withOIDC(c, issuer); c.Clock = nil; c.MaxKeys = 2 })
	const user, other = "test-user@127.0.0.1", "test-user2"
	token := func(p *client, user string) map[string]any {
		return map[string]any{"id_token": login(t, issuer, "sigilo", user, p.nonce(t))}
	}
	alice := ca.newClient()
	first := token(alice, user)
	wantCode(t, "enrol", alice.sign(first), "")
	claims := must[map[string]string](t)(identity.ClaimsOf(alice.credential))
	if diff := cmp.Diff(map[string]string{"username": user, "name": "Test User", "email": "test-user@zitadel.ch"}, claims); diff != "" {
		t.Error(diff)
	}
	_, code := alice.issue()
	wantCode(t, "a token", code, "")
	wantCode(t, "renew without the provider", alice.renew(), "")

	const refused = auction.CodeBadEnrolment
	wantCode(t, "again", alice.sign(first), refused)
	thief := ca.newClient()
	wantCode(t, "another's ID token", thief.sign(first), refused)
	wantCode(t, "one for another client", thief.sign(map[string]any{"id_token": login(t, issuer, "other", user, thief.nonce(t))}), refused)
	wantCode(t, "one without a nonce", thief.sign(map[string]any{"id_token": login(t, issuer, "sigilo", user, "")}), refused)
	parts := strings.Split(token(thief, other)["id_token"].(string), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	for name, bad := range map[string]string{
		"none": none, "no signature": parts[0] + "." + parts[1] + ".", "another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), "junk": "x",
	} {
		wantCode(t, name, thief.sign(map[string]any{"id_token": bad}), refused)
	}
	wantCode(t, "with an invite", thief.sign(map[string]any{"id_token": "x", "invite": "y"}), auction.CodeBadRequest)
	wantCode(t, "long", thief.sign(map[string]any{"id_token": strings.Repeat("x", maxIDToken+1)}), auction.CodeBadRequest)
	wantCode(t, "her own word", thief.sign(map[string]any{"username": "alice"}), refused)

	// One person, so many keys.
	second, third := ca.newClient(), ca.newClient()
	wantCode(t, "a second key", second.sign(token(second, user)), "")
	wantCode(t, "a third key", third.sign(token(third, user)), refused)
	// Somebody who has the name by an invite is not who the provider means.
	wantCode(t, "an invite", ca.newClient().sign(map[string]any{"invite": ca.invite(other, nil)}), "")
	bob := ca.newClient()
	wantCode(t, "a name that is taken", bob.sign(token(bob, other)), refused)
	ca.mustCall("POST", "/api/erase", map[string]string{"username": other}, nil, ca.token)
	wantCode(t, "a name that is free again", bob.sign(token(bob, other)), "")

	var d description
	if err := json.Unmarshal(ca.get("/.well-known/sigilo"), &d); err != nil || d.OIDCIssuer != issuer || d.OIDCClientID != "sigilo" {
		t.Errorf("description %+v, %v", d, err)
	}
	for _, secret := range []string{first["id_token"].(string), user, "zitadel"} {
		if strings.Contains(ca.log.String(), secret) {
			t.Errorf("the log has %.12q", secret)
		}
	}
	testOldIDToken(t, issuer)
	testLogin(t, issuer)
}

// An ID token is good for minutes, whatever the provider says.
func testOldIDToken(t *testing.T, issuer string) {
	p := &provider{}
	withOIDC(&p.cfg, issuer)
	csr := []byte("a request")
	token := login(t, issuer, "sigilo", "test-user2", identity.LoginNonce(csr))
	for age, want := range map[time.Duration]auction.Code{
		0: "", idTokenLife - time.Minute: "", idTokenLife + time.Minute: auction.CodeBadEnrolment,
		-backdate - time.Minute: auction.CodeBadEnrolment,
	} {
		_, _, err := p.verify(t.Context(), token, csr, auction.TimeOf(time.Now().Add(age)))
		wantCode(t, age.String(), auction.CodeOf(err), want)
	}
}

func TestOIDCProviderIsDown(t *testing.T) {
	ca := startCA(t, newFolder(t), func(c *Config) { withOIDC(c, "http://127.0.0.1:1") })
	wantCode(t, "an ID token", ca.newClient().sign(map[string]any{"id_token": "x"}), auction.CodeUnavailable)
	wantCode(t, "an invite", ca.newClient().sign(map[string]any{"invite": ca.invite("bob", nil)}), "")
}

func TestOIDCPerson(t *testing.T) {
	p := &provider{}
	withOIDC(&p.cfg, "https://id.example")
	for name, c := range map[string]struct {
		claims string
		want   map[string]string // nil: refused
	}{
		"all":                 {`{"preferred_username":"a","email":"e","email_verified":true,"name":"n","given_name":"g"}`, map[string]string{"email": "e", "name": "n"}},
		"an unverified email": {`{"preferred_username":"a","email":"e","email_verified":false}`, map[string]string{}},
		"verified by a word":  {`{"preferred_username":"a","email":"e","email_verified":"true"}`, map[string]string{}},
		"no username":         {`{"name":"n"}`, nil},
		"a bad username":      {`{"preferred_username":"a\u0007"}`, nil},
		"a number for a text": {`{"preferred_username":7}`, nil},
		"a bad attribute":     {`{"preferred_username":"a","name":"` + strings.Repeat("x", 300) + `"}`, nil},
	} {
		var claims map[string]any
		if err := json.Unmarshal([]byte(c.claims), &claims); err != nil {
			t.Fatal(err)
		}
		got, err := p.person(claims)
		if c.want == nil {
			wantCode(t, name, auction.CodeOf(err), auction.CodeBadEnrolment)
			continue
		}
		if diff := cmp.Diff(c.want, got.Attributes); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
