package main

import "sync"

func init() {
	rows["crowd_spawn"] = func(p plan) []float64 { return onEachProcessor(p, spawnAll) }
	rows["crowd_chan"] = func(p plan) []float64 { return onEachProcessor(p, pingAll) }
	rows["wake_all"] = wakeAll
}

// crowdRun starts count goroutines, which get ready and call arrive; lets them go when all have, and waits for their ends.
// Time is from there on, divided by the operations.
func crowdRun(p plan, count, operations int, body func(arrive func())) []float64 {
	samples := make([]float64, 0, p.slices)
	for slice := -p.warmup; slice < p.slices; slice++ {
		start := make(chan struct{})
		var arrived, end sync.WaitGroup
		arrived.Add(count)
		end.Add(count)
		arrive := func() {
			arrived.Done()
			<-start
		}
		for i := 0; i < count; i++ {
			go func() {
				body(arrive)
				end.Done()
			}()
		}
		arrived.Wait()
		begun := now()
		close(start)
		end.Wait()
		if elapsed := now() - begun; slice >= 0 {
			samples = append(samples, float64(elapsed)/float64(operations))
		}
	}
	return samples
}

func onEachProcessor(p plan, body func(iterations int, arrive func())) []float64 {
	return crowdRun(p, p.processors, p.processors*p.iterations, func(arrive func()) { body(p.iterations, arrive) })
}

func spawnAll(iterations int, arrive func()) {
	end := make(chan struct{})
	task := func() { end <- struct{}{} }
	arrive()
	for i := 0; i < iterations; i++ {
		go task()
		<-end
	}
}

func pingAll(iterations int, arrive func()) {
	there, back := make(chan uint64), make(chan uint64)
	go pong(there, back)
	arrive()
	for i := 0; i < iterations; i++ {
		there <- 0
		<-back
	}
	close(there)
}

// wakeAll: as many goroutines as iterations say wait for one channel to be closed.
func wakeAll(p plan) []float64 {
	return crowdRun(p, p.iterations, p.iterations, func(arrive func()) { arrive() })
}
