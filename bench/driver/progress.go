package main

import (
	"fmt"
	"os"
)

// progress prints lines that stay, and on a terminal below them one that says what happens now.
type progress struct{ terminal bool }

func newProgress() *progress {
	info, err := os.Stdout.Stat()
	return &progress{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) show(text string) {
	if p.terminal {
		fmt.Printf("\r\x1b[K%s", text)
	}
}

func (p *progress) clear() { p.show("") }

func (p *progress) say(text string) {
	p.clear()
	fmt.Println(text)
}
