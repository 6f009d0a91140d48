package main

import (
	"syscall"
	"unsafe"
)

// Go's own clock on Windows may tick only every 0.5 to 16 ms: the performance counter is asked instead.
var (
	kernel32         = syscall.NewLazyDLL("kernel32.dll")
	queryCounter     = kernel32.NewProc("QueryPerformanceCounter")
	counterPerSecond = func() int64 {
		var frequency int64
		kernel32.NewProc("QueryPerformanceFrequency").Call(uintptr(unsafe.Pointer(&frequency)))
		return frequency
	}()
)

// now returns nanoseconds since an unknown moment.
func now() int64 {
	var ticks int64
	queryCounter.Call(uintptr(unsafe.Pointer(&ticks)))
	return ticks/counterPerSecond*1e9 + ticks%counterPerSecond*1e9/counterPerSecond
}
