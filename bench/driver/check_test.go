package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func measures(ratios ...float64) (func() (float64, error), *int) {
	calls := 0
	return func() (float64, error) {
		calls++
		return ratios[(calls-1)%len(ratios)], nil
	}, &calls
}

func TestLossThatComesThreeTimesCounts(t *testing.T) {
	measure, calls := measures(4.4)
	sentence, err := lost(6, measure)
	if err != nil || !strings.Contains(sentence, "was 6.0 x, now 4.4, 4.4, 4.4") || *calls != 3 {
		t.Fatalf("%q, %v, %d measurements", sentence, err, *calls)
	}
}

func TestLossThatDoesNotComeAgainIsNoise(t *testing.T) {
	measure, calls := measures(3, 4, 5.9)
	if sentence, err := lost(6, measure); sentence != "" || err != nil || *calls != 3 {
		t.Fatalf("%q, %v, %d measurements", sentence, err, *calls)
	}
}

func TestLossWithinTheBoundIsMeasuredOnce(t *testing.T) {
	measure, calls := measures(4.6)
	if sentence, _ := lost(6, measure); sentence != "" || *calls != 1 {
		t.Fatalf("%q, %d measurements", sentence, *calls)
	}
}

func TestFailedMeasurementIsNoLoss(t *testing.T) {
	_, err := lost(6, func() (float64, error) { return 0, errors.New("no end") })
	if err == nil {
		t.Fatal("no error")
	}
}

func TestKeptRatiosAreReadByRowAndPlatform(t *testing.T) {
	path := filepath.Join(t.TempDir(), "all.json")
	ratio := 5.5
	written := []result{
		{Name: "switch", Platform: wine, Ratio: &ratio},
		{Name: "call_pinned", Platform: linux, Against: []comparison{{Name: "call", Times: 2}}},
		{Name: "start_stop", Platform: linux},
	}
	if err := writeJSON(path, written); err != nil {
		t.Fatal(err)
	}
	kept, err := readKept(path)
	if err != nil || len(kept) != 3 {
		t.Fatal(kept, err)
	}
	if value, has := kept["switch (wine)"].guarded(); !has || value != 5.5 {
		t.Fatal(value, has)
	}
	if value, has := kept["call_pinned (linux)"].guarded(); !has || value != 0.5 {
		t.Fatal(value, has)
	}
	if _, has := kept["start_stop (linux)"].guarded(); has {
		t.Fatal("a row without a ratio has one")
	}
	os.WriteFile(path, []byte("{"), 0o666)
	if _, err := readKept(path); err == nil {
		t.Fatal("rubbish was read")
	}
}

func TestNamesOfManyRowsFitIntoAFilesName(t *testing.T) {
	only := map[string]bool{}
	for _, r := range rows {
		only[r.name] = true
	}
	name := settings{only: only}.name()
	delete(only, "call")
	if other := (settings{only: only}).name(); len(name) > 200 || other == name {
		t.Fatal(name, other)
	}
}
