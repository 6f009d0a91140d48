package main

// A row is one line of the table: what is measured, how, and what is wanted.
type row struct {
	name     string // of performance.md and of JSON; the program's row, unless run says otherwise
	platform string // linux or wine
	group    string // "": the table of targets; else scale.go's
	what     string
	run      string // the row that both programs are asked for; empty: name
	peer     bool   // Go's side has it too

	slices, warmup, iterations int
	processors                 int // 0: all
	quick                      int // iterations under --quick; 0: the same
	mostRounds                 int // of rows that take long; 0: as many as asked for

	target float64 // ratio to Go wanted; 0: none
	floor  float64 // ratio that must hold already, before the target; 0: none
	bound  float64 // what our median (of delays the p99) may be at most, in the row's unit; 0: no bound

	unit   string // of the samples; empty: ns
	delays bool   // a sample is one event's delay: p50, p99 and worst of all rounds' samples are reported

	against []against
}

// against is another row of ours that the row is compared with, measured in the same rounds.
type against struct {
	name   string
	atMost float64 // times; 0: only reported
}

func (r row) program() string {
	if r.run != "" {
		return r.run
	}
	return r.name
}

func (r row) unitName() string {
	if r.unit != "" {
		return r.unit
	}
	return "ns"
}

const (
	linux = "linux"
	wine  = "wine"
)

// wineBatch: what the mappings that the Linux kernel allows a process (vm.max_map_count, 65,530) leave room for under Wine.
const wineBatch = 100000

const millisecond = 1e6

// rows: where operations are short, a slice lasts about a millisecond on Go's side, so that a disturbance spoils one
// number of many. Targets are those of docs/performance.md.
var rows = []row{
	{name: "call", platform: linux, what: "do-nothing foreign call, unpinned", peer: true,
		slices: 200, warmup: 20, iterations: 20000, processors: 1, target: 7, floor: 5,
		against: []against{{name: "call_plain", atMost: 3.5}}},
	{name: "call_pinned", platform: linux, what: "the same by a pinned task, against the unpinned",
		slices: 200, warmup: 20, iterations: 20000, processors: 1,
		against: []against{{name: "call"}}},
	{name: "call_parallel", platform: linux, what: "`call` on every processor at once, wall time per call", peer: true,
		slices: 200, warmup: 20, iterations: 20000, target: 7},
	{name: "callback", platform: linux, what: "foreign call that calls back once, both together", peer: true,
		slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 7,
		against: []against{{name: "call"}}},
	{name: "callback_thunk", platform: linux, what: "the same through a thunk", run: "callback_thunk",
		slices: 200, warmup: 20, iterations: 10000, processors: 1,
		against: []against{{name: "callback"}}},
	{name: "attached_first", platform: linux, what: "a foreign thread's first callback", peer: true,
		slices: 20, warmup: 2, iterations: 100, processors: 1},
	{name: "attached_later", platform: linux, what: "its later callbacks", peer: true,
		slices: 200, warmup: 20, iterations: 1000, processors: 1},
	{name: "panic_rounds", platform: linux, what: "a panic in a callback, stopped outside the call, 1M rounds without growth",
		peer: true, slices: 100, warmup: 2, iterations: 10000, quick: 1000, processors: 1},
	{name: "exit_rounds", platform: linux, what: "a task that ends in a callback, joined, 1M rounds without growth",
		slices: 100, warmup: 2, iterations: 10000, quick: 1000, processors: 1},
	{name: "switch", platform: linux, what: "yield between two tasks, per switch", peer: true,
		slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 5, floor: 4},
	{name: "spawn_join", platform: linux, what: "spawn a task that does nothing, join it", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1, target: 5},
	{name: "spawn_batch", platform: linux, what: "spawn 1M, then join all, each; first batch of the process", peer: true,
		slices: 1, iterations: 1000000, quick: 200000, processors: 1, target: 5},
	{name: "spawn_batch_2", platform: linux, what: "the same on two processors", run: "spawn_batch", peer: true,
		slices: 1, iterations: 1000000, quick: 200000, processors: 2, target: 5},
	{name: "spawn_batch_again", platform: linux, what: "`spawn_batch`, the process's later batches", run: "spawn_batch",
		peer: true, slices: 3, warmup: 1, iterations: 1000000, quick: 200000, processors: 1},
	{name: "chan_unbuffered", platform: linux, what: "ping-pong over two unbuffered channels, round trip", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1, target: 4},
	{name: "chan_unbuffered_2", platform: linux, what: "the same on two processors", run: "chan_unbuffered", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 2, target: 4},
	{name: "chan_buffered", platform: linux, what: "one sends, one receives, 128 slots between them, per operation", peer: true,
		slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 3},
	{name: "select_4", platform: linux, what: "ping-pong, received by a select of four, round trip", peer: true,
		slices: 200, warmup: 20, iterations: 2000, processors: 1},
	{name: "select_4_ready", platform: linux, what: "select of four that can all run", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1},
	{name: "mutex_uncontended", platform: linux, what: "lock and unlock a mutex", peer: true,
		slices: 200, warmup: 20, iterations: 50000, processors: 1},
	{name: "mutex_contended", platform: linux, what: "the same by 8 tasks, each yields under it every 16th time", peer: true,
		slices: 200, warmup: 20, iterations: 8000, processors: 1},
	{name: "mutex_contended_2", platform: linux, what: "the same on two processors", run: "mutex_contended", peer: true,
		slices: 200, warmup: 20, iterations: 8000, processors: 2},
	{name: "timer_set_stop", platform: linux, what: "set a timer an hour ahead, and stop it", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1},
	{name: "sleepers", platform: linux, what: "100,000 tasks sleep to deadlines 1 µs apart: how late the last has woken", peer: true,
		slices: 1, warmup: 1, iterations: 100000},
	{name: "pinned_switch", platform: linux, what: "yield between two pinned tasks, one CPU", peer: true,
		slices: 30, warmup: 3, iterations: 300, processors: 1, target: 2},
	{name: "blocking_storm", platform: linux, what: "1,000 tasks, each in a call that sleeps 1 ms: wall of all, after computing (Go's monitor has backed off)",
		peer: true, slices: 1, warmup: 1, iterations: 1000, target: 10, bound: 50 * millisecond},
	{name: "blocking_storm_idle", platform: linux, what: "the same after a pause (Go's monitor looks every 20 µs)",
		peer: true, slices: 1, warmup: 1, iterations: 1000, target: 2, bound: 20 * millisecond},
	{name: "parked_bytes", platform: linux, what: "resident bytes for each of 1M parked tasks", peer: true,
		slices: 1, iterations: 1000000, quick: 200000, processors: 1, bound: 4450, unit: "bytes"},
	{name: "ticker_blocked", platform: linux, what: "delay of a 5 ms ticker while 1,000 calls block", peer: true,
		slices: 400, iterations: 1000, delays: true, bound: 50 * millisecond, against: []against{{name: "ticker_alone"}}},
	{name: "ticker_busy", platform: linux, what: "delay of a 5 ms ticker while a task on every processor computes", peer: true,
		slices: 400, iterations: 1, delays: true, bound: 50 * millisecond},

	{name: "call", platform: wine, what: "do-nothing foreign call, unpinned",
		slices: 200, warmup: 20, iterations: 20000, processors: 1,
		against: []against{{name: "call_plain"}}},
	{name: "call_pinned", platform: wine, what: "the same by a pinned task, against the unpinned",
		slices: 200, warmup: 20, iterations: 20000, processors: 1,
		against: []against{{name: "call"}}},
	{name: "syscall", platform: wine, what: "do-nothing DLL function of 1 argument, pinned wrapper", peer: true,
		slices: 200, warmup: 20, iterations: 20000, processors: 1, target: 5, floor: 4,
		against: []against{{name: "call"}, {name: "syscall_plain"}}},
	{name: "syscall15", platform: wine, what: "the same, 15 arguments", peer: true,
		slices: 200, warmup: 20, iterations: 20000, processors: 1, target: 4,
		against: []against{{name: "syscall15_plain"}}},
	{name: "callback", platform: wine, what: "foreign call that calls back once, both together",
		slices: 200, warmup: 20, iterations: 10000, processors: 1,
		against: []against{{name: "call"}}},
	{name: "callback_thunk", platform: wine, what: "DLL function that calls back once, through a thunk, both together",
		peer: true, slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 10,
		against: []against{{name: "syscall"}}},
	{name: "attached_first", platform: wine, what: "a foreign thread's first callback",
		slices: 10, warmup: 1, iterations: 20, processors: 1},
	{name: "attached_later", platform: wine, what: "its later callbacks",
		slices: 100, warmup: 10, iterations: 1000, processors: 1},
	{name: "panic_rounds", platform: wine, what: "a panic in a callback, stopped outside the call, 1M rounds without growth",
		peer: true, slices: 100, warmup: 2, iterations: 10000, quick: 1000, processors: 1},
	{name: "exit_rounds", platform: wine, what: "a task that ends in a callback, joined, 1M rounds without growth",
		slices: 100, warmup: 2, iterations: 10000, quick: 1000, processors: 1},
	{name: "switch", platform: wine, what: "yield between two tasks, per switch", peer: true,
		slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 5, floor: 4},
	{name: "spawn_join", platform: wine, what: "spawn a task that does nothing, join it", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1, target: 5},
	{name: "spawn_batch", platform: wine, what: "spawn 100,000, then join all, each; first batch of the process", peer: true,
		slices: 1, iterations: wineBatch, processors: 1, target: 5},
	{name: "spawn_batch_2", platform: wine, what: "the same on two processors", run: "spawn_batch", peer: true,
		slices: 1, iterations: wineBatch, processors: 2, target: 5},
	{name: "spawn_batch_again", platform: wine, what: "`spawn_batch`, the process's later batches", run: "spawn_batch",
		peer: true, slices: 3, warmup: 1, iterations: wineBatch, processors: 1},
	{name: "chan_unbuffered", platform: wine, what: "ping-pong over two unbuffered channels, round trip", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1, target: 4},
	{name: "chan_unbuffered_2", platform: wine, what: "the same on two processors", run: "chan_unbuffered", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 2, target: 4},
	{name: "chan_buffered", platform: wine, what: "one sends, one receives, 128 slots between them, per operation", peer: true,
		slices: 200, warmup: 20, iterations: 10000, processors: 1, target: 3},
	{name: "select_4", platform: wine, what: "ping-pong, received by a select of four, round trip", peer: true,
		slices: 200, warmup: 20, iterations: 2000, processors: 1},
	{name: "select_4_ready", platform: wine, what: "select of four that can all run", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1},
	{name: "mutex_uncontended", platform: wine, what: "lock and unlock a mutex", peer: true,
		slices: 200, warmup: 20, iterations: 50000, processors: 1},
	{name: "mutex_contended", platform: wine, what: "the same by 8 tasks, each yields under it every 16th time", peer: true,
		slices: 200, warmup: 20, iterations: 8000, processors: 1},
	{name: "mutex_contended_2", platform: wine, what: "the same on two processors", run: "mutex_contended", peer: true,
		slices: 200, warmup: 20, iterations: 8000, processors: 2},
	{name: "timer_set_stop", platform: wine, what: "set a timer an hour ahead, and stop it", peer: true,
		slices: 200, warmup: 20, iterations: 5000, processors: 1},
	{name: "sleepers", platform: wine, what: "100,000 tasks sleep to deadlines 1 µs apart: how late the last has woken", peer: true,
		slices: 1, warmup: 1, iterations: 100000},
	{name: "pinned_switch", platform: wine, what: "yield between two pinned tasks, one CPU", peer: true,
		slices: 30, warmup: 3, iterations: 100, processors: 1, target: 2},
	{name: "fanout_sleep", platform: wine, what: "200 tasks, each in `Sleep(10)` of a DLL: wall of all", peer: true,
		slices: 1, warmup: 1, iterations: 200, target: 2},
	{name: "parked_bytes", platform: wine, what: "resident bytes for each of 100,000 parked tasks", peer: true,
		slices: 1, iterations: wineBatch, processors: 1, unit: "bytes"},
	{name: "ticker_blocked", platform: wine, what: "delay of a 5 ms ticker while 200 calls block", peer: true,
		slices: 400, iterations: 200, delays: true, against: []against{{name: "ticker_alone"}}},
	{name: "ticker_busy", platform: wine, what: "delay of a 5 ms ticker while a task on every processor computes", peer: true,
		slices: 400, iterations: 1, delays: true},
}
