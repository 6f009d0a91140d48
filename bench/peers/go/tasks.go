package main

import (
	"runtime"
	"sync"
)

// switchTasks: two goroutines that do nothing but yield to each other. An iteration is two switches, there and back.
func switchTasks(p plan) []float64 { return yieldBetweenTwo(p, false) }

// pinnedSwitch: the same with each locked to a thread of its own.
func pinnedSwitch(p plan) []float64 { return yieldBetweenTwo(p, true) }

func yieldBetweenTwo(p plan, pinned bool) []float64 {
	var samples []float64
	var both sync.WaitGroup
	ready, over := false, false // plain: the goroutines run by turns (one processor)
	body := func(turns func()) {
		defer both.Done()
		if pinned {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		turns()
	}
	both.Add(2)
	go body(func() {
		for !ready {
			runtime.Gosched()
		}
		samples = measure(p, 2*p.iterations, func(iterations int) {
			for i := 0; i < iterations; i++ {
				runtime.Gosched()
			}
		})
		over = true
	})
	go body(func() {
		ready = true
		for !over {
			runtime.Gosched()
		}
	})
	both.Wait()
	return samples
}

// spawnJoin: start a goroutine that does nothing, wait for its end. A channel is the quickest of Go's ways to wait for
// one (a WaitGroup takes 15 % more).
func spawnJoin(p plan) []float64 {
	end := make(chan struct{})
	task := func() { end <- struct{}{} }
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			go task()
			<-end
		}
	})
}

// spawnBatch: start all, then wait for all; here a WaitGroup is quicker than a channel.
func spawnBatch(p plan) []float64 {
	var end sync.WaitGroup
	task := func() { end.Done() }
	return measure(p, p.iterations, func(iterations int) {
		end.Add(iterations)
		for i := 0; i < iterations; i++ {
			go task()
		}
		end.Wait()
	})
}
