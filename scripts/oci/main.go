// Command oci makes OCI archives, which docker save writes only since version 25.
//
//	oci pack SAVED.tar NAME:TAG ARCHIVE.tar   from what docker save wrote
//	oci check ARCHIVE.tar...                  that each is whole
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 4 && args[0] == "pack":
		return pack(args[1], args[2], args[3])
	case len(args) >= 2 && args[0] == "check":
		for _, path := range args[1:] {
			found, err := check(path)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			fmt.Fprintf(out, "%s is whole: %s %s\n", path, found.name, found.digest)
		}
		return nil
	}
	return errors.New("usage: oci pack SAVED.tar NAME:TAG ARCHIVE.tar | oci check ARCHIVE.tar...")
}
