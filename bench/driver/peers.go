package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A peer is a library besides Go that some rows are measured against, natively. scripts/bench builds its program, and where
// that could not be had writes the reason beside it (NAME.missing).
type peer struct {
	name, title string
	rows        []string
}

var allPeers = []peer{
	{"boost_fiber", "Boost.Fiber", []string{"switch", "spawn_join", "chan_unbuffered", "chan_buffered", "mutex_uncontended"}},
	{"libdill", "libdill", []string{"switch", "spawn_join", "chan_unbuffered"}},
	{"neco", "neco", []string{"switch", "spawn_join", "chan_unbuffered", "chan_buffered"}},
	{"marl", "marl", []string{"spawn_join"}},
	{"minicoro", "minicoro", []string{"switch"}},
}

func peersNamed(names string) ([]peer, error) {
	if names == "" {
		return nil, nil
	}
	if names == "all" {
		return allPeers, nil
	}
	var found []peer
	for _, name := range strings.Split(names, ",") {
		known := len(found)
		for _, p := range allPeers {
			if p.name == name {
				found = append(found, p)
			}
		}
		if len(found) == known {
			return nil, fmt.Errorf("--against %s: there are %s, and all", name, peerNames())
		}
	}
	return found, nil
}

func peerNames() string {
	var names []string
	for _, p := range allPeers {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

func (p peer) has(r row) bool {
	if r.platform != linux || r.processors != 1 || r.group != "" {
		return false
	}
	for _, name := range p.rows {
		if name == r.name {
			return true
		}
	}
	return false
}

func (p peer) side(at places) side { return side{p.title, []string{filepath.Join(at.peers, p.name)}} }

// missing says why there is no program of the peer; empty: there is.
func (p peer) missing(at places) string {
	if exists(filepath.Join(at.peers, p.name)) {
		return ""
	}
	reason, err := os.ReadFile(filepath.Join(at.peers, p.name+".missing"))
	if err != nil {
		reason = []byte("its program was not built")
	}
	return fmt.Sprintf("%s is missing from the comparison: %s", p.title, strings.TrimSpace(string(reason)))
}

func present(peers []peer, at places) []peer {
	var here []peer
	for _, p := range peers {
		if p.missing(at) == "" {
			here = append(here, p)
		}
	}
	return here
}

// A peerResult is what a peer gave for a row; ratio as of Go.
type peerResult struct {
	Name   string  `json:"name"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Ratio  float64 `json:"ratio"`
	title  string
}

func (r *result) addPeer(p peer, theirs series) {
	r.Peers = append(r.Peers, peerResult{p.name, theirs.min(), theirs.median(), theirs.median() / r.OursMedian, p.title})
}

// peersTable is a line for each row that was measured against others than Go.
func peersTable(results []result) string {
	var text strings.Builder
	for _, r := range results {
		for _, p := range r.Peers {
			if text.Len() == 0 {
				text.WriteString("\n### Against other libraries\n\nNone of these hands a processor on when a call blocks, pins, or takes " +
					"callbacks.\n\n| row | library | theirs, ns (min / median) | ours (min / median) | ratio |\n|---|---|---|---|---|\n")
			}
			fmt.Fprintf(&text, "| `%s` | %s | %s | %s | %s |\n", r.Name, p.title, r.figures(&p.Min, &p.Median, nil, nil), r.ours(),
				times(p.Ratio))
		}
	}
	return text.String()
}
