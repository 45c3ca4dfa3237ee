package main

import (
	"fmt"
	"slices"
	"strings"
)

// listed is how many findings of a kind are shown.
const listed = 10

// summary puts the books into words.
func summary(b *books, seed uint64) []line {
	row := func(label string, n int, s style, remark string) line {
		l := line{cells: []cell{{fmt.Sprintf("%-12s", label), faint}, {fmt.Sprintf("%9s", grouped(n)), s}}}
		if n > 0 && remark != "" {
			l.cells = append(l.cells, cell{remark, faint})
		}
		return l
	}
	lines := []line{
		{cells: []cell{{"What became of every event, as Kafka and HubSpot have it", strong}, {fmt.Sprintf("seed %d", seed), faint}}},
		{},
		row("produced", b.produced, usual, ""),
		row("written", b.written, usual, again(b.again)),
		row("superseded", b.superseded, usual, "a newer change of the same person was written"),
		row("dead letters", b.deadTotal(), usual, strings.Join(reasons(b.dead), ", ")),
		row("tombstones", b.tombstones, usual, ""),
		row("lost", len(b.lost), verdict(len(b.lost)), ""),
		row("wrong", len(b.wrong), verdict(len(b.wrong)), ""),
	}
	if b.owed > 0 {
		lines = append(lines, row("owed", b.owed, bad, "not settled in time; Kafka would give them again"))
	}
	lines = append(lines, line{})
	if b.optOuts.n > 0 {
		lines = append(lines, line{cells: []cell{{fmt.Sprintf("An opt-out was at HubSpot after %s (p50), %s (p99).", brief(b.optOuts.p50), brief(b.optOuts.p99)), usual}}})
	}
	lines = slices.Concat(lines, findings("lost", b.lost, bad), findings("wrong", b.wrong, bad), findings("rule of HubSpot broken", b.broken, warn))
	end := fmt.Sprintf("lost %d, wrong %d", len(b.lost), len(b.wrong))
	if b.owed > 0 {
		end += fmt.Sprintf(", owed %d", b.owed)
	}
	return append(lines, line{cells: []cell{{end, verdict(len(b.lost) + len(b.wrong) + b.owed)}}})
}

func again(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "one of them twice: its answer never came"
	}
	return grouped(n) + " of them again: no answer came to the first request"
}

func verdict(n int) style {
	if n > 0 {
		return bad
	}
	return good
}

func findings(what string, all []string, s style) []line {
	var lines []line
	for _, f := range all[:min(len(all), listed)] {
		lines = append(lines, line{cells: []cell{{what + ": " + f, s}}})
	}
	if more := len(all) - listed; more > 0 {
		lines = append(lines, line{cells: []cell{{fmt.Sprintf("and %s more", grouped(more)), s}}})
	}
	return lines
}
