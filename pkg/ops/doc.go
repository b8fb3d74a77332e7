// Package ops is what every service needs around its own work: configuration,
// logging, metrics, the answer to an error over HTTP, and a server that starts
// and stops in the right order.
//
// It knows the refusal codes of the domain and nothing else of it. It sees
// requests as net/http does, so that the choice of a router stays with the
// services. Nothing here is global: writers, registries and contexts come in.
package ops
