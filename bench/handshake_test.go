package bench

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/session"
)

// What a handshake has on the wire is known: the keys and enc of the KEM, twice,
// and the rest, which is the same in both modes but for the name.
func TestHandshake(t *testing.T) {
	result, err := Handshake(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	const more = 2 * (1249 + 1153 - 2*65)
	names := 2 * (len(session.ModeHybrid) - len(session.ModeP256)) // in start and hello
	got := result.Figures["mlkem768p256_bytes"] - result.Figures["p256_bytes"]
	if want := float64(more + names); got < want-8 || got > want+8 { // ECDSA signatures vary by some bytes
		t.Errorf("the hybrid has %v bytes more, want about %v", got, want)
	}
	for _, name := range []string{"hybrid_server_cpu_to_p256", "hybrid_client_cpu_to_p256", "hybrid_bytes_to_p256"} {
		if result.Ratios[name] <= 0 {
			t.Errorf("no %s in %v", name, result.Ratios)
		}
	}
	if _, err := Handshake(t.Context(), 0); err == nil {
		t.Error("no rounds, and no error")
	}
}
