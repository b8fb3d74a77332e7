package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// The best mode that both sides have is the session's, whoever stands between
// them; a mode is left out by the two sides alone.
func TestDowngrade(t *testing.T) {
	both, old := []string{ModeP256, ModeHybrid}, []string{ModeP256}
	if got := Modes(); !slices.Equal(got, []string{ModeHybrid, ModeP256}) {
		t.Fatalf("modes %v", got)
	}
	cut := rewriteStart(func(m *start) { m.offered = old })
	cutKey := rewriteStart(func(m *start) { m.offered, m.key = old, freshKey(t, ModeP256).PublicKey().Bytes() })
	restore := rewriteHello(func(m *hello) { m.mode = ModeHybrid })
	const none = auction.Code("")
	for _, tc := range []struct {
		name                   string
		clientMode, serverMode string
		offered, spoken        []string // nil spoken is all
		middle                 middle
		client, server         auction.Code
	}{
		{"best mode", ModeHybrid, ModeHybrid, both, nil, nil, none, none},
		{"client without it", ModeP256, ModeP256, old, nil, nil, none, none},
		{"server without it", ModeP256, ModeP256, both, old, nil, none, none},
		{"server with it alone", ModeHybrid, ModeHybrid, both, []string{ModeHybrid}, nil, none, none},
		{"cut from the negotiation", ModeP256, ModeP256, both, nil, nil, none, auction.CodeBadHandshake},
		{"cut from the negotiation and from start", ModeP256, ModeP256, both, nil, change(true, 0, cut), auction.CodeBadSignature, none},
		{"each side told another mode", ModeHybrid, ModeP256, both, nil, change(true, 0, cutKey), auction.CodeBadHandshake, none},
		{"each side told another mode, and hello changed back", ModeHybrid, ModeP256, both, nil, func(up bool, n int, msg []byte) [][]byte {
			switch {
			case up && n == 0:
				msg = cutKey(msg)
			case !up && n == 0:
				msg = restore(msg)
			}
			return [][]byte{msg}
		}, auction.CodeBadSignature, none},
		{"server turned to a lesser mode", ModeHybrid, ModeP256, both, nil, nil, none, auction.CodeBadHandshake},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cc, sc := clientConfig(tc.clientMode, client), serverConfig(tc.serverMode, dms)
			cc.Offered, sc.Spoken = tc.offered, tc.spoken
			m := meet(cc, sc, tc.middle)
			if tc.client == none && tc.server == none {
				if err := errors.Join(m.clientErr, m.serverErr); err != nil {
					t.Error(err)
				}
				return
			}
			if m.client != nil || m.server != nil {
				t.Error("a session came of it")
			}
			if tc.client != none {
				wantCode(t, "client", m.clientErr, tc.client)
			}
			if tc.server != none {
				wantCode(t, "server", m.serverErr, tc.server)
			}
		})
	}
}
