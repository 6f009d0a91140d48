package main

import "syscall"

func init() {
	rows["syscall"] = syscall1
	rows["syscall15"] = syscall15
	rows["callback_thunk"] = callbackThunk
	rows["panic_rounds"] = panicRounds
}

// findNoop loads noop.dll, which lies beside the program.
func findNoop(name string) uintptr {
	proc := syscall.NewLazyDLL("noop.dll").NewProc(name)
	if err := proc.Find(); err != nil {
		fail("%v", err)
	}
	return proc.Addr()
}

// syscall1: a DLL's function of one argument that does nothing.
func syscall1(p plan) []float64 {
	code := findNoop("noop1")
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			syscall.Syscall(code, 1, 1, 0, 0)
		}
	})
}

// syscall15: the same with 15 arguments.
func syscall15(p plan) []float64 {
	code := findNoop("noop15")
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			syscall.Syscall15(code, 15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
		}
	})
}

// callbackThunk: a DLL's function that calls back once.
func callbackThunk(p plan) []float64 {
	code := findNoop("noop_back")
	back := syscall.NewCallback(func(word uintptr) uintptr { return 0 })
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			syscall.Syscall(code, 2, back, 0, 0)
		}
	})
}

// panicRounds: a panic in the callback, recovered outside the call.
func panicRounds(p plan) []float64 {
	code := findNoop("noop_back")
	back := syscall.NewCallback(func(word uintptr) uintptr { panic("crosses") })
	once := func() {
		defer func() { recover() }()
		syscall.Syscall(code, 2, back, 0, 0)
	}
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			once()
		}
	})
}
