package bench_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/sigilo/sigilo/bench"
)

// asReplica makes the test program the replica of a benchmark.
const asReplica = "SIGILO_TEST_REPLICA"

func TestMain(m *testing.M) {
	if os.Getenv(asReplica) == "" {
		os.Exit(m.Run())
	}
	if err := bench.RunDMS(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// replica is the command line of a replica.
func replica(t *testing.T) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asReplica, "1") // for the process that is started
	return []string{program}
}
