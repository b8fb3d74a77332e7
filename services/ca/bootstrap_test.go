package ca

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

func houseConfig() BootstrapConfig {
	return BootstrapConfig{House: testHouse, Authorities: []string{"one", "two"}, Now: epoch}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, entry := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		files[entry.Name()] = string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, entry.Name()))))
	}
	return files
}

func TestBootstrap(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := Bootstrap(dir, houseConfig()); err != nil {
		t.Fatal(err)
	}
	first := contents(t, dir)
	if diff := cmp.Diff([]string{
		"ca.key", "ca.pem", "credential.key", "dms.key", "dms.pem", "log.key", "log.pub", "operator.token", "policy.json",
		"root.key", "root.pem", "token.key", "tsa-one.key", "tsa-one.pem", "tsa-two.key", "tsa-two.pem",
	}, slices.Sorted(maps.Keys(first))); diff != "" {
		t.Fatal(diff)
	}
	for name := range first {
		info, err := os.Stat(filepath.Join(dir, name))
		secret := strings.HasSuffix(name, ".key") || strings.HasSuffix(name, ".token")
		if want := map[bool]fs.FileMode{true: 0o600, false: 0o644}[secret]; err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	roots := must[[][]byte](t)(identity.LoadChain(filepath.Join(dir, FileRoot)))
	verifier := must[*identity.Verifier](t)(identity.NewVerifier(testHouse, roots...))
	for name, role := range map[string]identity.Role{FileDMS: identity.RoleDMS, "tsa-one.pem": identity.RoleTSA} {
		if _, err := verifier.Verify(must[[][]byte](t)(identity.LoadChain(filepath.Join(dir, name))), role, epoch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	signer := must[note.Signer](t)(note.NewSigner(first[FileLogKey]))
	signed := must[[]byte](t)(note.Sign(&note.Note{Text: "x\n"}, signer))
	if _, err := note.Open(signed, note.VerifierList(must[note.Verifier](t)(note.NewVerifier(first[FileLog])))); err != nil {
		t.Errorf("log key: %v", err)
	}
	if _, err := tsp.NewAuthority(tsp.AuthorityConfig{
		House: testHouse, Name: "two", Roots: roots, Policy: tsp.RealTime,
		Certificates: must[[][]byte](t)(identity.LoadChain(filepath.Join(dir, "tsa-two.pem"))),
	}); err != nil {
		t.Errorf("time authority: %v", err)
	}

	again := houseConfig()
	again.Now = epoch.Add(5 * 365 * 24 * time.Hour)
	if err := Bootstrap(dir, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, contents(t, dir)); diff != "" {
		t.Errorf("a second run changed something: %s", diff)
	}
}

// A bootstrap that died after any file goes on, and changes nothing that is there.
func TestBootstrapGoesOn(t *testing.T) {
	whole := must[Material](t)(Complete(nil, houseConfig()))
	names := whole.order()
	for n := range names {
		have := Material{}
		for _, name := range names[:n] {
			have[name] = whole[name]
		}
		all, err := Complete(have, houseConfig())
		if err != nil {
			t.Fatalf("after %d files: %v", n, err)
		}
		if !slices.Equal(all.order(), names) {
			t.Fatalf("after %d files: %v", n, all.order())
		}
		for name, item := range have {
			if !bytes.Equal(all[name].Data, item.Data) {
				t.Errorf("after %d files %s is another", n, name)
			}
		}
	}
}

func TestRootKeyMayBeAway(t *testing.T) {
	have := must[Material](t)(Complete(nil, houseConfig()))
	delete(have, FileRootKey)
	all := must[Material](t)(Complete(have, houseConfig()))
	if _, made := all[FileRootKey]; made {
		t.Error("another key for the same root")
	}
	more := houseConfig()
	more.Authorities = append(more.Authorities, "three")
	if _, err := Complete(have, more); err == nil || !strings.Contains(err.Error(), FileRootKey) {
		t.Errorf("a certificate without the root's key: %v", err)
	}
}

func TestBootstrapRefuses(t *testing.T) {
	whole := must[Material](t)(Complete(nil, houseConfig()))
	other := must[Material](t)(Complete(nil, houseConfig()))
	with := func(changes map[string]*Item) Material {
		have := maps.Clone(whole)
		for name, item := range changes {
			if item == nil {
				delete(have, name)
			} else {
				have[name] = *item
			}
		}
		return have
	}
	from := func(names ...string) map[string]*Item {
		changes := map[string]*Item{}
		for _, name := range names {
			item := other[name]
			changes[name] = &item
		}
		return changes
	}
	junk := &Item{Data: []byte("junk")}
	for name, have := range map[string]Material{
		"another root":                with(from(FileRoot)),
		"another CA certificate":      with(from(FileCertificate)),
		"another CA":                  with(from(FileCertificate, FileKey)),
		"another DMS":                 with(from(FileDMS, FileDMSKey)),
		"another DMS key":             with(from(FileDMSKey)),
		"another log key":             with(from(FileLogKey)),
		"another time authority":      with(from("tsa-one.pem", "tsa-one.key")),
		"CA certificate without key":  with(map[string]*Item{FileKey: nil}),
		"DMS certificate without key": with(map[string]*Item{FileDMSKey: nil}),
		"log verifier without key":    with(map[string]*Item{FileLogKey: nil}),
		"junk for a key":              with(map[string]*Item{FileTokenKey: junk}),
		"junk for a certificate":      with(map[string]*Item{FileDMS: junk}),
		"junk for the log key":        with(map[string]*Item{FileLogKey: junk}),
		"one authority as the other": func() Material {
			m := maps.Clone(whole)
			m["tsa-one.pem"], m["tsa-one.key"] = m["tsa-two.pem"], m["tsa-two.key"]
			return m
		}(),
		"a time authority as the DMS": func() Material {
			m := maps.Clone(whole)
			m[FileDMS], m[FileDMSKey] = m["tsa-two.pem"], m["tsa-two.key"]
			return m
		}(),
		"another house's certificates": must[Material](t)(Complete(nil, BootstrapConfig{House: "other", Authorities: []string{"one", "two"}, Now: epoch})),
		"simulated for real time":      simulatedAsReal(t),
		"the root's certificate for a CA": func() Material {
			m := maps.Clone(whole)
			m[FileCertificate], m[FileKey] = m[FileRoot], m[FileRootKey]
			return m
		}(),
	} {
		if _, err := Complete(have, houseConfig()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, cfg := range map[string]BootstrapConfig{
		"house": {House: "Demo", Authorities: []string{"one"}, Now: epoch}, "no authority": {House: "demo", Now: epoch},
		"authority": {House: "demo", Authorities: []string{"One"}, Now: epoch},
	} {
		if _, err := Complete(nil, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// simulatedAsReal gives the keys of simulated time the names of those of real time.
func simulatedAsReal(t *testing.T) Material {
	cfg := houseConfig()
	cfg.SimulatedTime = true
	have := must[Material](t)(Complete(nil, cfg))
	for _, authority := range cfg.Authorities {
		fromKey, fromCert := TSAFiles(authority, true)
		toKey, toCert := TSAFiles(authority, false)
		have[toKey], have[toCert] = have[fromKey], have[fromCert]
	}
	delete(have, FilePolicy)
	return have
}

func TestBootstrapDoesNotReadAnOpenSecret(t *testing.T) {
	dir := newFolder(t)
	if err := os.Chmod(filepath.Join(dir, FileRootKey), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Bootstrap(dir, BootstrapConfig{House: testHouse, Authorities: []string{"clock"}, Now: epoch}); err == nil {
		t.Error("a key that everybody can read is taken")
	}
}
