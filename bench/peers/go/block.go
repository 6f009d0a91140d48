package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The rows of rows_block.c. block and residentBytes are the platform's; without cgo a platform may have no block.
var block func(milliseconds uint32)

func init() {
	rows["parked_bytes"] = parkedBytes
	rows["ticker_alone"] = tick
	rows["ticker_busy"] = tickerBusy
}

// blockWith adds the rows that need a foreign call that sleeps.
func blockWith(sleep func(milliseconds uint32)) {
	block = sleep
	rows["blocking_storm"] = func(p plan) []float64 { return storm(p, 1, compute) }
	rows["blocking_storm_idle"] = func(p plan) []float64 { return storm(p, 1, pause) }
	rows["fanout_sleep"] = func(p plan) []float64 { return storm(p, 10, pause) }
	rows["ticker_blocked"] = tickerBlocked
}

const (
	before = 200 * time.Millisecond
	period = int64(5 * time.Millisecond)
)

// compute keeps Go's monitor looking without finding anything to do: it then looks every 10 ms.
func compute() {
	for start := now(); now()-start < int64(before); {
	}
}

// pause lets the monitor sleep: when it is woken, it looks every 20 us.
func pause() { time.Sleep(before) }

// storm: a round starts p.iterations goroutines, each makes one foreign call that sleeps, and ends when all have ended.
func storm(p plan, milliseconds uint32, before func()) []float64 {
	samples := make([]float64, 0, p.slices)
	for round := -p.warmup; round < p.slices; round++ {
		before()
		start := now()
		var end sync.WaitGroup
		end.Add(p.iterations)
		for i := 0; i < p.iterations; i++ {
			go func() {
				block(milliseconds)
				end.Done()
			}()
		}
		end.Wait()
		elapsed := now() - start
		if round >= 0 {
			samples = append(samples, float64(elapsed))
		}
	}
	return samples
}

// tick gives one number a tick of 5 ms: how late the goroutine was for it, also for those that passed meanwhile.
func tick(p plan) []float64 {
	samples := make([]float64, 0, p.slices)
	due := now()
	for i := -p.warmup; i < p.slices; i++ {
		due += period
		at := now()
		for at < due { // the clock of Go's timers may be another one
			time.Sleep(time.Duration(due - at))
			at = now()
		}
		if i >= 0 {
			samples = append(samples, float64(at-due))
		}
	}
	return samples
}

func tickBeside(p plan, count int, work func(over *int32)) []float64 {
	var end sync.WaitGroup
	var over int32
	end.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			work(&over)
			end.Done()
		}()
	}
	samples := tick(p)
	atomic.StoreInt32(&over, 1)
	end.Wait()
	return samples
}

func tickerBlocked(p plan) []float64 {
	return tickBeside(p, p.iterations, func(over *int32) {
		for atomic.LoadInt32(over) == 0 {
			block(100)
		}
	})
}

func tickerBusy(p plan) []float64 {
	return tickBeside(p, p.processors, func(over *int32) {
		for atomic.LoadInt32(over) == 0 {
		}
	})
}

// parkedBytes: the memory of this process after all goroutines wait for a channel, less that before the first.
func parkedBytes(p plan) []float64 {
	var arrived int64
	var end sync.WaitGroup
	end.Add(p.iterations)
	open := make(chan struct{})
	before := residentBytes()
	for i := 0; i < p.iterations; i++ {
		go func() {
			atomic.AddInt64(&arrived, 1)
			<-open
			end.Done()
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(p.iterations) {
		runtime.Gosched()
	}
	runtime.Gosched() // the last one is on its way
	bytes := float64(residentBytes()-before) / float64(p.iterations)
	close(open)
	end.Wait()
	samples := make([]float64, p.slices)
	for slice := range samples {
		samples[slice] = bytes
	}
	return samples
}
