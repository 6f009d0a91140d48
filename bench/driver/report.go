package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A result is a row's line of JSON. Times are of one operation. Without a peer, the go fields and the ratio are null.
// Of rows of delays, ratio is that of the p99, and the rounds' spread says nothing.
type result struct {
	Name       string       `json:"name"`
	Platform   string       `json:"platform"`
	Unit       string       `json:"unit"`
	OursMin    float64      `json:"ours_min"`
	OursMedian float64      `json:"ours_median"`
	GoMin      *float64     `json:"go_min"`
	GoMedian   *float64     `json:"go_median"`
	Ratio      *float64     `json:"ratio"`           // of medians
	RatioMin   *float64     `json:"ratio_of_minima"` //
	Target     *float64     `json:"target"`
	Against    []comparison `json:"against,omitempty"`
	Processors int          `json:"processors"`
	Operations int          `json:"operations"` // in a slice
	Rounds     int          `json:"rounds"`
	OursSpread float64      `json:"ours_spread"` // of the rounds' medians
	GoSpread   *float64     `json:"go_spread"`
	Bound      *float64     `json:"bound"` // of our median or p99, in the unit
	OursP99    *float64     `json:"ours_p99,omitempty"`
	OursWorst  *float64     `json:"ours_worst,omitempty"`
	GoP99      *float64     `json:"go_p99,omitempty"`
	GoWorst    *float64     `json:"go_worst,omitempty"`
	Peers      []peerResult `json:"peers,omitempty"`
	Group      string       `json:"group,omitempty"`
	what       string
	floor      float64
	group      string
}

// A comparison is with another row of ours.
type comparison struct {
	Name   string   `json:"name"`
	Min    float64  `json:"min"`
	Median float64  `json:"median"`
	Times  float64  `json:"times"` // this row's median by that one's
	AtMost *float64 `json:"at_most"`
}

func number(value float64) *float64 {
	if value == 0 {
		return nil
	}
	return &value
}

func newResult(r row, ours, peer series, others []series, operations, processors int) result {
	out := result{Name: r.name, Platform: r.platform, Unit: r.unitName(), OursMin: ours.min(), OursMedian: ours.median(),
		Target: number(r.target), Processors: processors, Operations: operations, Rounds: len(ours),
		OursSpread: ours.spread(), Bound: number(r.bound), Group: r.group, what: r.what, floor: r.floor, group: r.group}
	if peer != nil {
		out.GoMin, out.GoMedian = number(peer.min()), number(peer.median())
		out.Ratio, out.RatioMin = number(peer.median()/ours.median()), number(peer.min()/ours.min())
		spread := peer.spread()
		out.GoSpread = &spread
	}
	if r.delays {
		p99, worst := ours.tail()
		out.OursP99, out.OursWorst = &p99, &worst
		if peer != nil {
			goP99, goWorst := peer.tail()
			out.GoP99, out.GoWorst = &goP99, &goWorst
			out.Ratio, out.RatioMin = number(goP99/p99), number(goWorst/worst)
		}
	}
	for i, other := range others {
		out.Against = append(out.Against, comparison{Name: r.against[i].name, Min: other.min(), Median: other.median(),
			Times: ours.median() / other.median(), AtMost: number(r.against[i].atMost)})
	}
	return out
}

// misses says in sentences what the row was to reach and did not.
func (r result) misses() []string {
	var sentences []string
	name := r.Name + " (" + r.Platform + ")"
	if r.Ratio != nil && r.floor != 0 && *r.Ratio < r.floor {
		sentences = append(sentences, fmt.Sprintf("%s: %s x Go, below even the first goal of %g", name, times(*r.Ratio), r.floor))
	} else if r.Ratio != nil && r.Target != nil && *r.Ratio < *r.Target {
		sentences = append(sentences, fmt.Sprintf("%s: %s x Go (minima %s), the target is %g", name,
			times(*r.Ratio), times(*r.RatioMin), *r.Target))
	} else if r.Ratio != nil && r.Target != nil && *r.RatioMin < *r.Target && r.noise() != "" {
		sentences = append(sentences, fmt.Sprintf("%s: %s x Go reaches %g, but the minima's %s does not, and the row was noisy",
			name, times(*r.Ratio), *r.Target, times(*r.RatioMin)))
	}
	if judged := r.judged(); r.Bound != nil && judged > *r.Bound {
		sentences = append(sentences, fmt.Sprintf("%s: %s, at most %s is wanted", name, r.amount(judged), r.amount(*r.Bound)))
	}
	for _, c := range r.Against {
		if c.AtMost != nil && c.Times > *c.AtMost {
			sentences = append(sentences, fmt.Sprintf("%s: %.1f times %s, the target is at most %g", name, c.Times, c.Name, *c.AtMost))
		}
	}
	return sentences
}

// judged is our figure that a bound is for.
func (r result) judged() float64 {
	if r.OursP99 != nil {
		return *r.OursP99
	}
	return r.OursMedian
}

// noisy is the spread of rounds from which figures are not to be trusted.
const noisy = 0.25

func (r result) noise() string {
	var parts []string
	if r.OursP99 != nil {
		return ""
	}
	if r.OursSpread > noisy {
		parts = append(parts, fmt.Sprintf("ours %.0f %%", 100*r.OursSpread))
	}
	if r.GoSpread != nil && *r.GoSpread > noisy {
		parts = append(parts, fmt.Sprintf("Go %.0f %%", 100**r.GoSpread))
	}
	return strings.Join(parts, ", ")
}

// times: a ratio with as many digits as mean something.
func times(ratio float64) string {
	if ratio < 1 {
		return fmt.Sprintf("%.2f", ratio)
	}
	return fmt.Sprintf("%.1f", ratio)
}

// amount: a value of the row's unit, with as many digits as mean something; its unit is named if it is not ns.
func (r result) amount(value float64) string {
	switch {
	case r.Unit != "ns":
		return fmt.Sprintf("%.0f %s", value, r.Unit)
	case value >= millisecond:
		return fmt.Sprintf("%.3g ms", value/millisecond)
	case value < 100:
		return fmt.Sprintf("%.1f", value)
	default:
		return fmt.Sprintf("%.0f", value)
	}
}

// figures: min / median, of delays p50 / p99 / worst.
func (r result) figures(least, median, p99, worst *float64) string {
	if least == nil || median == nil {
		return "–"
	}
	if p99 != nil && worst != nil {
		return "p50 " + r.amount(*median) + ", p99 " + r.amount(*p99) + ", worst " + r.amount(*worst)
	}
	return r.amount(*least) + " / " + r.amount(*median)
}

func (r result) ours() string { return r.figures(&r.OursMin, &r.OursMedian, r.OursP99, r.OursWorst) }
func (r result) peer() string { return r.figures(r.GoMin, r.GoMedian, r.GoP99, r.GoWorst) }
func (r result) other(c comparison) string {
	return r.figures(&c.Min, &c.Median, nil, nil)
}

// table is the results in Markdown.
func table(results []result) string {
	var text strings.Builder
	text.WriteString("| row | platform | what | ours, ns unless said (min / median) | Go (min / median) | ratio (of minima) | target | our other rows |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		ratio, target := "–", "–"
		if r.Ratio != nil {
			ratio = fmt.Sprintf("**%s** (%s)", times(*r.Ratio), times(*r.RatioMin))
		}
		if r.Target != nil {
			target = fmt.Sprintf("≥ %g", *r.Target)
			if r.Ratio != nil && *r.Ratio < *r.Target {
				target += ", missed"
			}
		}
		if r.Bound != nil {
			bound := "≤ " + r.amount(*r.Bound)
			if r.OursP99 != nil {
				bound = "p99 " + bound
			}
			if r.judged() > *r.Bound {
				bound += ", missed"
			}
			target = strings.TrimPrefix(target+"; "+bound, "–; ")
		}
		var others []string
		for _, c := range r.Against {
			other := fmt.Sprintf("%.2f × `%s` (%s)", c.Times, c.Name, r.other(c))
			if c.AtMost != nil {
				other += fmt.Sprintf(", target ≤ %g ×", *c.AtMost)
				if c.Times > *c.AtMost {
					other += ", missed"
				}
			}
			others = append(others, other)
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, r.Platform, r.what,
			r.ours(), r.peer(), ratio, target, strings.Join(others, "; "))
	}
	return text.String()
}

// line is a result for the terminal.
func (r result) line() string {
	text := fmt.Sprintf("%-18s %-6s ours %s", r.Name, r.Platform, r.ours())
	if r.Ratio != nil {
		text += fmt.Sprintf("   Go %s   %s x", r.peer(), times(*r.Ratio))
		if r.Target != nil {
			text += fmt.Sprintf(" (target %g)", *r.Target)
		}
	}
	for _, c := range r.Against {
		text += fmt.Sprintf("   %.2f times %s (%s)", c.Times, c.Name, r.other(c))
	}
	if noise := r.noise(); noise != "" {
		text += "   NOISY: rounds lie apart by " + noise
	}
	return text
}

// writeJSON writes an array with one object a row, each on a line of its own.
func writeJSON(path string, results []result) error {
	var text strings.Builder
	text.WriteString("[\n")
	for i, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text.Write(line)
		if i+1 < len(results) {
			text.WriteByte(',')
		}
		text.WriteByte('\n')
	}
	text.WriteString("]\n")
	return writeFile(path, text.String())
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

const (
	beginMark = "<!-- scripts/bench writes what is between these lines -->"
	endMark   = "<!-- end of what scripts/bench writes -->"
)

// writeSection replaces what is between the two marks of a document.
func writeSection(path, section string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(old)
	begin, end := strings.Index(text, beginMark), strings.Index(text, endMark)
	if begin < 0 || end < begin {
		return fmt.Errorf("%s has no lines %q and %q", path, beginMark, endMark)
	}
	return os.WriteFile(path, []byte(text[:begin+len(beginMark)]+"\n"+section+text[end:]), 0o666)
}
