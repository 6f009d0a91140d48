package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// plot writes SVG files with gnuplot, and returns the Markdown that shows them.
func plot(folder string, results []result) (string, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	images := "\n"
	for _, p := range []struct{ file, title, script string }{
		{"ratios.svg", "Go's time by ours, and the target", ratioPlot(results)},
		{"scale-time.svg", "time of a task, by how many there are", scalePlot(results, "ns a task", "scale_spawn_", "scale_wake_")},
		{"scale-bytes.svg", "bytes of a parked task, by how many there are", scalePlot(results, "bytes a task", "scale_bytes_")},
	} {
		if p.script == "" {
			continue
		}
		path := filepath.Join(folder, p.file)
		command := exec.Command("gnuplot")
		command.Stdin = strings.NewReader(fmt.Sprintf("set terminal svg size 900,420 font 'sans-serif,11' background 'white'\n"+
			"set output '%s'\nset title '%s'\n%s", path, strings.ReplaceAll(p.title, "'", "''"), p.script))
		if output, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("gnuplot, for %s: %w\n%s", path, err, output)
		}
		images += fmt.Sprintf("![%s](%s)\n", p.title, filepath.Join(filepath.Base(folder), p.file))
	}
	return images, nil
}

func label(text string) string { return strings.ReplaceAll(text, "_", "\\_") }

// ratioPlot: a bar for each row with a ratio, a cross at its target.
func ratioPlot(results []result) string {
	var data strings.Builder
	for _, r := range results {
		if r.Ratio == nil || r.group != "" {
			continue
		}
		target := "NaN"
		if r.Target != nil {
			target = fmt.Sprint(*r.Target)
		}
		mark := ""
		if r.Platform == wine {
			mark = " (W)"
		}
		fmt.Fprintf(&data, "\"%s%s\" %g %s\n", label(r.Name), mark, *r.Ratio, target)
	}
	if data.Len() == 0 {
		return ""
	}
	return "$data << EOD\n" + data.String() + `EOD
set style fill solid 0.8 border -1
set boxwidth 0.7
set logscale y 2
set yrange [0.02:*]
set grid ytics
set xtics rotate by -50 font ',9'
set key top right
plot $data using 0:2:xtic(1) with boxes lc rgb '#3b75af' title 'ratio ((W): under Wine)', \
     1 with lines lc rgb '#555555' dt 2 title 'as Go', \
     $data using 0:3 with points pt 2 lc rgb '#c0392b' title 'target'
`
}

// scalePlot: rows whose names begin so and end in 1k, 10k, 100k, 1m, ours and Go's.
func scalePlot(results []result, unit string, prefixes ...string) string {
	counts := []struct {
		name  string
		tasks int
	}{{"1k", 1000}, {"10k", 10000}, {"100k", 100000}, {"1m", 1000000}}
	var blocks, plots []string
	for _, prefix := range prefixes {
		for _, platform := range []string{linux, wine} {
			var data strings.Builder
			for _, count := range counts {
				for _, r := range results {
					if r.Name == prefix+count.name && r.Platform == platform && r.GoMedian != nil {
						fmt.Fprintf(&data, "%d %g %g\n", count.tasks, r.OursMedian, *r.GoMedian)
					}
				}
			}
			if data.Len() == 0 {
				continue
			}
			name := fmt.Sprintf("$d%d", len(blocks))
			blocks = append(blocks, name+" << EOD\n"+data.String()+"EOD\n")
			title := strings.TrimSuffix(strings.TrimPrefix(prefix, "scale_"), "_") + ", " + platform
			plots = append(plots, fmt.Sprintf("%s using 1:2 with linespoints lw 2 title '%s'", name, label(title)),
				fmt.Sprintf("%s using 1:3 with linespoints dt 2 title 'Go: %s'", name, label(title)))
		}
	}
	if len(plots) == 0 {
		return ""
	}
	return strings.Join(blocks, "") + "set logscale x 10\nset yrange [0:*]\nset grid\nset xlabel 'tasks'\nset ylabel '" + unit +
		"'\nset key outside right\nplot " + strings.Join(plots, ", \\\n     ") + "\n"
}
