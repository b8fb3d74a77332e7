package wire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// without returns data once for each member of an object anywhere in it, without
// that member. The type of a message stays, and stays in front.
func without(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	kind, isMessage := root["type"]
	delete(root, "type")
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case map[string]any:
			for name, member := range v {
				delete(v, name)
				b, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				if isMessage && len(b) > len("{}") {
					b = []byte(`{"type":"` + kind.(string) + `",` + string(b[1:]))
				}
				out[path+"."+name] = b
				v[name] = member
				walk(path+"."+name, member)
			}
		}
	}
	walk("", root)
	return out
}

func TestNoMemberOfACommandMayBeLeftOut(t *testing.T) {
	for name, c := range commands() {
		payload, err := base64.RawURLEncoding.DecodeString(string(bytes.Split(sign(t, c), []byte("."))[1]))
		if err != nil {
			t.Fatal(err)
		}
		for member, p := range without(t, payload) {
			_, err := wire.ParseCommand([]byte(jwsOf(goodHeader(), string(p))))
			if optional := member == ".body.after"; (err == nil) != optional {
				t.Errorf("%s without %s: %v", name, member, err)
			}
		}
	}
}

func TestWhichMembersOfAMessageMayBeLeftOut(t *testing.T) {
	want := []string{
		"after", "bids", "certificates", "crl", "detail", "id", "index", "least", "mine", "more",
		"receipt", "sealed", "seq", "tie_window",
	}
	got := make(map[string]bool)
	check := func(name, member string, err error) {
		last := member[strings.LastIndexByte(member, '.')+1:]
		got[last] = got[last] || err == nil
		if err == nil && !slices.Contains(want, last) {
			t.Errorf("%s parses without %s", name, member)
		}
		if err != nil && auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s without %s: %v", name, member, err)
		}
	}
	for _, s := range requests() {
		for member, data := range without(t, wire.EncodeClient(s.m)) {
			_, err := wire.ParseClient(data)
			check(s.name, member, err)
		}
	}
	for _, s := range answers() {
		for member, data := range without(t, wire.AppendMessage(nil, s.m)) {
			_, err := wire.ParseServer(data)
			check(s.name, member, err)
		}
	}
	for _, name := range want {
		if !got[name] {
			t.Errorf("no message parses without %s", name)
		}
	}
}
