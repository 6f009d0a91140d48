package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Rows without targets: whether costs stay flat from a thousand tasks to a million and from one processor to more than there
// are, and what the library costs where it is not busy.
const (
	groupScale = "scale"
	groupCost  = "cost"
)

// groups are the tables of a report, in order.
var groups = []struct{ name, heading string }{
	{"", ""},
	{groupScale, "\n### Scale\n\nTasks from 10³ to 10⁶, processors from one to four times the CPUs.\n"},
	{groupCost, "\n### What it costs elsewhere\n"},
}

func init() {
	for _, count := range []struct {
		number int
		name   string
	}{{1000, "1k"}, {10000, "10k"}, {100000, "100k"}, {1000000, "1m"}} {
		for _, platform := range []string{linux, wine} {
			if platform == wine && count.number > wineBatch {
				continue
			}
			tasks := fmt.Sprintf("%s tasks", count.name)
			rows = append(rows,
				row{name: "scale_spawn_" + count.name, platform: platform, group: groupScale, run: "spawn_batch", peer: true,
					what: "spawn " + tasks + ", then join all, per task; later batches", slices: 3, warmup: 1,
					iterations: count.number, processors: 1, mostRounds: 5},
				row{name: "scale_wake_" + count.name, platform: platform, group: groupScale, run: "wake_all", peer: true,
					what: "wake " + tasks + " that wait for one event, until all are joined, per task", slices: 3, warmup: 1,
					iterations: count.number, processors: 1, mostRounds: 5},
				row{name: "scale_bytes_" + count.name, platform: platform, group: groupScale, run: "parked_bytes", peer: true,
					what: "resident bytes for each of " + tasks + " that are parked", slices: 1, iterations: count.number,
					processors: 1, unit: "bytes", mostRounds: 3})
		}
	}
	cpus := runtime.NumCPU()
	for _, processors := range unique([]string{"1", fmt.Sprint(cpus), fmt.Sprint(4 * cpus)}) {
		var count int
		fmt.Sscan(processors, &count)
		name := fmt.Sprintf("_%s_of_%d", processors, cpus)
		what := fmt.Sprintf(" on each of %s processors, %d CPUs: wall time by all operations", processors, cpus)
		rows = append(rows,
			row{name: "crowd_call" + name, platform: linux, group: groupScale, run: "crowd_call", peer: true,
				what: "calls" + what, slices: 20, warmup: 2, iterations: 200000, processors: count},
			row{name: "crowd_spawn" + name, platform: linux, group: groupScale, run: "crowd_spawn", peer: true,
				what: "spawns and joins" + what, slices: 20, warmup: 2, iterations: 20000, processors: count},
			row{name: "crowd_chan" + name, platform: linux, group: groupScale, run: "crowd_chan", peer: true,
				what: "round trips of a pair" + what, slices: 20, warmup: 2, iterations: 20000, processors: count})
	}
	for _, platform := range []string{linux, wine} {
		bound := millisecond
		if platform == wine {
			bound = 0
		}
		rows = append(rows,
			row{name: "start_stop", platform: platform, group: groupCost, what: "`pintle_run` of a main task that returns at once",
				slices: 20, warmup: 2, iterations: 20, bound: bound},
			row{name: "idle_bytes", platform: platform, group: groupCost, unit: "bytes",
				what: "resident memory of a process in which 100 tasks wait", slices: 1, iterations: 1, mostRounds: 2})
	}
	rows = append(rows, row{name: "idle_wakeups", platform: linux, group: groupCost, unit: "a second",
		what: "how often threads wake up while all tasks wait", slices: 3, iterations: 1, mostRounds: 2})
}

// sizes is a table of what the libraries hold, as they were built for these measurements; one that was not built is left out.
func sizes(p places) string {
	var text strings.Builder
	for _, library := range []struct{ kind, tool, path string }{
		{"static, Linux", "size", p.native + "/../libpintle.a"},
		{"shared, Linux", "size", p.shared + "/linux/libpintle.so"},
		{"static, Windows", "x86_64-w64-mingw32-size", p.mingw + "/../libpintle.a"},
		{"shared, Windows", "x86_64-w64-mingw32-size", p.shared + "/windows/libpintle.dll"},
	} {
		if !exists(library.path) {
			continue
		}
		output, err := run(library.tool, "--totals", library.path)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		var code, data, zeros int
		if n, _ := fmt.Sscan(lines[len(lines)-1], &code, &data, &zeros); n != 3 {
			continue
		}
		if text.Len() == 0 {
			text.WriteString("\n| library, all of it | code and constants, KB | data | zeroed |\n|---|---|---|---|\n")
		}
		fmt.Fprintf(&text, "| %s | %d | %d | %d |\n", library.kind, code/1024, data/1024, zeros/1024)
	}
	return text.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
