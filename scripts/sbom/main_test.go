package main

import (
	"testing"
	"time"
)

func TestDescribe(t *testing.T) {
	list := modules([]byte("\nexample.org/a v1.2.3 false\nexample.org/a v1.2.3 false\ngithub.com/sigilo/sigilo  true\n"))
	doc := describe("0.1.0", list, time.Unix(0, 0))
	if len(doc.Packages) != 2 || doc.Packages[0].Refs[0].Locator != "pkg:golang/example.org/a@v1.2.3" {
		t.Errorf("packages: %+v", doc.Packages)
	}
	if doc.Packages[1].ID != "SPDXRef-sigilo" || doc.Packages[1].Version != "0.1.0" {
		t.Errorf("the program itself: %+v", doc.Packages[1])
	}
	if len(doc.Relationships) != 2 || doc.Relationships[1] != (relationship{"SPDXRef-sigilo", "DEPENDS_ON", "SPDXRef-module-0"}) {
		t.Errorf("relationships: %+v", doc.Relationships)
	}
}
