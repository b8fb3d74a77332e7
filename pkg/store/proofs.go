package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

var _ auction.Proofs = (*Store)(nil)

// KeepProof implements [auction.Proofs]. Replicas that keep some at the same
// moment may keep a few more than the limit.
func (s *Store) KeepProof(ctx context.Context, authority string, proof []byte) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key := s.proofsKey()
	fields, err := s.client.HKeys(ctx, key).Result()
	if err != nil {
		return s.failed(ctx, "look for proofs", err)
	}
	kept := 0
	for _, field := range fields {
		if strings.HasPrefix(field, authority+":") {
			kept++
		}
	}
	if kept >= auction.MaxProofs {
		return nil
	}
	hash := sha256.Sum256(proof)
	err = s.client.durably(ctx, key, func(pipe redis.Pipeliner) {
		pipe.HSet(ctx, key, authority+":"+hex.EncodeToString(hash[:]), proof)
	})
	if err != nil {
		return s.failed(ctx, "keep a proof", err)
	}
	return nil
}

// Proofs implements [auction.Proofs].
func (s *Store) Proofs(ctx context.Context) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	values, err := s.client.HVals(ctx, s.proofsKey()).Result()
	if err != nil {
		return nil, s.failed(ctx, "read proofs", err)
	}
	proofs := make([][]byte, len(values))
	for i, v := range values {
		proofs[i] = []byte(v)
	}
	return proofs, nil
}
