package main

import (
	"syscall"
	"unsafe"
)

func init() {
	proc := kernel32.NewProc("Sleep")
	if err := proc.Find(); err != nil {
		fail("%v", err)
	}
	code := proc.Addr()
	blockWith(func(milliseconds uint32) { syscall.Syscall(code, 1, uintptr(milliseconds), 0, 0) })
}

var getMemory = kernel32.NewProc("K32GetProcessMemoryInfo")

// residentBytes is the memory that this process has now.
func residentBytes() uint64 {
	var counters struct { // PROCESS_MEMORY_COUNTERS
		cb, pageFaults         uint32
		peakResident, resident uintptr
		rest                   [6]uintptr
	}
	counters.cb = uint32(unsafe.Sizeof(counters))
	process, _ := syscall.GetCurrentProcess()
	ok, _, err := getMemory.Call(uintptr(process), uintptr(unsafe.Pointer(&counters)), uintptr(counters.cb))
	if ok == 0 {
		fail("K32GetProcessMemoryInfo: %v", err)
	}
	return uint64(counters.resident)
}
