// Command sbom lists the modules that the programs of this repository are built
// from, as an SPDX 2.3 document, on the standard output.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// A document is the part of SPDX 2.3 that says what is inside.
type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []pkg          `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pkg struct {
	ID       string `json:"SPDXID"`
	Name     string `json:"name"`
	Version  string `json:"versionInfo"`
	Location string `json:"downloadLocation"`
	License  string `json:"licenseConcluded"`
	Refs     []ref  `json:"externalRefs"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// module is what go list prints.
type module struct {
	Path, Version string
	Main          bool
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: sbom VERSION")
	}
	list, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Main}}{{end}}", "./cmd/...").Output()
	if err != nil {
		return fmt.Errorf("list the packages: %w", err)
	}
	doc := describe(args[0], modules(list), time.Now())
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(doc)
}

// modules returns each module once, in the order of the list.
func modules(list []byte) (all []module) {
	seen := make(map[string]bool)
	for line := range strings.Lines(string(bytes.TrimSpace(list))) {
		fields := strings.Split(strings.TrimSpace(line), " ")
		if len(fields) != 3 || seen[fields[0]] {
			continue
		}
		seen[fields[0]] = true
		all = append(all, module{Path: fields[0], Version: fields[1], Main: fields[2] == "true"})
	}
	return all
}

func describe(version string, modules []module, now time.Time) document {
	const root = "SPDXRef-sigilo"
	doc := document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "sigilo-" + version,
		Namespace:     "https://github.com/sigilo/sigilo/sbom/" + version,
		Creation:      creation{now.UTC().Format(time.RFC3339), []string{"Tool: sigilo-sbom"}},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", root}},
	}
	for i, m := range modules {
		id := fmt.Sprintf("SPDXRef-module-%d", i)
		if m.Main {
			id, m.Version = root, version
		} else {
			doc.Relationships = append(doc.Relationships, relationship{root, "DEPENDS_ON", id})
		}
		doc.Packages = append(doc.Packages, pkg{
			ID: id, Name: m.Path, Version: m.Version, Location: "NOASSERTION", License: "NOASSERTION",
			Refs: []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}},
		})
	}
	return doc
}
