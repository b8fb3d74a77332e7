package session

import "testing"

// BenchmarkHandshake is both sides together, over memory.
func BenchmarkHandshake(b *testing.B) {
	for _, mode := range Modes() {
		b.Run(mode, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newPair(b, mode)
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	benchmarkFrames(b, func(from, _ *Session, message []byte) error {
		_, err := from.Seal(message)
		return err
	})
}

// BenchmarkSealOpen is a frame's way through both sides; without BenchmarkSeal it
// is that of opening.
func BenchmarkSealOpen(b *testing.B) {
	benchmarkFrames(b, func(from, to *Session, message []byte) error {
		frame, err := from.Seal(message)
		if err != nil {
			return err
		}
		_, err = to.Open(frame)
		return err
	})
}

func benchmarkFrames(b *testing.B, step func(from, to *Session, message []byte) error) {
	for _, bc := range []struct {
		name       string
		fromClient bool
		size       int
	}{
		{"client-1500", true, 1500},
		{"client-8000", true, 8000},
		{"server-500", false, 500},
		{"server-65536", false, MaxServerPlaintext},
	} {
		b.Run(bc.name, func(b *testing.B) {
			from, to := newPair(b, ModeP256)
			if !bc.fromClient {
				from, to = to, from
			}
			message := make([]byte, bc.size)
			b.ReportAllocs()
			b.SetBytes(int64(bc.size))
			for b.Loop() {
				if err := step(from, to, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
