package main

import (
	"strings"
	"unicode/utf8"
)

type style int

const (
	usual style = iota
	strong
	faint
	good
	warn
	bad
)

// ansi holds the colours of ECMA-48 that every terminal lets its owner choose.
var ansi = [...]string{usual: "", strong: "\x1b[1m", faint: "\x1b[2m", good: "\x1b[32m", warn: "\x1b[33m", bad: "\x1b[1;31m"}

type cell struct {
	text  string
	style style
}

// line is a label and cells in columns. Without a label the cells stand one after the other.
type line struct {
	label string
	cells []cell
}

// columns are the widths of the label and the cells, so that a number that grows moves nothing. Together they fill 80.
var columns = [...]int{14, 23, 16, 15}

type painter struct{ colour bool }

// paint turns lines into text, each at most width wide: cells that do not fit are left out, and the first is cut.
func (p painter) paint(lines []line, width int) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = p.line(l, width)
	}
	return all
}

func (p painter) line(l line, width int) string {
	var text strings.Builder
	at, column := 0, 0 // where the text ends, and where the next cell begins
	put := func(c cell, must bool) bool {
		n := utf8.RuneCountInString(c.text)
		gap := max(column-at, 0)
		if at > 0 {
			gap = max(gap, 2)
		}
		if at+gap+n > width {
			if !must || at+gap >= width {
				return false
			}
			c.text = string([]rune(c.text)[:width-at-gap-1]) + "…"
			n = width - at - gap
		}
		text.WriteString(strings.Repeat(" ", gap) + p.styled(c))
		at += gap + n
		return true
	}
	if l.label != "" {
		put(cell{l.label, faint}, true)
		column = columns[0]
	}
	for i, c := range l.cells {
		if !put(c, i == 0) {
			break
		}
		if l.label != "" && i+1 < len(columns) {
			column += columns[i+1]
		}
	}
	return text.String()
}

func (p painter) styled(c cell) string {
	if !p.colour || c.style == usual {
		return c.text
	}
	return ansi[c.style] + c.text + "\x1b[0m"
}
