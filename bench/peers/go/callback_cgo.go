//go:build cgo

package main

/*
#include <pthread.h>
#include <stdint.h>
#include <time.h>

extern void backNothing(void);
extern void backPanics(void);

static void call_back(void) { backNothing(); }
static void call_back_panics(void) { backPanics(); }

static int64_t clock_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// The time of the first call back, or of the later ones, of a thread that Go did not make.
struct outsider {
	unsigned slices, iterations;
	int64_t *out_ns;
};
static void *outsider_run(void *arg) {
	struct outsider *o = arg;
	for (unsigned slice = 0; slice < o->slices; slice++) {
		int64_t start = clock_ns();
		for (unsigned i = 0; i < o->iterations; i++) backNothing();
		o->out_ns[slice] = clock_ns() - start;
	}
	return 0;
}
static int on_new_thread(unsigned slices, unsigned iterations, int64_t *out_ns) {
	struct outsider o = {slices, iterations, out_ns};
	pthread_t thread;
	if (pthread_create(&thread, 0, outsider_run, &o) != 0) return 1;
	return pthread_join(thread, 0);
}
*/
import "C"

func init() {
	rows["callback"] = callback
	rows["attached_first"] = attachedFirst
	rows["attached_later"] = attachedLater
	rows["panic_rounds"] = panicRounds
}

//export backNothing
func backNothing() {}

//export backPanics
func backPanics() { panic("crosses") }

// callback: a C function that calls a Go function back, once.
func callback(p plan) []float64 {
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			C.call_back()
		}
	})
}

// panicRounds: a panic in the function that is called back, recovered outside the call.
func panicRounds(p plan) []float64 {
	once := func() {
		defer func() { recover() }()
		C.call_back_panics()
	}
	return measure(p, p.iterations, func(iterations int) {
		for i := 0; i < iterations; i++ {
			once()
		}
	})
}

// onNewThread: the times of slices of calls back, on a new thread of the system.
func onNewThread(slices, iterations int) []C.int64_t {
	times := make([]C.int64_t, slices)
	if C.on_new_thread(C.uint(slices), C.uint(iterations), &times[0]) != 0 {
		fail("pthread_create")
	}
	return times
}

// attachedFirst: each on a thread of its own, which is made and ends outside of what is timed.
func attachedFirst(p plan) []float64 {
	samples := make([]float64, 0, p.slices)
	for slice := -p.warmup; slice < p.slices; slice++ {
		spent := 0.0
		for i := 0; i < p.iterations; i++ {
			spent += float64(onNewThread(1, 1)[0])
		}
		if slice >= 0 {
			samples = append(samples, spent/float64(p.iterations))
		}
	}
	return samples
}

// attachedLater: the later calls back of one thread.
func attachedLater(p plan) []float64 {
	samples := make([]float64, 0, p.slices)
	for _, spent := range onNewThread(p.warmup+p.slices, p.iterations)[p.warmup:] {
		samples = append(samples, float64(spent)/float64(p.iterations))
	}
	return samples
}
