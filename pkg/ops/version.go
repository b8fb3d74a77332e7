package ops

import "runtime/debug"

// version is set at link time by a release build:
//
//	go build -ldflags "-X github.com/sigilo/sigilo/pkg/ops.version=v1.2.3"
var version string

// Version names this build: the version set at link time, else the one that the
// Go tool recorded from the module or its repository, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
