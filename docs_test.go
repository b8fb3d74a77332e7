package sigilo_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are the documents of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func page(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksResolve(t *testing.T) {
	for _, path := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(page(t, path), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", path, found[1])
				continue
			}
			if anchor != "" && !hasHeading(page(t, file), anchor) {
				t.Errorf("%s links to %s, which has no such heading", path, found[1])
			}
		}
	}
}

func hasHeading(page, anchor string) bool {
	for line := range strings.Lines(page) {
		if title := strings.TrimLeft(line, "#"); len(title) < len(line) && anchorOf(strings.TrimSpace(title)) == anchor {
			return true
		}
	}
	return false
}

// anchorOf is how the usual renderers of Markdown name a heading.
func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

func TestAnchorOf(t *testing.T) {
	for title, want := range map[string]string{
		"22.1 Refusals":  "221-refusals",
		"The CA: `x_y`!": "the-ca-x_y",
		"Not there yet":  "not-there-yet",
		"10 A-b, and c":  "10-a-b-and-c",
	} {
		if got := anchorOf(title); got != want {
			t.Errorf("%q: got %q, want %q", title, got, want)
		}
	}
}

func TestMakeTargetsExist(t *testing.T) {
	targets := make(map[string]bool)
	for _, found := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(page(t, "Makefile"), -1) {
		targets[found[1]] = true
	}
	named := regexp.MustCompile("(?m)(?:`|^    |^\\$ )make ([a-z-]+)")
	for _, path := range pages(t) {
		for _, found := range named.FindAllStringSubmatch(page(t, path), -1) {
			if !targets[found[1]] {
				t.Errorf("%s names make %s, which the Makefile does not have", path, found[1])
			}
		}
	}
}

// TestReadmeCommands asks sigilo for the help of every command line in the
// README: an unknown command or flag fails, a missing one does not.
func TestReadmeCommands(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "sigilo"), "./cmd/sigilo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := regexp.MustCompile(`(?m)^    \$ (sigilo .*)$`).FindAllStringSubmatch(page(t, "README.md"), -1)
	if len(lines) < 8 {
		t.Errorf("only %d command lines were found", len(lines))
	}
	for _, line := range lines {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line[1]+" --help")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", line[1], err, out)
		}
	}
}
