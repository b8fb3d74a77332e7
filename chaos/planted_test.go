package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A replica that does not know a command again, when it is sent once more, is
// found by what people hold: who asked is refused what stands in the log.
func TestPlantedBugIsFound(t *testing.T) {
	t.Parallel()
	const most = 4 // rounds
	dir := t.TempDir()
	if err := build(t.Context(), dir, "-overlay", forgetfulScript(t, dir)); err != nil {
		t.Fatal(err)
	}
	r, err := open(t.Context(), config{Redis: "standalone", Replicas: 2}, t.TempDir(), dir, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	for n := range most {
		held, err := r.round(t.Context(), n+1, rand.Uint64())
		if err != nil {
			t.Fatal(err)
		}
		record, err := r.read(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		found := audit(record)
		t.Logf("round %d: %+v, found %v", n+1, record.deeds(), found)
		if found.count(differs) > 0 || found.count(disorder) > 0 {
			return
		}
		r.forget(held)
	}
	t.Errorf("not found in %d rounds", most)
}

// forgetfulScript writes what the build takes for another place.lua: one without
// the check for a command that is known.
func forgetfulScript(t *testing.T, dir string) (overlay string) {
	t.Helper()
	const check = "if known then return known end\n"
	original, err := filepath.Abs("../pkg/store/scripts/place.lua")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(script), check) != 1 {
		t.Fatal("place.lua has no such check")
	}
	changed := filepath.Join(dir, "place.lua")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(script), check, "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
