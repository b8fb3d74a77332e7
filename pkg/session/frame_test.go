package session

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"pgregory.net/rapid"
)

func TestFrameSizes(t *testing.T) {
	c, s := newPair(t, ModeP256)
	const refused = -1
	tests := []struct {
		from, to *Session
		n, frame int
		code     auction.Code
	}{
		{c, s, 0, refused, auction.CodeBadRequest},
		{c, s, 1, ClientFrame + Overhead, ""},
		{c, s, ClientFrame - 4, ClientFrame + Overhead, ""},
		{c, s, ClientFrame - 3, LargeClientFrame + Overhead, ""},
		{c, s, MaxClientPlaintext, LargeClientFrame + Overhead, ""},
		{c, s, MaxClientPlaintext + 1, refused, auction.CodeTooLarge},
		{s, c, 0, refused, auction.CodeBadRequest},
		{s, c, 1, 1 + Overhead, ""},
		{s, c, MaxServerPlaintext, MaxServerPlaintext + Overhead, ""},
		{s, c, MaxServerPlaintext + 1, refused, auction.CodeTooLarge},
		{c, s, 1, ClientFrame + Overhead, ""}, // the refusals changed nothing
		{s, c, 1, 1 + Overhead, ""},
	}
	for _, tc := range tests {
		message := bytes.Repeat([]byte{0xa5}, tc.n)
		frame, err := tc.from.Seal(message)
		if tc.frame == refused {
			wantCode(t, "seal", err, tc.code)
			continue
		}
		if err != nil || len(frame) != tc.frame {
			t.Errorf("%d bytes: frame of %d, %v; want %d", tc.n, len(frame), err, tc.frame)
			continue
		}
		if got, err := tc.to.Open(frame); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes: opened %d, %v", tc.n, len(got), err)
		}
	}
}

// The client's padding has one form; no other opens, however well it is sealed.
func TestPadding(t *testing.T) {
	padded := func(size int, n uint32, dirt int) []byte {
		p := make([]byte, size)
		binary.BigEndian.PutUint32(p, n)
		if dirt > 0 {
			p[dirt] = 1
		}
		return p
	}
	tests := []struct {
		name      string
		plaintext []byte
		ok        bool
	}{
		{"good", padded(ClientFrame, 1, 0), true},
		{"good and large", padded(LargeClientFrame, ClientFrame-3, 0), true},
		{"full", padded(ClientFrame, ClientFrame-4, ClientFrame-1), true},
		{"empty", padded(ClientFrame, 0, 0), false},
		{"longer than the frame", padded(ClientFrame, ClientFrame-3, 0), false},
		{"length near 2^32", padded(ClientFrame, 1<<32-1, 0), false},
		{"large without need", padded(LargeClientFrame, ClientFrame-4, 0), false},
		{"first padding byte", padded(ClientFrame, 1, 5), false},
		{"last padding byte", padded(ClientFrame, 1, ClientFrame-1), false},
		{"a byte short", padded(ClientFrame-1, 1, 0), false},
		{"a byte long", padded(ClientFrame+1, 1, 0), false},
		{"not padded", []byte{0, 0, 0, 1, 0}, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c, s := newPair(t, ModeP256)
			frame, err := c.sender.Seal(nil, tc.plaintext)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Open(frame)
			if tc.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, "open", err, auction.CodeBadFrame)
			good, err := c.Seal([]byte("next"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Open(good)
			wantCode(t, "open after it", err, auction.CodeBadFrame)
		})
	}
}

// The server's frames are bounded and not empty.
func TestServerFrameBounds(t *testing.T) {
	for _, n := range []int{0, MaxServerPlaintext + 1} {
		c, s := newPair(t, ModeP256)
		frame, err := s.sender.Seal(nil, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Open(frame)
		wantCode(t, "open", err, auction.CodeBadFrame)
	}
}

// Of all frames that a party on the wire can deliver, one opens: the next of
// this direction of this session. After any other nothing opens.
func TestOnlyTheNextFrameOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode, toServer := rapid.SampledFrom(Modes()).Draw(t, "mode"), rapid.Bool().Draw(t, "to server")
		c, s := newPair(t, mode)
		otherC, otherS := newPair(t, mode)
		from, to := c, s
		if !toServer {
			from, to = s, c
		}
		var own, foreign [][]byte // frames of this direction; of others
		for i := range 4 {
			text := []byte{'m', byte(i)}
			for _, x := range []*Session{c, s, otherC, otherS} {
				frame, err := x.Seal(text)
				if err != nil {
					t.Fatal(err)
				}
				if x == from {
					own = append(own, frame)
				} else {
					foreign = append(foreign, frame)
				}
			}
		}
		next, dead := 0, false
		for range rapid.IntRange(1, 6).Draw(t, "deliveries") {
			frame, good := deliver(t, own, foreign, next)
			got, err := to.Open(frame)
			if good && !dead {
				if want := []byte{'m', byte(next)}; err != nil || !bytes.Equal(got, want) {
					t.Fatalf("frame %d: %q, %v", next, got, err)
				}
				next++
				continue
			}
			dead = true
			if auction.CodeOf(err) != auction.CodeBadFrame || got != nil {
				t.Fatalf("a wrong frame gave %q, %v", got, err)
			}
		}
	})
}

// deliver draws a frame to deliver, and says whether it is the genuine next one.
func deliver(t *rapid.T, own, foreign [][]byte, next int) ([]byte, bool) {
	if next == len(own) {
		return rapid.SampledFrom(foreign).Draw(t, "foreign"), false
	}
	genuine := own[next]
	switch rapid.SampledFrom([]string{"next", "next", "next", "own", "foreign", "flip", "cut", "grow"}).Draw(t, "kind") {
	case "own": // replayed or reordered
		i := rapid.IntRange(0, len(own)-1).Draw(t, "own")
		return own[i], i == next
	case "foreign": // reflected, or of another session
		return rapid.SampledFrom(foreign).Draw(t, "foreign"), false
	case "flip":
		frame := bytes.Clone(genuine)
		bit := rapid.IntRange(0, 8*len(frame)-1).Draw(t, "bit")
		frame[bit/8] ^= 1 << (bit % 8)
		return frame, false
	case "cut":
		return genuine[:rapid.IntRange(0, len(genuine)-1).Draw(t, "length")], false
	case "grow":
		return append(slices.Clip(genuine), rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "tail")...), false
	default:
		return genuine, true
	}
}

// The two directions do not share state: one goroutine seals while another opens.
func TestDirectionsAreIndependent(t *testing.T) {
	c, s := newPair(t, ModeHybrid)
	const rounds = 50
	up, down := make(chan []byte, rounds), make(chan []byte, rounds)
	seal := func(x *Session, to chan<- []byte) {
		defer close(to)
		for range rounds {
			frame, err := x.Seal([]byte("m"))
			if err != nil {
				t.Error(err)
			}
			to <- frame
		}
	}
	open := func(x *Session, from <-chan []byte, done chan<- struct{}) {
		defer close(done)
		for frame := range from {
			if _, err := x.Open(frame); err != nil {
				t.Error(err)
			}
		}
	}
	serverDone, clientDone := make(chan struct{}), make(chan struct{})
	go seal(c, up)
	go seal(s, down)
	go open(s, up, serverDone)
	go open(c, down, clientDone)
	<-serverDone
	<-clientDone
}
