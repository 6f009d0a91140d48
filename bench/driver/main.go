// Command driver runs our benchmarks and Go's by turns and compares them. scripts/bench builds all and starts it.
//
// In each round every side of a row runs once, in a fresh process, bound to the same CPUs, with the same options; who
// begins changes from round to round. A process gives one number for each slice of operations. Reported are the least
// of all numbers, and the median of the rounds' medians.
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"runtime"
	"strings"
	"time"
)

type settings struct {
	places            places
	results, document string
	plots             string
	quick, list       bool
	check             bool
	rounds            int
	only              map[string]bool
	platform          string
	cpus              []int
	peers             []peer // beside Go
}

func main() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (settings, error) {
	var s settings
	var only, against string
	flag.StringVar(&s.places.native, "native", "build/native/bench", "`folder` of the Linux programs")
	flag.StringVar(&s.places.mingw, "mingw", "build/mingw64/bench", "`folder` of the Windows programs")
	flag.StringVar(&s.places.wineRun, "wine-run", "cmake/wine-run", "`program` that runs Windows programs")
	flag.StringVar(&s.results, "results", "bench/results", "`folder` to write to")
	flag.StringVar(&s.document, "document", "docs/performance.md", "`file` whose table a complete run replaces")
	flag.StringVar(&s.plots, "plots", "docs/plots", "`folder` of the plots that a complete run replaces")
	flag.StringVar(&s.places.shared, "shared", "build/bench/shared", "`folder` of the shared libraries, whose sizes are told")
	flag.StringVar(&s.places.peers, "peers", "build/peers", "`folder` of the other libraries' programs")
	flag.BoolVar(&s.quick, "quick", false, "few rounds, small batches")
	flag.BoolVar(&s.check, "check", false, "compare the ratios with those that are kept, and fail if one was lost; write nothing")
	flag.StringVar(&against, "against", "", "`names` of libraries besides Go, with commas between, or all")
	flag.StringVar(&only, "only", "", "`names` of rows or groups, with commas between; default: all")
	flag.StringVar(&s.platform, "platform", "", "linux or wine; default: both")
	flag.IntVar(&s.rounds, "rounds", 0, "`number` of rounds; default: 9, quick 2")
	flag.BoolVar(&s.list, "list", false, "show the rows, and end")
	flag.Parse()
	if flag.NArg() != 0 {
		return s, fmt.Errorf("'%s' is not an option; see --help", flag.Arg(0))
	}
	if s.rounds < 0 {
		return s, fmt.Errorf("--rounds %d: at least 1 is wanted", s.rounds)
	}
	if s.rounds == 0 {
		s.rounds = 9
		if s.quick {
			s.rounds = 2
		}
	}
	if s.platform != "" && s.platform != linux && s.platform != wine {
		return s, fmt.Errorf("--platform %s: linux or wine is wanted", s.platform)
	}
	if only != "" {
		s.only = map[string]bool{}
		for _, name := range strings.Split(only, ",") {
			s.only[name] = true
		}
	}
	var err error
	if s.peers, err = peersNamed(against); err != nil {
		return s, err
	}
	s.cpus, err = allowedCPUs()
	return s, err
}

// chosen lists the rows to measure: without --only all; when it is to be quick, those that have targets or tell of one operation.
// A name or a pair of name and platform that does not exist is an error.
func (s settings) chosen() ([]row, error) {
	var chosen []row
	found := map[string]bool{}
	for _, r := range rows {
		if s.quick && s.only == nil && r.group != "" {
			continue
		}
		if (s.platform == "" || s.platform == r.platform) && (s.only == nil || s.only[r.name] || s.only[r.group]) {
			chosen = append(chosen, r)
			found[r.name], found[r.group] = true, true
		}
	}
	for name := range s.only {
		if !found[name] {
			var names []string
			for _, r := range rows {
				if s.platform == "" || s.platform == r.platform {
					names = append(names, r.name)
				}
			}
			return nil, fmt.Errorf("no row or group '%s' on this platform; there are: scale cost %s", name, strings.Join(unique(names), " "))
		}
	}
	return chosen, nil
}

func unique(names []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// measureRow runs all sides of a row by turns.
func (s settings) measureRow(r row, progress func(round int)) (result, error) {
	iterations, processors := r.iterations, r.processors
	if s.quick && r.quick != 0 {
		iterations = r.quick
	}
	if processors == 0 {
		processors = len(s.cpus)
	}
	cpus := s.cpus
	if processors < len(cpus) {
		cpus = cpus[:processors]
	}
	rounds := s.rounds
	if r.mostRounds != 0 && rounds > r.mostRounds {
		rounds = r.mostRounds
	}
	type turn struct {
		side    side
		program string
		series  series
	}
	turns := []turn{{side: s.places.side(r.platform, false), program: r.program()}}
	if r.peer {
		turns = append(turns, turn{side: s.places.side(r.platform, true), program: r.program()})
	}
	for _, other := range r.against {
		turns = append(turns, turn{side: s.places.side(r.platform, false), program: other.name})
	}
	var libraries []peer
	for _, library := range s.peers {
		if library.has(r) {
			libraries = append(libraries, library)
			turns = append(turns, turn{side: library.side(s.places), program: r.program()})
		}
	}
	for round := 0; round < rounds; round++ {
		progress(round)
		for i := range turns {
			t := &turns[(i+round)%len(turns)]
			samples, err := t.side.measure(r, t.program, iterations, processors, cpus)
			if err != nil {
				return result{}, err
			}
			t.series = append(t.series, samples)
		}
	}
	var goSeries series
	var others, theirs []series
	for i, t := range turns[1:] {
		switch {
		case r.peer && i == 0:
			goSeries = t.series
		case i >= len(turns)-1-len(libraries):
			theirs = append(theirs, t.series)
		default:
			others = append(others, t.series)
		}
	}
	measured := newResult(r, turns[0].series, goSeries, others, iterations, processors)
	for i, library := range libraries {
		measured.addPeer(library, theirs[i])
	}
	return measured, nil
}

// name says which part of all rows this run measures; empty: all, in full.
func (s settings) name() string {
	var parts []string
	for _, r := range rows {
		if s.only[r.name] {
			parts = append(parts, r.name)
		}
	}
	for _, group := range []string{groupScale, groupCost} {
		if s.only[group] {
			parts = append(parts, group)
		}
	}
	parts = unique(parts)
	if most := 4; len(parts) > most { // a file's name has an end
		sum := fnv.New32a()
		sum.Write([]byte(strings.Join(parts, ",")))
		parts = append(parts[:most-1], fmt.Sprintf("and-%d-more-%08x", len(parts)-most+1, sum.Sum32()))
	}
	if s.platform != "" {
		parts = append(parts, s.platform)
	}
	if s.quick {
		parts = append(parts, "quick")
	}
	return strings.Join(parts, "-")
}

func start() error {
	s, err := parse()
	if err != nil {
		return err
	}
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	if s.list {
		for _, r := range chosen {
			fmt.Printf("%-18s %-6s %s\n", r.name, r.platform, r.what)
		}
		return nil
	}
	progress := newProgress()
	if s.check {
		return s.checkAll(progress, chosen)
	}
	var warnings []string
	for _, library := range s.peers {
		if missing := library.missing(s.places); missing != "" {
			warnings = append(warnings, missing)
			progress.say("WARNING: " + missing)
		}
	}
	s.peers = present(s.peers, s.places)
	if busy := busyBefore(); busy > 0.1 {
		warning := fmt.Sprintf("others used %.0f %% of the CPUs before the start", 100*busy)
		warnings = append(warnings, warning)
		progress.say("WARNING: " + warning + "; figures will be high and noisy")
	}
	for _, r := range chosen {
		if r.platform == wine {
			progress.show("starting Wine")
			if err := startWine(s.places); err != nil {
				return err
			}
			break
		}
	}
	progress.say(fmt.Sprintf("ns for one operation: least / median of %d rounds, ours and Go's by turns", s.rounds))
	before, begun := machineTime(), time.Now()
	var results []result
	var misses, failures []string
	noisyRows := 0
	for i, r := range chosen {
		measured, err := s.measureRow(r, func(round int) {
			progress.show(fmt.Sprintf("[%d/%d] %s (%s): round %d of %d", i+1, len(chosen), r.name, r.platform, round+1, s.rounds))
		})
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s (%s)", r.name, r.platform))
			progress.say(fmt.Sprintf("%-18s %-6s FAILED: %v", r.name, r.platform, err))
			continue
		}
		progress.say(measured.line())
		results = append(results, measured)
		misses = append(misses, measured.misses()...)
		if measured.noise() != "" {
			noisyRows++
		}
	}
	if noisyRows > 0 {
		warnings = append(warnings, fmt.Sprintf("%d of %d rows were noisy: their rounds lie apart by more than %.0f %%",
			noisyRows, len(results), 100*noisy))
	}
	if stolen := stolenPart(before, machineTime()); stolen > 0.02 {
		warnings = append(warnings, fmt.Sprintf("the host took away %.0f %% of the CPUs' time", 100*stolen))
	}
	progress.say("")
	for _, warning := range warnings {
		progress.say("WARNING: " + warning)
	}
	for _, miss := range misses {
		progress.say("MISSED: " + miss)
	}
	if len(misses) == 0 && len(failures) == 0 {
		progress.say("All targets of these rows are reached.")
	}
	name := s.name()
	if len(failures) > 0 {
		name = strings.Trim(name+"-incomplete", "-")
	}
	if err := s.write(progress, name, results, misses, warnings, begun); err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("could not be measured: %s", strings.Join(failures, ", "))
	}
	return nil
}

// write puts the results into files: those of a complete run (no name) are kept in the repository, others beside them.
func (s settings) write(progress *progress, name string, results []result, misses, warnings []string, begun time.Time) error {
	complete := name == ""
	if complete {
		name = "all"
	}
	section := s.section(results, misses, warnings, begun)
	if complete {
		images, err := plot(s.plots, results)
		if err != nil {
			return err
		}
		section += images
	}
	jsonPath, tablePath := s.results+"/"+name+".json", s.results+"/"+name+".md"
	if err := writeJSON(jsonPath, results); err != nil {
		return err
	}
	if complete {
		tablePath = s.document
		if err := writeSection(s.document, section); err != nil {
			return err
		}
	} else if err := writeFile(tablePath, section); err != nil {
		return err
	}
	progress.say(fmt.Sprintf("Written in %.0f s: %s, %s", time.Since(begun).Seconds(), jsonPath, tablePath))
	return nil
}

func (s settings) section(results []result, misses, warnings []string, begun time.Time) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n%s: %s, %d CPUs; %s; %d rounds.\n", begun.Format("2006-01-02"), processorName(), len(s.cpus),
		strings.Replace(runtime.Version(), "go", "Go ", 1), s.rounds)
	for _, group := range groups {
		var members []result
		for _, r := range results {
			if r.group == group.name {
				members = append(members, r)
			}
		}
		if len(members) > 0 {
			fmt.Fprintf(&text, "%s\n%s", group.heading, table(members))
		}
	}
	text.WriteString(peersTable(results))
	if len(results) > 0 {
		text.WriteString(sizes(s.places))
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Missed", misses}, {"Warnings of this run", warnings}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&text, "\n%s:\n- %s\n", list.title, strings.Join(list.lines, "\n- "))
		}
	}
	text.WriteByte('\n')
	return text.String()
}

func processorName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for _, line := range strings.Split(string(info), "\n") {
		if strings.HasPrefix(line, "model name") {
			return strings.TrimSpace(line[strings.Index(line, ":")+1:])
		}
	}
	return "unknown processor"
}
