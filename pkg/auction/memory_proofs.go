package auction

import (
	"bytes"
	"context"
	"slices"
)

var _ Proofs = (*Memory)(nil)

// KeepProof implements [Proofs].
func (m *Memory) KeepProof(_ context.Context, authority string, proof []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.proofs[authority]
	if len(kept) >= MaxProofs || slices.ContainsFunc(kept, func(p []byte) bool { return bytes.Equal(p, proof) }) {
		return nil
	}
	m.proofs[authority] = append(kept, bytes.Clone(proof))
	return nil
}

// Proofs implements [Proofs].
func (m *Memory) Proofs(context.Context) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]byte
	for _, kept := range m.proofs {
		all = append(all, kept...)
	}
	return all, nil
}
