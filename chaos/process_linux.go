package main

import "syscall"

// ownGroup keeps a Ctrl-C at the terminal from the children, which end when the
// run says so, and ends them if the run itself is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
