package ca

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// FilePolicy is the house policy that Bootstrap makes.
const FilePolicy = "policy.json"

// makePolicy makes the policy that follows from the keys: the root, the log key,
// and the time authorities, of which as many must stamp as can be had while a
// third of them fails (n = 3f+1, q = 2f+1). An operator who wants other times
// writes another policy.
func (m *maker) makePolicy() {
	root, log := m.chain(FileRoot), m.material[FileLog]
	m.add(FilePolicy, false, func() ([]byte, error) {
		p := auction.DefaultPolicy(m.cfg.House)
		p.Roots = []auction.Hash{sha256.Sum256(root[0])}
		p.LogKey = strings.TrimSpace(string(log.Data))
		p.Quorum = quorumOf(len(m.cfg.Authorities))
		p.Simulated = m.cfg.SimulatedTime
		oid := tsp.RealTime
		if p.Simulated {
			oid = tsp.SimulatedTime
			p.OutageAfter, p.OutageExtension = 0, 0 // whoever moves such a clock would make an outage
		}
		for _, name := range m.cfg.Authorities {
			_, file := TSAFiles(name, p.Simulated)
			chain := m.chain(file)
			if m.err != nil {
				return nil, m.err
			}
			p.Authorities = append(p.Authorities, auction.Authority{
				Name: name, Policy: oid.String(), Certificates: []auction.Blob{chain[0]},
			})
		}
		return p.Encode()
	})
	if m.err != nil {
		return
	}
	p, err := auction.ParsePolicy(m.material[FilePolicy].Data)
	if err != nil {
		m.err = fmt.Errorf("read %s: %w", FilePolicy, err)
	} else if p.House != m.cfg.House || p.Simulated != m.cfg.SimulatedTime {
		m.err = fmt.Errorf("check %s: it is of another house, or of another kind of time", FilePolicy)
	}
}

// quorumOf returns how many of n time authorities must stamp.
func quorumOf(n int) int { return 2*((n-1)/3) + 1 }
