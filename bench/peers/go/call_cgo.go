//go:build cgo

package main

/*
static void noop(void) {}
*/
import "C"

import (
	"sync"
	"sync/atomic"
)

func init() {
	rows["call"] = call
	rows["call_parallel"] = callParallel
	rows["crowd_call"] = func(p plan) []float64 {
		return onEachProcessor(p, func(iterations int, arrive func()) {
			arrive()
			callTimes(iterations)
		})
	}
}

func callTimes(iterations int) {
	for i := 0; i < iterations; i++ {
		C.noop()
	}
}

// call: a C function that does nothing, through cgo.
func call(p plan) []float64 { return measure(p, p.iterations, callTimes) }

// callParallel: the same on every processor at once; the wall time from the first start to the last end, divided by
// the calls of all. Between slices the goroutines meet at a barrier where they spin, so that each has a processor of
// its own in every slice.
func callParallel(p plan) []float64 {
	type interval struct {
		start, end int64
		_          [48]byte // a cache line each
	}
	var arrived int64
	var everyone sync.WaitGroup
	total := p.warmup + p.slices
	intervals := make([][]interval, p.processors)
	work := func(worker int) {
		defer everyone.Done()
		for slice := 0; slice < total; slice++ {
			atomic.AddInt64(&arrived, 1)
			for atomic.LoadInt64(&arrived) < int64(p.processors)*int64(slice+1) {
			}
			start := now()
			callTimes(p.iterations)
			intervals[worker][slice] = interval{start: start, end: now()}
		}
	}
	everyone.Add(p.processors)
	for worker := 0; worker < p.processors; worker++ {
		intervals[worker] = make([]interval, total)
	}
	for worker := 0; worker < p.processors; worker++ {
		go work(worker)
	}
	everyone.Wait()
	samples := make([]float64, 0, p.slices)
	for slice := p.warmup; slice < total; slice++ {
		first, last := intervals[0][slice].start, intervals[0][slice].end
		for worker := 1; worker < p.processors; worker++ {
			if intervals[worker][slice].start < first {
				first = intervals[worker][slice].start
			}
			if intervals[worker][slice].end > last {
				last = intervals[worker][slice].end
			}
		}
		samples = append(samples, float64(last-first)/float64(p.processors*p.iterations))
	}
	return samples
}
