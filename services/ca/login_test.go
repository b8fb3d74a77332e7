package ca

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	node "github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
)

// newNode makes a person's client of a CA, with a new profile.
func newNode(t *testing.T, ca *testCA) *node.Client {
	t.Helper()
	chain := must[[][]byte](t)(identity.LoadChain(filepath.Join(ca.dir, FileRoot)))
	profile := must[*node.Profile](t)(node.CreateProfile(filepath.Join(t.TempDir(), "profile"), node.House{
		House: testHouse, Root: string(identity.EncodeChain(chain)), CA: ca.url,
		TSA: []string{"http://127.0.0.1:1"}, DMS: []string{"http://127.0.0.1:1"},
	}))
	c := must[*node.Client](t)(node.New(profile, node.Options{}))
	t.Cleanup(c.Close)
	return c
}

// surfer is who logs in with a browser at the provider of an issuer. Its answer
// is the page that the browser shows in the end.
func surfer(t *testing.T, issuer, user string) (browse func(string) error, page chan string) {
	page = make(chan string, 1)
	browser := &http.Client{Jar: must[*cookiejar.Jar](t)(cookiejar.New(nil)), Timeout: 30 * time.Second}
	read := func(res *http.Response, err error) (*http.Response, string) {
		if err != nil {
			t.Error(err)
			return &http.Response{Request: &http.Request{URL: new(url.URL)}}, ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res, string(body)
	}
	return func(address string) error {
		go func() {
			form, _ := read(browser.Get(address))
			_, body := read(browser.PostForm(issuer+"login/username", url.Values{
				"username": {user}, "password": {"verysecure"}, "id": {form.Request.URL.Query().Get("authRequestID")},
			}))
			page <- body
		}()
		return nil
	}, page
}

// A person's client enrols by a login at a real provider; renewals need none.
func testLogin(t *testing.T, issuer string) {
	const user = "test-user@127.0.0.1"
	ca := startCA(t, newFolder(t), func(c *Config) { withOIDC(c, issuer); c.Clock = nil })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	alice := newNode(t, ca)
	browse, page := surfer(t, issuer, user)
	if err := alice.Enroll(ctx, node.Enrolment{Browse: browse}); err != nil {
		t.Fatal(err)
	}
	if shown := <-page; !strings.Contains(shown, "go back to the program") {
		t.Errorf("the browser shows %q", shown)
	}
	claims := must[map[string]string](t)(alice.Claims())
	if diff := cmp.Diff(map[string]string{"username": user, "name": "Test User", "email": "test-user@zitadel.ch"}, claims); diff != "" {
		t.Error(diff)
	}
	if err := alice.Renew(ctx); err != nil {
		t.Errorf("renew: %v", err)
	}
	if p := alice.ProbeToken(ctx); p.Err != nil {
		t.Errorf("a token: %v", p.Err)
	}

	testForeignCallback(ctx, t, ca)
	silent, stop := context.WithCancel(ctx)
	err := newNode(t, ca).Enroll(silent, node.Enrolment{Browse: func(string) error { stop(); return nil }})
	wantCode(t, "nobody logs in", auction.CodeOf(err), auction.CodeBadEnrolment)
	closed := errors.New("no browser")
	if err := newNode(t, ca).Enroll(ctx, node.Enrolment{Browse: func(string) error { return closed }}); !errors.Is(err, closed) {
		t.Errorf("no browser: %v", err)
	}
	invites := newCA(t)
	err = newNode(t, invites).Enroll(ctx, node.Enrolment{Browse: browse})
	wantCode(t, "a house with no provider", auction.CodeOf(err), auction.CodeBadEnrolment)
}

// A page that guesses where the program listens cannot give it a login of its
// own; a login that the provider turns down ends the wait.
func testForeignCallback(ctx context.Context, t *testing.T, ca *testCA) {
	eve := newNode(t, ca)
	err := eve.Enroll(ctx, node.Enrolment{Browse: func(address string) error {
		asked := must[*url.URL](t)(url.Parse(address))
		back := asked.Query().Get("redirect_uri")
		for _, query := range []string{"?code=stolen", "?code=stolen&state=guessed"} {
			res := must[*http.Response](t)(http.Get(back + query))
			res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d", query, res.StatusCode)
			}
		}
		res := must[*http.Response](t)(http.Get(back + "?error=access_denied&state=" + url.QueryEscape(asked.Query().Get("state"))))
		return res.Body.Close()
	}})
	wantCode(t, "turned down", auction.CodeOf(err), auction.CodeBadEnrolment)
	if eve.Profile().Enrolled() {
		t.Error("enrolled all the same")
	}
}
