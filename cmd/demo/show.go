package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// show is where moments go. What cannot be written is not missed: the demo is about its end.
type show interface {
	draw(m *moment)
	end()
}

// plain writes a line every few seconds, and a sentence whenever the story changes.
type plain struct {
	out   io.Writer
	story string
	next  time.Duration
}

const (
	plainFirst = time.Second
	plainEvery = 3 * time.Second
)

func (p *plain) draw(m *moment) {
	if s := m.story(); s != p.story {
		p.story = s
		_, _ = fmt.Fprintf(p.out, "%s  %s\n", clock(m.elapsed), s)
	}
	if m.elapsed < max(p.next, plainFirst) || !m.joined {
		return
	}
	p.next = m.elapsed.Truncate(plainEvery) + plainEvery
	_, _ = fmt.Fprintln(p.out, m.plainLine())
}

func (p *plain) end() { _, _ = fmt.Fprintln(p.out) }

// screen redraws a few lines of a terminal in place.
type screen struct {
	out     io.Writer
	size    func() (width, height int, err error)
	painter painter
	drawn   []int // the widths of the lines on the terminal
}

// The control sequences of ECMA-48, and DEC's for the cursor.
const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	eraseToEnd  = "\x1b[K"
	eraseBelow  = "\x1b[J"
	cursorUpFmt = "\x1b[%dA"
)

func (s *screen) draw(m *moment) {
	width, height, err := s.size()
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	lines := s.painter.paint(m.page(), width-1) // the last column stays free: some terminals wrap behind it
	if len(lines) >= height {
		lines = lines[:max(height-1, 0)]
	}
	var frame strings.Builder
	if s.drawn == nil {
		frame.WriteString(hideCursor)
	}
	frame.WriteString("\r")
	if up := s.rows(width); up > 0 {
		fmt.Fprintf(&frame, cursorUpFmt, up)
	}
	s.drawn = s.drawn[:0]
	plain := painter{}.paint(m.page(), width-1)
	for i, l := range lines {
		frame.WriteString(l + eraseToEnd + "\n")
		s.drawn = append(s.drawn, utf8.RuneCountInString(plain[i]))
	}
	frame.WriteString(eraseBelow)
	_, _ = io.WriteString(s.out, frame.String())
}

// rows is how many rows the last frame takes now: a terminal that became narrower has wrapped its lines.
func (s *screen) rows(width int) int {
	n := 0
	for _, w := range s.drawn {
		n += max(1, (w+width-1)/width)
	}
	return n
}

func (s *screen) end() { _, _ = io.WriteString(s.out, "\n"+showCursor) }
