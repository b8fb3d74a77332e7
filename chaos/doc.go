// Command chaos breaks a house while people bid in it, and then checks that
// nothing was lost, doubled or reordered.
//
// It runs the programs that operators run (CA, time authority, replicas of the
// DMS) and real Redis servers as child processes, each behind a door that can
// cut, swallow or delay what goes through it, apart for each who comes. In rounds,
// people (pkg/client) list, bid, follow and disclose, and spectators look on, while
// processes are killed, stopped and cut off at random. After each round, and once
// more after all, an auditor reads the logs from Redis and compares them with what
// everybody holds: see [audit].
//
// A run prints its seed and exits with status 1 if anything is off.
package main
