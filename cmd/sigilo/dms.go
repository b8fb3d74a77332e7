package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
)

// dmsCmd is what the operator of a house's DMS does: sigilo dms NAME.
type dmsCmd struct {
	Extend         dmsExtendCmd         `cmd:"" help:"Let an open auction end later."`
	Cancel         dmsCancelCmd         `cmd:"" help:"End an open auction without a sale."`
	Resume         dmsResumeCmd         `cmd:"" help:"Let an auction go on that was suspended since entries were lost."`
	Contradictions dmsContradictionsCmd `cmd:"" help:"Save the proofs that a time authority contradicted itself."`
}

// dmsFlags say which DMS, and show that the operator asks.
type dmsFlags struct {
	House         string `help:"Ready file of a house that is up: it has the DMS's URL and the operator's token." type:"path" placeholder:"FILE"`
	DMS           string `name:"dms" help:"Base URL of a replica, such as https://dms.example.org." placeholder:"URL"`
	OperatorToken string `name:"operator-token" help:"File with the operator's token." type:"path" placeholder:"FILE"`
}

// Validate demands one of the two ways.
func (f *dmsFlags) Validate() error {
	byHand := f.DMS != "" && f.OperatorToken != ""
	if (f.House != "") == byHand || !byHand && (f.DMS != "" || f.OperatorToken != "") {
		return errors.New("either --house, or --dms and --operator-token are needed")
	}
	return nil
}

func (f *dmsFlags) open(a *app) (*operator, error) {
	first := func(r client.ReadyFile) string { return strings.Join(r.DMS[:min(1, len(r.DMS))], "") }
	return openOperator(a, "DMS", f.House, f.DMS, f.OperatorToken, first)
}

type dmsContradictionsCmd struct {
	dmsFlags
	Out string `short:"o" required:"" type:"path" placeholder:"DIR" help:"Directory for the proofs, a file each."`
}

func (dmsContradictionsCmd) Help() string {
	return `sigilo verify checks such a file, anywhere. It shows the permanent identifiers of the two
who signed what was stamped, and of nobody else; of a listing also its hidden reserve price,
so keep that one back until the close.

Example: sigilo dms contradictions --dms https://dms.example.org --operator-token operator.token -o proofs`
}

// maxProofs is above what a house keeps, in bytes: a few proofs of each authority.
const maxProofs = 64 << 20

// Run saves all proofs that are not in the directory yet.
func (c *dmsContradictionsCmd) Run(ctx context.Context, a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	data, err := o.fetch(ctx, http.MethodGet, "/api/contradictions", nil, maxProofs)
	if err != nil {
		return err
	}
	saved, err := saveContradictions(c.Out, slices.Collect(bytes.Lines(data)))
	if err != nil {
		return err
	}
	a.result(struct {
		Files []string `json:"files"`
	}{saved}, func() {
		if len(saved) == 0 {
			a.print("no time authority was found to contradict itself")
		}
		for _, path := range saved {
			a.print("%s", path)
		}
	})
	return nil
}

// saveContradictions writes proofs that are not there yet to a directory, a file
// each, and returns their paths.
func saveContradictions(dir string, proofs [][]byte) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, local("make the directory: %w", err)
	}
	saved := []string{}
	for _, proof := range proofs {
		v, err := evidence.VerifyContradiction(proof, nil)
		if err != nil {
			return saved, refused("a proof does not hold: %w", err)
		}
		hash := sha256.Sum256(proof)
		path := filepath.Join(dir, v.Authority+"-"+hex.EncodeToString(hash[:8])+".contradiction")
		if err := writeNew(path, proof); err != nil && !errors.Is(err, fs.ErrExist) {
			return saved, local("save a proof: %w", err)
		}
		saved = append(saved, path)
	}
	return saved, nil
}
