//go:build !linux

package main

import "syscall"

// ownGroup keeps a Ctrl-C at the terminal from the children, which end when the
// run says so.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
