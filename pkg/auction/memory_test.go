package auction_test

import (
	"crypto/rand"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

func TestMemoryContract(t *testing.T) {
	auctiontest.Run(t, func(t *testing.T, clock auction.Clock) auctiontest.Backend {
		return auction.NewMemory(clock, auctiontest.Signer{}, rand.Reader)
	})
}
