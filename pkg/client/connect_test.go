package client_test

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A replica whose time is not that of the stamps may hold a key whose
// certificate has ended. It is left at the first connection too, when the time
// authorities are known only afterwards, and gets no command.
func TestHelloAtAnotherTime(t *testing.T) {
	l := newLiar(t)
	l.drift = 2 * time.Minute
	p := enrolAt(t, l)
	l.toHouse = func(m wire.ClientMessage) bool {
		if _, command := m.(*wire.CommandRequest); command {
			t.Error("it got a command")
		}
		return true
	}
	_, err := p.Items(within(t))
	wantCode(t, err, auction.CodeBadHandshake)
}
