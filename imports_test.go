package sigilo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sigilo/sigilo"

// layers from the inside out: a package imports no layer above its own. bench
// drives the services, and cmd/sigilo calls it; chaos runs the programs.
var layers = []string{"pkg", "services", "bench", "cmd", "chaos"}

// adapters lists, for each package under pkg, the other ones that it may import
// besides auction and wire. A package that is not here may import those two.
var adapters = map[string][]string{
	"accept":   {"identity", "tsp"},
	"evidence": {"accept", "identity", "tsp"},
	"client":   {"accept", "evidence", "identity", "ops", "session", "tsp"}, // composes the person's side
}

// owners lists the only units (see unit) that may import a module, by the
// prefix of its path: what a technology means to us is decided in one place.
var owners = map[string][]string{
	"github.com/labstack/echo/":               {"services"},
	"github.com/coder/websocket":              {"services", "pkg/client", "bench", "chaos"},
	"github.com/redis/go-redis/":              {"pkg/store"},
	"github.com/alicebob/miniredis/":          {"services/allinone"},
	"github.com/lestrrat-go/jwx/":             {"pkg/identity"},
	"github.com/go-json-experiment/json":      {"pkg/wire", "pkg/identity"},
	"github.com/alecthomas/kong":              {"pkg/ops", "cmd"},
	"modernc.org/sqlite":                      {"services/ca"},
	"filippo.io/age":                          {"pkg/identity"},
	"github.com/coreos/go-oidc/":              {"services/ca", "pkg/client"},
	"github.com/beevik/ntp":                   {"services/tsa"},
	"github.com/sigstore/timestamp-authority": {"bench"},
	"github.com/Shopify/toxiproxy/":           {"chaos"},
	"github.com/anishathalye/porcupine":       {"chaos"},
	"github.com/transparency-dev/merkle":      {},
	"pgregory.net/rapid":                      {},
	"testing":                                 {},
}

// calls lists who may call what, outside of tests.
var calls = map[string][]string{
	"auction.NewAccepted(": {"pkg/accept"},
	"websocket.Accept(":    {"services"},
}

// A goPackage is what the checks need to know of one package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Dir        string
	GoFiles    []string
}

// path is the package's path inside the module, "" for the root.
func (p goPackage) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// unit is the part of a path inside the module that the rules speak of, such as
// pkg/store for pkg/store/storetest, or cmd/dms.
func unit(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func within(path string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

// forTests reports whether a package exists for tests, by its name: they import
// it, and it may import what they may.
func forTests(path string) bool { return strings.HasSuffix(path, "test") }

// checkImport says what is wrong with the import of imported by the package at
// path, "" if nothing is.
func checkImport(path, imported string) string {
	inner, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return checkForeign(path, imported)
	}
	from, to := unit(path), unit(inner)
	switch {
	case forTests(inner) && !forTests(path):
		return "only tests use a package for tests"
	case from == to:
		return ""
	case layer(to) < 0:
		return "the root holds no code"
	case layer(from) < layer(to):
		return "imports point from cmd over services to pkg"
	}
	_, name, _ := strings.Cut(from, "/")
	_, other, _ := strings.Cut(to, "/")
	switch {
	case layer(from) == 1 && layer(to) == 1 && name != "allinone":
		return "services are apart; only allinone puts them together"
	case layer(from) != 0:
		return ""
	case name == "auction", name == "wire" && other != "auction":
		return name + " is below the adapters"
	case other != "auction" && other != "wire" && !slices.Contains(adapters[name], other):
		return "adapters do not know each other"
	}
	return ""
}

func layer(unit string) int {
	first, _, _ := strings.Cut(unit, "/")
	return slices.Index(layers, first)
}

// checkForeign judges the import of a package from outside of the module.
func checkForeign(path, imported string) string {
	if forTests(path) {
		return ""
	}
	for prefix, allowed := range owners {
		if strings.HasPrefix(imported, prefix) && !within(path, allowed) {
			return fmt.Sprintf("only %v may import it", allowed)
		}
	}
	first, _, _ := strings.Cut(imported, "/")
	std := !strings.Contains(first, ".")
	switch unit(path) {
	case "pkg/auction":
		if !std {
			return "the domain imports the standard library alone"
		}
	case "pkg/wire":
		if !std && !strings.HasPrefix(imported, "github.com/go-json-experiment/json") &&
			!strings.HasPrefix(imported, "golang.org/x/crypto/") {
			return "wire imports a strict JSON library and x/crypto alone"
		}
	}
	return ""
}

// checkCalls says which calls in a source file of the package at path are not
// for it to make.
func checkCalls(path, source string) []string {
	var wrong []string
	for call, allowed := range calls {
		if strings.Contains(source, call) && !within(path, allowed) && !forTests(path) {
			wrong = append(wrong, fmt.Sprintf("only %v may call %s...)", allowed, call))
		}
	}
	return wrong
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if wrong := checkImport(p.path(), imported); wrong != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, wrong)
			}
		}
		for _, name := range p.GoFiles {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range checkCalls(p.path(), string(source)) {
				t.Errorf("%s: %s", filepath.Join(p.path(), name), wrong)
			}
		}
	}
}

// listPackages asks the Go tool for all packages of the module.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Dir,GoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestCheckImport(t *testing.T) {
	const ours = module + "/"
	tests := []struct {
		path, imported string
		ok             bool
	}{
		{"cmd/dms", ours + "services/dms", true},
		{"cmd/sigilo", ours + "bench", true},
		{"bench", ours + "services/allinone", true},
		{"chaos", ours + "services/ca", true},
		{"services/dms", ours + "pkg/store", true},
		{"services/allinone", ours + "services/dms", true},
		{"services/dms/internal/frames", ours + "services/dms", true},
		{"pkg/store", ours + "services/dms", false},
		{"services/dms", ours + "cmd/dms", false},
		{"services/dms", ours + "bench", false},
		{"bench", ours + "chaos", false},
		{"services/dms", ours + "services/ca", false},
		{"cmd/dms", module + "/nowhere", false},

		{"pkg/auction", "crypto/sha256", true},
		{"pkg/auction", "golang.org/x/crypto/cryptobyte", false},
		{"pkg/auction", ours + "pkg/wire", false},
		{"pkg/auction/auctiontest", "pgregory.net/rapid", true},
		{"pkg/auction/auctiontest", ours + "pkg/auction", true},
		{"pkg/store", ours + "pkg/auction/auctiontest", false},
		{"pkg/wire", ours + "pkg/auction", true},
		{"pkg/wire", ours + "pkg/identity", false},
		{"pkg/wire", "github.com/go-json-experiment/json/jsontext", true},
		{"pkg/wire", "github.com/google/uuid", false},

		{"pkg/accept", ours + "pkg/tsp", true},
		{"pkg/evidence", ours + "pkg/accept", true},
		{"pkg/accept", ours + "pkg/evidence", false},
		{"pkg/session", ours + "pkg/identity", false},
		{"pkg/tsp", ours + "pkg/ops", false},
		{"pkg/client", ours + "pkg/session", true},
		{"pkg/client", ours + "pkg/store", false},

		{"services/ca", "github.com/labstack/echo/v4", true},
		{"pkg/ops", "github.com/labstack/echo/v4", false},
		{"pkg/client", "github.com/coder/websocket", true},
		{"pkg/session", "github.com/coder/websocket", false},
		{"pkg/store", "github.com/redis/go-redis/v9", true},
		{"services/dms", "github.com/redis/go-redis/v9", false},
		{"pkg/identity", "github.com/lestrrat-go/jwx/v2/jwt", true},
		{"services/ca", "github.com/lestrrat-go/jwx/v2/jwt", false},
		{"services/dms", "modernc.org/sqlite", false},
		{"pkg/tsp", "github.com/sigstore/timestamp-authority/v2/pkg/verification", false},
		{"pkg/store", "testing", false},
	}
	for _, tt := range tests {
		if wrong := checkImport(tt.path, tt.imported); (wrong == "") != tt.ok {
			t.Errorf("%s imports %s: got %q, want ok %v", tt.path, tt.imported, wrong, tt.ok)
		}
	}
}

func TestCheckCalls(t *testing.T) {
	tests := []struct {
		path, source string
		ok           bool
	}{
		{"pkg/accept", "return auction.NewAccepted(c), nil", true},
		{"services/dms", "return auction.NewAccepted(c), nil", false},
		{"pkg/auction/auctiontest", "return auction.NewAccepted(c), nil", true},
		{"pkg/acceptance", "return auction.NewAccepted(c), nil", false},
		{"services/dms", "conn, err := websocket.Accept(w, r, nil)", true},
		{"pkg/client", "conn, err := websocket.Accept(w, r, nil)", false},
		{"pkg/client", "conn, _, err := websocket.Dial(ctx, url, nil)", true},
	}
	for _, tt := range tests {
		if wrong := checkCalls(tt.path, tt.source); (len(wrong) == 0) != tt.ok {
			t.Errorf("%s with %q: got %q, want ok %v", tt.path, tt.source, wrong, tt.ok)
		}
	}
}
