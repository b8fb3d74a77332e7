// Command sigilo is what a person runs: it keeps the keys, speaks to an auction
// house, and checks what the house says.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are what a program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}
