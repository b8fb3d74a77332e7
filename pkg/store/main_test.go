package store_test

import (
	"flag"
	"os"
	"testing"
)

// Fewer random histories than rapid's 100, unless asked for more: each opens
// three replicas and waits for the disk.
func TestMain(m *testing.M) {
	checks := flag.Lookup("rapid.checks")
	if err := checks.Value.Set("25"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
