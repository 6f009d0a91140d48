package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// The regression guard. A ratio of a row is Go's time by ours, or where Go has no such row, another row's of ours by this
// one's; times are not compared, since they say more about the machine. A loss of more than lossMost is measured again, and
// counts if it comes triesMost times.
const (
	lossMost  = 0.25
	triesMost = 3
)

// ratio: more is better. False: the row has none.
func (r result) guarded() (float64, bool) {
	switch {
	case r.Ratio != nil:
		return *r.Ratio, true
	case len(r.Against) > 0 && r.Against[0].Times > 0:
		return 1 / r.Against[0].Times, true
	}
	return 0, false
}

func (r result) key() string { return r.Name + " (" + r.Platform + ")" }

func readKept(path string) (map[string]result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var results []result
	if err := json.Unmarshal(text, &results); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	kept := map[string]result{}
	for _, r := range results {
		kept[r.key()] = r
	}
	return kept, nil
}

// lost measures a row until its ratio is near the kept one, at most triesMost times. It returns a sentence if it never was.
func lost(kept float64, measure func() (float64, error)) (string, error) {
	var tries []string
	for len(tries) < triesMost {
		ratio, err := measure()
		if err != nil {
			return "", err
		}
		if ratio >= kept*(1-lossMost) {
			return "", nil
		}
		tries = append(tries, times(ratio))
	}
	return fmt.Sprintf("was %s x, now %s", times(kept), strings.Join(tries, ", ")), nil
}

func (s settings) checkAll(progress *progress, chosen []row) error {
	path := s.results + "/all.json"
	kept, err := readKept(path)
	if err != nil {
		return err
	}
	progress.say(fmt.Sprintf("ratios, against those of %s; a loss of more than %.0f %% is measured up to %d times", path,
		100*lossMost, triesMost))
	var losses []string
	compared, started := 0, false
	for i, r := range chosen {
		old, known := kept[r.name+" ("+r.platform+")"]
		before, has := old.guarded()
		if !known || !has {
			continue
		}
		if r.platform == wine && !started {
			progress.show("starting Wine")
			if err := startWine(s.places); err != nil {
				return err
			}
			started = true
		}
		var last float64
		loss, err := lost(before, func() (float64, error) {
			measured, err := s.measureRow(r, func(round int) {
				progress.show(fmt.Sprintf("[%d/%d] %s (%s): round %d of %d", i+1, len(chosen), r.name, r.platform, round+1, s.rounds))
			})
			last, _ = measured.guarded()
			return last, err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		compared++
		if loss != "" {
			losses = append(losses, fmt.Sprintf("%s (%s): %s", r.name, r.platform, loss))
			progress.say("LOST: " + losses[len(losses)-1])
		} else {
			progress.say(fmt.Sprintf("ok    %-18s %-6s was %s x, now %s", r.name, r.platform, times(before), times(last)))
		}
	}
	if compared == 0 {
		return fmt.Errorf("none of the rows is in %s with a ratio: run scripts/bench for all rows first", path)
	}
	if len(losses) > 0 {
		return fmt.Errorf("%d of %d rows lost more than %.0f %%, %d times each", len(losses), compared, 100*lossMost, triesMost)
	}
	progress.say(fmt.Sprintf("%d rows are as fast as they were.", compared))
	return nil
}
