package dms

import (
	"context"
	"errors"
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
)

// socket is a WebSocket that carries whole messages of one type.
type socket struct {
	ws   *websocket.Conn
	kind websocket.MessageType
}

var errMessageType = auction.Refuse(auction.CodeBadRequest, "the wrong type of WebSocket message for this mode")

// Read implements session.Conn.
func (s socket) Read(ctx context.Context) ([]byte, error) {
	kind, data, err := s.ws.Read(ctx)
	switch {
	case err != nil && websocket.CloseStatus(err) == -1 && errors.Is(err, websocket.ErrMessageTooBig):
		return nil, auction.Refuse(auction.CodeTooLarge, "a message over the limit of this mode")
	case err != nil:
		return nil, err
	case kind != s.kind:
		return nil, errMessageType
	}
	return data, nil
}

// Write implements session.Conn.
func (s socket) Write(ctx context.Context, msg []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.ws.Write(ctx, s.kind, msg)
}
