package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// accuracy is what stamps made here say of their clock.
const accuracy = 100 * time.Millisecond

// benchStamper is a time authority in this process: it stamps with the key of
// the one authority of a house that was started for a benchmark, so that no
// time authority is measured along with the DMS.
type benchStamper struct {
	issuer    *tsp.Issuer
	authority *tsp.Authority // nil until the policy is known
}

func newBenchStamper(keyFile, certificateFile string) (*benchStamper, error) {
	key, err := identity.LoadKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("load the stamping key: %w", err)
	}
	chain, err := identity.LoadChain(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("load the stamping certificate: %w", err)
	}
	issuer, err := tsp.NewIssuer(tsp.IssuerConfig{
		Key: key, Chain: chain, Policy: tsp.RealTime, Accuracy: accuracy, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		return nil, err
	}
	return &benchStamper{issuer: issuer}, nil
}

// use is for [house.learn].
func (s *benchStamper) use(_ *house, authorities []*tsp.Authority) (tsp.Stamper, error) {
	if len(authorities) != 1 {
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "a stamping key serves a house with one time authority")
	}
	return &benchStamper{issuer: s.issuer, authority: authorities[0]}, nil
}

// Stamp implements [tsp.Stamper].
func (s *benchStamper) Stamp(_ context.Context, imprint [32]byte) ([][]byte, auction.Time, error) {
	request, err := tsp.NewRequest(imprint, tsp.RealTime, rand.Reader)
	if err != nil {
		return nil, 0, err
	}
	query, err := request.Marshal()
	if err != nil {
		return nil, 0, err
	}
	token, err := tsp.ParseResponse(s.issuer.Respond(query))
	if err != nil {
		return nil, 0, err
	}
	return [][]byte{token}, 0, nil
}

// maxQuery bounds a time-stamp request, in bytes.
const maxQuery = 4 << 10

// ServeHTTP stamps for the house's own clock: two processes with one key would
// not keep its tokens in order.
func (s *benchStamper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := io.ReadAll(io.LimitReader(r.Body, maxQuery))
	if err != nil {
		http.Error(w, "the body breaks off", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", tsp.ReplyType)
	_, _ = w.Write(s.issuer.Respond(query)) // the caller is gone if it fails
}
