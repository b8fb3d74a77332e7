// Package tsp is trusted time by RFC 3161 time stamps: the request, the
// authority that answers it, the verifier of its tokens, the quorum of several
// authorities, the client that asks them, and the clock that runs on their
// answers.
//
// It speaks a strict profile of RFC 3161 (with RFC 5816 and RFC 5652). A token
// is a CMS SignedData with one signer, three signed attributes (contentType,
// messageDigest, signingCertificateV2), ECDSA P-256 with SHA-256 and a genTime
// in microseconds. There is one encoding of it, DER, and every other is
// refused. What is beyond the profile is refused too, never skipped.
//
// Two policies keep real and simulated time apart: see [RealTime] and
// [SimulatedTime].
package tsp
