// Package session is the encrypted channel between a client node and the DMS:
// a handshake of four messages and then sealed frames, over any connection that
// carries binary messages. It uses HPKE (RFC 9180) as the standard library has
// it and defines no cryptography of its own.
//
//	client -> DMS   start   nonce, the client's fresh HPKE key, modes offered
//	DMS -> client   hello   session id, the DMS's fresh HPKE key, mode, chain, time, signature
//	client -> DMS   auth    enc, sealed{ token, chain, signature }
//	DMS -> client   ready   enc, sealed{ what the caller gives }
//
// [Client] and [Server] run the two sides and return a [Session]. Certificates
// and tokens are judged by the caller's functions; this package checks that the
// keys which they vouch for signed this very handshake.
//
// # What binds what
//
// The transcript is the concatenation of the messages as they were sent. Each
// message is self-delimiting and has one encoding, so two transcripts are equal
// only if all their fields are. A binding is a label, a zero byte and the
// SHA-256 of the transcript so far:
//
//   - the DMS signs the binding "sigilo/hello/v1" over start and hello up to the
//     signature;
//   - the context client to DMS has the binding "sigilo/c2s/v1" over start and
//     hello as its info;
//   - the client signs the binding "sigilo/auth/v1" over start, hello, and auth
//     up to enc;
//   - the context DMS to client has as its info the binding "sigilo/s2c/v1" over
//     start, hello and auth, followed by 32 bytes exported from the other
//     context (exporter context "sigilo/s2c/v1").
//
// The exported bytes matter. HPKE's base mode does not say who sealed: the
// client's HPKE key and all of the transcript are seen on the wire, so without
// a secret anyone in the middle could make the second context and speak for the
// DMS. Only the holder of the HPKE key that the DMS signed can export them.
//
// # What holds
//
// The HPKE private keys are made for the connection and dropped when it is set
// up. So the long-term keys of both sides, stolen later, open no recorded
// session, which encrypting to a static key of the DMS cannot give. A mode
// weaker than the best that both sides have is refused by the DMS, and the
// hello's signature covers what the DMS saw as offered.
//
// In [ModeHybrid] a recording stays closed to whoever breaks P-256 one day, as a
// quantum computer would. That is for the secret of what is said only: both
// signatures are ECDSA, so an attacker who can forge them while the handshake
// runs passes for either side.
//
// Frames of one direction open once, in order, whole, in their session; nothing
// opens after a frame that does not. A frame of the client has one of two sizes.
//
// # What does not hold here
//
// Nothing marks the last frame: an attacker who cuts the connection takes the
// end away. The layer above ends a session with a message of its own (bye) and
// must take an end of the connection without it for a failure.
//
// The time in hello is the DMS's word. Whoever holds a stolen DMS key of the
// past can name a time at which its certificate was valid, so the caller's
// check should also compare that time with a clock that it trusts.
//
// Neither side sends its reason when it refuses a handshake. The caller may
// close the connection with the refusal's code, which the other side cannot
// take for authentic.
package session
