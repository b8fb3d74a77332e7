package ops

import (
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes one JSON object a line to w and drops
// what is below level. It is safe for concurrent use if w.Write is.
//
// A message is constant and its attributes are typed. No bid, key, token, name
// or input bytes go into either.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
