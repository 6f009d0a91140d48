//go:build unix

package main

import "syscall"

// raiseLimit lets the process hold both ends of so many connections.
func raiseLimit(connections int) {
	limit := syscall.Rlimit{Cur: uint64(2*connections + 100), Max: uint64(2*connections + 100)}
	var before syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	if before.Max > limit.Max {
		limit.Max = before.Max
	}
	if before.Cur < limit.Cur {
		check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	}
}
