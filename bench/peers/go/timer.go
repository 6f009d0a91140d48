package main

import (
	"sync"
	"time"
)

func init() {
	rows["timer_set_stop"] = timerSetStop
	rows["sleepers"] = sleepers
}

// timerSetStop: one timer is set an hour ahead, and stopped.
func timerSetStop(p plan) []float64 {
	timer := time.AfterFunc(time.Hour, func() {})
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			timer.Reset(time.Hour)
			timer.Stop()
		}
	})
}

// sleepers: goroutines sleep to deadlines a microsecond apart, from half a second on; how late the last has woken.
func sleepers(p plan) []float64 {
	const before, step = int64(500 * time.Millisecond), int64(time.Microsecond)
	samples := make([]float64, 0, p.slices)
	for slice := -p.warmup; slice < p.slices; slice++ {
		var end sync.WaitGroup
		end.Add(p.iterations)
		first := now() + before
		for i := 0; i < p.iterations; i++ {
			go func(deadline int64) {
				time.Sleep(time.Duration(deadline - now()))
				end.Done()
			}(first + int64(i)*step)
		}
		end.Wait()
		if slice >= 0 {
			samples = append(samples, float64(now()-(first+int64(p.iterations-1)*step)))
		}
	}
	return samples
}
