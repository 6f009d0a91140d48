package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlotsShowWhatWasMeasured(t *testing.T) {
	ratio, target, median := 5.5, 7.0, 200.0
	results := []result{{Name: "call", Platform: linux, Ratio: &ratio, Target: &target},
		{Name: "syscall", Platform: wine, Ratio: &ratio}}
	for _, name := range []string{"scale_spawn_1k", "scale_spawn_10k", "scale_bytes_1k", "scale_bytes_1m"} {
		results = append(results, result{Name: name, Platform: linux, OursMedian: 100, GoMedian: &median, group: groupScale})
	}
	folder := filepath.Join(t.TempDir(), "plots")
	images, err := plot(folder, results)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"ratios.svg", "scale-time.svg", "scale-bytes.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil || !strings.Contains(string(text), "<svg") || !strings.Contains(images, "plots/"+file) {
			t.Errorf("%s: %v, %d bytes; %s", file, err, len(text), images)
		}
	}
	ratios, _ := os.ReadFile(filepath.Join(folder, "ratios.svg"))
	if !strings.Contains(string(ratios), "syscall (W)") {
		t.Error("a row's name is missing")
	}
}
