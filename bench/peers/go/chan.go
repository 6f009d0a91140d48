package main

import (
	"runtime"
	"sync"
)

func init() {
	rows["chan_unbuffered"] = chanUnbuffered
	rows["chan_buffered"] = chanBuffered
	rows["select_4"] = selectFour
	rows["select_4_ready"] = selectFourReady
	rows["mutex_uncontended"] = mutexUncontended
	rows["mutex_contended"] = mutexContended
}

// pair runs both in goroutines of their own, and waits for them.
func pair(first, second func()) {
	var both sync.WaitGroup
	both.Add(2)
	for _, body := range []func(){first, second} {
		body := body
		go func() {
			defer both.Done()
			body()
		}()
	}
	both.Wait()
}

func pong(there, back chan uint64) {
	for ball := range there {
		back <- ball + 1
	}
}

// chanUnbuffered: there and back.
func chanUnbuffered(p plan) (samples []float64) {
	there, back := make(chan uint64), make(chan uint64)
	pair(func() {
		samples = measure(p, p.iterations, func(iterations int) {
			ball := uint64(0)
			for i := 0; i < iterations; i++ {
				there <- ball
				ball = <-back
			}
		})
		close(there)
	}, func() { pong(there, back) })
	return samples
}

// chanBuffered: one sends, the other receives, 128 slots between them. A round is two operations.
func chanBuffered(p plan) (samples []float64) {
	c := make(chan uint64, 128)
	pair(func() {
		samples = measure(p, 2*p.iterations, func(iterations int) {
			for i := 0; i < iterations; i++ {
				c <- uint64(i)
			}
		})
		close(c)
	}, func() {
		for range c {
		}
	})
	return samples
}

// selectFour: ping-pong, where the first waits in a select of four receives.
func selectFour(p plan) (samples []float64) {
	there, back := make(chan uint64), make(chan uint64)
	more := [2]chan uint64{make(chan uint64), make(chan uint64)}
	pair(func() {
		samples = measure(p, p.iterations, func(iterations int) {
			ball := uint64(0)
			for i := 0; i < iterations; i++ {
				there <- ball
				select {
				case <-more[0]:
					fail("nobody sends here")
				case ball = <-back:
				case <-more[1]:
					fail("nobody sends here")
				case <-more[1]:
					fail("nobody sends here")
				}
			}
		})
		close(there)
	}, func() { pong(there, back) })
	return samples
}

// selectFourReady: four channels that all have room and items: a send and a receive by turns.
func selectFourReady(p plan) []float64 {
	var four [4]chan uint64
	for i := range four {
		four[i] = make(chan uint64, 128)
	}
	return measure(p, p.iterations, func(iterations int) {
		item := uint64(0)
		for i := 0; i < iterations; i++ {
			if i%2 == 0 {
				select {
				case four[0] <- item:
				case four[1] <- item:
				case four[2] <- item:
				case four[3] <- item:
				}
			} else {
				select {
				case item = <-four[0]:
				case item = <-four[1]:
				case item = <-four[2]:
				case item = <-four[3]:
				}
			}
		}
	})
}

var counter struct {
	sync.Mutex
	count uint64
}

func mutexUncontended(p plan) []float64 {
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			counter.Lock()
			counter.count++
			counter.Unlock()
		}
	})
}

// mutexContended: eight goroutines share the mutex; each yields now and then while it holds it.
func mutexContended(p plan) []float64 {
	const rivals, yieldEvery = 8, 16
	return measure(p, p.iterations, func(iterations int) {
		var all sync.WaitGroup
		all.Add(rivals)
		for r := 0; r < rivals; r++ {
			go func() {
				defer all.Done()
				for i := 0; i < iterations/rivals; i++ {
					counter.Lock()
					counter.count++
					if i%yieldEvery == 0 {
						runtime.Gosched()
					}
					counter.Unlock()
				}
			}()
		}
		all.Wait()
	})
}
