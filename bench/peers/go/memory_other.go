//go:build !windows

package main

import (
	"fmt"
	"os"
)

// residentBytes is the memory that this process has now.
func residentBytes() uint64 {
	var all, resident uint64
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		fail("%v", err)
	}
	defer file.Close()
	if _, err := fmt.Fscan(file, &all, &resident); err != nil {
		fail("/proc/self/statm: %v", err)
	}
	return resident * uint64(os.Getpagesize())
}
