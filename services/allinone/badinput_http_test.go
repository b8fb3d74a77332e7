package allinone_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// signRows are requests for certificates that the CA must refuse.
func signRows() []row {
	sign := func(name string, code auction.Code, body func(*world) string) row {
		return row{name: "ca/sign " + name, code: code, send: func(w *world) reply {
			return w.post(w.h.Ready.CA+"/api/sign-csr", "", body(w))
		}}
	}
	request := func(w *world) string {
		der, err := identity.NewRequest(newKey(w.t))
		if err != nil {
			w.t.Fatal(err)
		}
		return b64(der)
	}
	used := ""
	return []row{
		sign("unknown invite", auction.CodeBadEnrolment, func(w *world) string {
			return `{"csr":"` + request(w) + `","invite":"none"}`
		}),
		{
			name: "ca/sign used invite", code: auction.CodeBadEnrolment,
			prepare: func(w *world) {
				var err error
				if used, err = w.h.Invite(w.ctx, "ute", nil, "participant"); err != nil {
					w.t.Fatal(err)
				}
				w.postFor(w.h.Ready.CA+"/api/sign-csr", "", map[string]string{"csr": request(w), "invite": used}, nil)
			},
			send: func(w *world) reply {
				return w.post(w.h.Ready.CA+"/api/sign-csr", "", `{"csr":"`+request(w)+`","invite":"`+used+`"}`)
			},
		},
		sign("name without an invite", auction.CodeBadEnrolment, func(w *world) string {
			return `{"csr":"` + request(w) + `","username":"sofia"}`
		}),
		sign("invite and proof", auction.CodeBadRequest, func(w *world) string {
			return `{"csr":"` + request(w) + `","invite":"a","proof":"b"}`
		}),
		sign("key on another curve", auction.CodeBadEnrolment, func(w *world) string {
			key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
			if err != nil {
				w.t.Fatal(err)
			}
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
			if err != nil {
				w.t.Fatal(err)
			}
			return `{"csr":"` + b64(der) + `","invite":"none"}`
		}),
		sign("request that is none", auction.CodeBadEnrolment, func(*world) string { return `{"csr":"AAAA","invite":"none"}` }),
		sign("unknown field", auction.CodeBadRequest, func(*world) string { return `{"csr":"AAAA","invite":"none","role":"auditor"}` }),
		sign("doubled key", auction.CodeBadRequest, func(*world) string { return `{"csr":"AAAA","csr":"AAAA","invite":"none"}` }),
		sign("bytes after the object", auction.CodeBadRequest, func(*world) string { return `{"csr":"AAAA","invite":"none"}{}` }),
		sign("too large", auction.CodeTooLarge, func(*world) string { return `{"csr":"` + strings.Repeat("A", 20<<10) + `"}` }),
		sign("renewal by another key", auction.CodeBadEnrolment, func(w *world) string {
			return `{"csr":"` + request(w) + `","proof":"` + w.proof(w.bruno.key, identity.ProofForRenewal, "demo") + `"}`
		}),
	}
}

// issueRows are requests for tokens that the CA must refuse.
func issueRows() []row {
	issue := func(name string, code auction.Code, body func(*world) string) row {
		return row{name: "ca/issue " + name, code: code, send: func(w *world) reply {
			return w.post(w.h.Ready.CA+"/api/issue", "", body(w))
		}}
	}
	return []row{
		issue("proof of another key", auction.CodeBadEnrolment, func(w *world) string {
			return issueBody(w.bruno.chain, w.proof(w.olga.key, identity.ProofForToken, "demo"))
		}),
		issue("proof for another house", auction.CodeBadEnrolment, func(w *world) string {
			return issueBody(w.bruno.chain, w.proof(w.bruno.key, identity.ProofForToken, "domo"))
		}),
		issue("proof for a renewal", auction.CodeBadEnrolment, func(w *world) string {
			return issueBody(w.bruno.chain, w.proof(w.bruno.key, identity.ProofForRenewal, "demo"))
		}),
		issue("certificate of another root", auction.CodeBadCertificate, func(w *world) string {
			key := newKey(w.t)
			chain := w.certify(w.foreignRoot(), key, identity.Profile{Role: identity.RoleParticipant})
			return issueBody(chain, w.proof(key, identity.ProofForToken, "demo"))
		}),
		issue("certificate of a dms", auction.CodeBadCertificate, func(w *world) string {
			return issueBody(w.loadChain("dms.pem"), w.proof(w.loadKey("dms.key"), identity.ProofForToken, "demo"))
		}),
		issue("no chain", auction.CodeBadCertificate, func(w *world) string { return issueBody(nil, "none") }),
	}
}

func issueBody(chain [][]byte, proof string) string {
	texts := make([]string, len(chain))
	for i, der := range chain {
		texts[i] = `"` + b64(der) + `"`
	}
	return `{"chain":[` + strings.Join(texts, ",") + `],"proof":"` + proof + `"}`
}

// otherHTTPRows are wrong paths, methods, types and tokens of all services.
func otherHTTPRows() []row {
	type base func(*world) string
	ca := func(w *world) string { return w.h.Ready.CA }
	tsa := func(w *world) string { return w.h.Ready.TSA[0] }
	dms := func(w *world) string { return w.h.Ready.DMS[0] }
	call := func(name string, code auction.Code, status int, at base, method, path, contentType, token, body string) row {
		return row{name: "http/" + name, code: code, status: status, send: func(w *world) reply {
			if token == "operator" {
				token = w.h.Ready.OperatorToken
			}
			r, _ := w.call(method, at(w)+path, contentType, token, []byte(body))
			return r
		}}
	}
	const (
		json  = "application/json"
		query = "application/timestamp-query"
		audit = `{"auction":"00000000-0000-4000-8000-000000000000","auditor":"0000000000000000000000000000000000000000000000000000000000000000"}`
	)
	bad, denied, large := auction.CodeBadRequest, auction.CodeNotAllowed, auction.CodeTooLarge
	return []row{
		call("ca unknown path", bad, 0, ca, "GET", "/api/none", "", "", ""),
		call("ca other method", bad, 0, ca, "GET", "/api/issue", "", "", ""),
		call("ca other content type", bad, 0, ca, "POST", "/api/issue", "text/plain", "", "{}"),
		call("ca invite without token", denied, 0, ca, "POST", "/api/invites", json, "", `{"username":"x"}`),
		call("ca invite with another token", denied, 0, ca, "POST", "/api/invites", json, "x", `{"username":"x"}`),
		call("ca invite of a dms", bad, 0, ca, "POST", "/api/invites", json, "operator", `{"username":"x","role":"dms"}`),
		call("ca revoke without token", denied, 0, ca, "POST", "/api/revoke", json, "", `{}`),
		call("ca people without token", denied, 0, ca, "GET", "/api/people", "", "", ""),
		call("tsa unknown path", bad, http.StatusNotFound, tsa, "GET", "/api/none", "", "", ""),
		call("tsa other method", bad, http.StatusMethodNotAllowed, tsa, "GET", "/api/timestamp", "", "", ""),
		call("tsa other content type", bad, http.StatusUnsupportedMediaType, tsa, "POST", "/api/timestamp", json, "", "{}"),
		call("tsa too large", large, 0, tsa, "POST", "/api/timestamp", query, "", strings.Repeat("x", 5<<10)),
		call("tsa set time without token", denied, 0, tsa, "POST", "/api/settime", json, "", `{"time":1}`),
		call("tsa set time back", bad, 0, tsa, "POST", "/api/settime", json, "operator", `{"time":1}`),
		call("tsa reset time with another token", denied, 0, tsa, "POST", "/api/resettime", json, "x", ``),
		call("dms unknown path", bad, 0, dms, "GET", "/none", "", "", ""),
		call("dms no WebSocket", bad, 0, dms, "GET", "/ws", "", "", ""),
		call("dms audit without token", denied, 0, dms, "POST", "/api/audits", json, "", audit),
		call("dms audit with another token", denied, 0, dms, "POST", "/api/audits", json, "x", audit),
		call("dms audit other method", bad, 0, dms, "GET", "/api/audits", json, "operator", ""),
		call("dms audit other content type", bad, 0, dms, "POST", "/api/audits", "text/plain", "operator", audit),
		call("dms audit of no auction", auction.CodeUnknownAuction, 0, dms, "POST", "/api/audits", json, "operator", audit),
		call("dms audit unknown field", bad, 0, dms, "POST", "/api/audits", json, "operator", `{"x":1}`),
		call("dms audit doubled key", bad, 0, dms, "POST", "/api/audits", json, "operator", strings.Replace(audit, "{", `{"auction":"x",`, 1)),
		call("dms audit too large", large, 0, dms, "POST", "/api/audits", json, "operator", audit+strings.Repeat(" ", 1<<10)),
	}
}
