//go:build !windows

package main

import "time"

var started = time.Now()

// now returns nanoseconds since an unknown moment.
func now() int64 { return int64(time.Since(started)) }
