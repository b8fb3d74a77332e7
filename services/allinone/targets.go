package allinone

import (
	"encoding/json"
	"strings"
)

// target is one service for a Prometheus to scrape, in the form of its
// file-based service discovery.
type target struct {
	Addresses []string          `json:"targets"`
	Labels    map[string]string `json:"labels"`
}

// target describes a service by the labels that a Prometheus in Kubernetes
// gives a pod of the house, so that dashboards and alerts serve both.
func (h *House) target(name, address string) target {
	return target{[]string{address}, map[string]string{
		"namespace": "local",
		"release":   h.cfg.House,
		"component": strings.TrimRight(name, "0123456789"), // ca, tsa or dms
		"pod":       name,
	}}
}

// Targets returns what a Prometheus needs to know to scrape all services: the
// content of a file for its file_sd_configs.
func (h *House) Targets() ([]byte, error) { return json.MarshalIndent(h.targets, "", "  ") }
