// Command peer measures Go at the rows of bench/pintle_bench.c, the same way, so that the two can be compared.
//
//	peer [options] ROW
//
// It prints one line of JSON: the time of one operation in nanoseconds, for each slice of operations (parked_bytes:
// bytes).
// bench/driver runs both programs with the same options and compares them; the options are those of
// pintle_bench --help. The garbage collector and everything else of Go are left at their defaults.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
)

// A plan says how to measure: slices times iterations, after warmup slices that are not counted.
type plan struct {
	slices, warmup, iterations, processors int
}

// A row measures one thing: nanoseconds (or bytes) for one operation, one number a slice.
type row func(p plan) []float64

var rows = map[string]row{
	"spawn_batch": spawnBatch,
	"spawn_join":  spawnJoin,
	"switch":      switchTasks,
	// The two tasks are pinned to their threads, each to its own.
	"pinned_switch": pinnedSwitch,
}

// measure times plan.slices slices of run(iterations), each of which does operations operations.
func measure(p plan, operations int, run func(iterations int)) []float64 {
	samples := make([]float64, 0, p.slices)
	for slice := -p.warmup; slice < p.slices; slice++ {
		start := now()
		run(p.iterations)
		elapsed := now() - start
		if slice >= 0 {
			samples = append(samples, float64(elapsed)/float64(operations))
		}
	}
	return samples
}

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, "peer: "+format+"\n", arguments...)
	os.Exit(1)
}

func main() {
	var p plan
	flag.IntVar(&p.slices, "slices", 100, "`number` of slices to measure")
	flag.IntVar(&p.warmup, "warmup", 10, "`number` of slices before them that are not counted")
	flag.IntVar(&p.iterations, "iterations", 10000, "`number` of rounds of the loop in a slice")
	flag.IntVar(&p.processors, "processors", 1, "GOMAXPROCS")
	flag.Usage = func() {
		names := make([]string, 0, len(rows))
		for name := range rows {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "usage: peer [options] ROW\nrows: %s\noptions:\n", strings.Join(names, " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	measureRow, known := rows[flag.Arg(0)]
	if !known {
		fail("no row '%s' on this platform; see --help", flag.Arg(0))
	}
	if p.slices < 1 || p.warmup < 0 || p.iterations < 1 || p.processors < 1 {
		fail("slices, iterations and processors must be at least 1, warmup at least 0")
	}
	runtime.GOMAXPROCS(p.processors)
	err := json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"name": flag.Arg(0), "processors": p.processors, "samples": measureRow(p),
	})
	if err != nil {
		fail("cannot write the samples: %v", err)
	}
}
