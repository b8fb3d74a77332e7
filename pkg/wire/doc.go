// Package wire is the language that a client node and the DMS speak inside a
// session, after the handshake: signed commands, messages, frames, and their
// limits. docs/protocol.md shows them byte by byte; testdata holds vectors.
//
// All of it is JSON (RFC 8259), read strictly: no unknown or doubled member, no
// other case, no null, no trailing bytes, no invalid UTF-8. Binary data is
// unpadded base64url, a hash is lower-case hexadecimal, a time is an integer of
// microseconds since the Unix epoch, and no integer reaches 2^53. What does not
// parse gives an [auction.Refusal] that quotes none of it.
//
// Of a signed command no member may be left out. Of a message the optional ones
// may, which are those with omitzero in their tags, and so may numbers, flags
// and details, which are then 0, false and empty.
//
// A message is an object whose first bytes are {"type":"NAME" with nothing
// between them, so that its type is known before it is parsed. Requests
// ([ParseClient]) bear an id of the client's choice; answers ([ParseServer])
// repeat it; notices come unasked.
//
// This package checks form. Whether a command's signer exists, whether its
// stamps hold, and what the rules say of it is decided elsewhere.
package wire
