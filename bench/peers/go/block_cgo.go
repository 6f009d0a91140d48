//go:build cgo

package main

/*
#include <errno.h>
#include <time.h>
static void sleep_ms(unsigned ms) {
	struct timespec duration = {ms / 1000, (long)(ms % 1000) * 1000000};
	while (nanosleep(&duration, &duration) != 0 && errno == EINTR) {}
}
*/
import "C"

func init() { blockWith(func(milliseconds uint32) { C.sleep_ms(C.uint(milliseconds)) }) }
