package dms

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// handshakeTimeout bounds a handshake, so that half-open connections go.
	handshakeTimeout = 10 * time.Second
	// writeTimeout bounds one write: a client that takes nothing for so long is gone.
	writeTimeout = 10 * time.Second
	// pingEvery keeps middle boxes from dropping an idle connection, and finds
	// clients that vanished.
	pingEvery = 25 * time.Second
	// pongWithin is how long a client that sends nothing has to answer a ping.
	pongWithin = 10 * time.Second
)

// socket is a WebSocket that carries whole messages of one type.
type socket struct {
	ws   *websocket.Conn
	kind websocket.MessageType
}

var errMessageType = auction.Refuse(auction.CodeBadRequest, "the wrong type of WebSocket message for this mode")

// Read implements session.Conn.
func (s socket) Read(ctx context.Context) ([]byte, error) {
	message, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(message)
	return data, readError(err)
}

// next waits for a message and returns what reads it, to its end.
func (s socket) next(ctx context.Context) (io.Reader, error) {
	kind, message, err := s.ws.Reader(ctx)
	if err != nil {
		return nil, readError(err)
	}
	if kind != s.kind {
		return nil, errMessageType
	}
	return message, nil
}

// readInto waits for a message and reads it into a buffer from pool, which must
// be longer than any. The buffer is free again when use returns.
func (s socket) readInto(ctx context.Context, pool *sync.Pool, use func(frame []byte) error) error {
	message, err := s.next(ctx)
	if err != nil {
		return err
	}
	buffer := pool.Get().(*[]byte)
	defer pool.Put(buffer)
	n := 0
	for err == nil {
		var m int
		m, err = message.Read((*buffer)[n:])
		n += m
	}
	if err != io.EOF {
		return readError(err)
	}
	return use((*buffer)[:n])
}

func readError(err error) error {
	if err != nil && websocket.CloseStatus(err) == -1 && errors.Is(err, websocket.ErrMessageTooBig) {
		return auction.Refuse(auction.CodeTooLarge, "a message over the limit of this mode")
	}
	return err
}

// Write implements session.Conn. The connection bounds its time: see upgrade.go.
func (s socket) Write(ctx context.Context, msg []byte) error {
	return s.ws.Write(ctx, s.kind, msg)
}
