// Package sigilo is the root of an auction house that cannot see who you are.
// It holds no code, but the tests of what all code here has in common.
//
// A person's own program (cmd/sigilo over pkg/client) holds the keys and does
// all cryptography. Three services that do not share a key stand around it:
//
//   - the CA (services/ca) enrols people and says who is a participant;
//   - the TSA (services/tsa) says what time it is, and sees a hash;
//   - the DMS (services/dms) judges commands and never learns a name. Its
//     replicas keep no state: one script in Redis checks, orders and appends.
//
// What is agreed between them lives in pkg: package auction has the rules and
// imports the standard library alone; wire has the messages; the others are
// adapters, each to one technology or duty, which do not know each other.
// Imports point one way, from cmd over services to pkg.
package sigilo
