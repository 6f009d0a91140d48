package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A side is a program that measures rows on a platform.
type side struct {
	label   string
	command []string
}

// places says where the programs are.
type places struct {
	native, mingw string // folders
	peers, shared string // folders
	wineRun       string // runs a Windows program
}

func (p places) side(platform string, peer bool) side {
	name, label := "pintle_bench", "ours"
	if peer {
		name, label = "go_peer", "Go"
	}
	if platform == wine {
		return side{label, []string{p.wineRun, filepath.Join(p.mingw, name+".exe")}}
	}
	return side{label, []string{filepath.Join(p.native, name)}}
}

const processLimit = 3 * time.Minute

// measure runs a fresh process of the side, bound to the CPUs, and returns its samples.
func (s side) measure(r row, program string, iterations, processors int, cpus []int) ([]float64, error) {
	arguments := []string{"-c", joinInts(cpus)}
	arguments = append(arguments, s.command...)
	arguments = append(arguments,
		"--slices", strconv.Itoa(r.slices), "--warmup", strconv.Itoa(r.warmup),
		"--iterations", strconv.Itoa(iterations), "--processors", strconv.Itoa(processors), program)
	output, err := run("taskset", arguments...)
	if err != nil {
		return nil, fmt.Errorf("%s, row %s: %w", s.label, program, err)
	}
	var result struct {
		Samples []float64
	}
	if err := json.Unmarshal(output, &result); err != nil || len(result.Samples) != r.slices {
		return nil, fmt.Errorf("%s, row %s: not %d samples but: %.200q", s.label, program, r.slices, output)
	}
	return result.Samples, nil
}

// run returns what a program prints. A program that takes too long is killed with its children. Output goes to files,
// not pipes: what Wine starts in the background would keep a pipe open.
func run(name string, arguments ...string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "pintle-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	output, err := os.Create(filepath.Join(folder, "output"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	errors, err := os.Create(filepath.Join(folder, "errors"))
	if err != nil {
		return nil, err
	}
	defer errors.Close()

	command := exec.Command(name, arguments...)
	command.Stdout, command.Stderr = output, errors
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(processLimit, func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	err = command.Wait()
	if !timer.Stop() {
		return nil, fmt.Errorf("no end after %v: %s", processLimit, strings.Join(command.Args, " "))
	}
	if err != nil {
		text, _ := os.ReadFile(errors.Name())
		return nil, fmt.Errorf("%w: %s\n%s", err, strings.Join(command.Args, " "), text)
	}
	return os.ReadFile(output.Name())
}

// startWine starts Wine's server on all CPUs, before a program that is bound to one would start it there.
func startWine(p places) error {
	_, err := run(p.wineRun, "--start")
	return err
}

// A series is what one side of a row gave: a list of samples for each round, that is, for each process.
type series [][]float64

func (s series) min() float64 {
	least := s[0][0]
	for _, round := range s {
		for _, sample := range round {
			if sample < least {
				least = sample
			}
		}
	}
	return least
}

// medians has the median of each round.
func (s series) medians() []float64 {
	medians := make([]float64, 0, len(s))
	for _, round := range s {
		medians = append(medians, median(round))
	}
	return medians
}

func (s series) median() float64 { return median(s.medians()) }

// spread is how far the rounds' medians lie apart, as a part of their median.
func (s series) spread() float64 {
	medians := s.medians()
	sort.Float64s(medians)
	if median(medians) == 0 {
		return 0
	}
	return (medians[len(medians)-1] - medians[0]) / median(medians)
}

// tail gives what delays are judged by: the one that 99 % of all rounds' samples do not exceed, and the worst.
func (s series) tail() (p99, worst float64) {
	var all []float64
	for _, round := range s {
		all = append(all, round...)
	}
	sort.Float64s(all)
	return all[(len(all)*99+99)/100-1], all[len(all)-1]
}

func median(values []float64) float64 {
	sorted := append([]float64(nil), values...)
	sort.Float64s(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// allowedCPUs lists the CPUs that this process may use.
func allowedCPUs() ([]int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		list := strings.TrimPrefix(line, "Cpus_allowed_list:")
		if list == line {
			continue
		}
		var cpus []int
		for _, part := range strings.Split(strings.TrimSpace(list), ",") {
			ends := strings.SplitN(part, "-", 2)
			first, err := strconv.Atoi(ends[0])
			last := first
			if err == nil && len(ends) == 2 {
				last, err = strconv.Atoi(ends[1])
			}
			if err != nil {
				return nil, fmt.Errorf("cannot read the list of CPUs %q", list)
			}
			for cpu := first; cpu <= last; cpu++ {
				cpus = append(cpus, cpu)
			}
		}
		return cpus, nil
	}
	return nil, fmt.Errorf("/proc/self/status does not tell the allowed CPUs")
}

func joinInts(numbers []int) string {
	words := make([]string, len(numbers))
	for i, number := range numbers {
		words[i] = strconv.Itoa(number)
	}
	return strings.Join(words, ",")
}

// A cpuTime is where the machine's CPUs spent their time since it started, in ticks.
type cpuTime struct{ idle, stolen, total uint64 }

func machineTime() cpuTime {
	var t cpuTime
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	fields := strings.Fields(strings.SplitN(string(stat), "\n", 2)[0])
	for i, field := range fields[1:] {
		if i == 8 { // guest times are part of user's
			break
		}
		ticks, _ := strconv.ParseUint(field, 10, 64)
		t.total += ticks
		switch i {
		case 3, 4: // idle, waiting for a disk
			t.idle += ticks
		case 7:
			t.stolen += ticks
		}
	}
	return t
}

// busyBefore tells which part of the machine's CPUs others use now, while we do nothing for a moment.
func busyBefore() float64 {
	before := machineTime()
	time.Sleep(500 * time.Millisecond)
	after := machineTime()
	if after.total == before.total {
		return 0
	}
	return 1 - float64(after.idle-before.idle)/float64(after.total-before.total)
}

func stolenPart(before, after cpuTime) float64 {
	if after.total == before.total {
		return 0
	}
	return float64(after.stolen-before.stolen) / float64(after.total-before.total)
}
