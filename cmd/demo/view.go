package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"consent-worker/worker"
)

// page is what the live view shows, a line each. Of a line's cells the first says how things are, and the last are left out
// first when the terminal is narrow.
func (m *moment) page() []line {
	at := clock(m.elapsed)
	switch {
	case m.stage > producing:
	case m.length > 0:
		at += " of " + clock(m.length)
	default:
		at += "   Ctrl-C ends it"
	}
	lines := []line{
		{cells: []cell{{"consent-worker demo", strong}, {at, faint}}},
		{cells: []cell{{m.story(), faint}}},
		{},
		{label: "topic", cells: []cell{{grouped(int(m.rate+0.5)) + " events/s", usual}, {grouped(m.produced) + " events", usual}, {"lag " + grouped(int(m.lag)), usual}}},
	}
	for i := range m.workers {
		lines = append(lines, m.workers[i].line(i+1, m.stage))
	}
	return append(lines, m.hubSpot(), m.deadLetters(), m.optOutLine())
}

// story says in a sentence what one sees.
func (m *moment) story() string {
	switch {
	case m.stage == settling:
		return "The producer has stopped. The workers finish what is owed."
	case m.stage == leaving:
		return "The workers leave the group, and Kafka is compared with HubSpot."
	case !m.joined:
		return "Two workers join the group and share the partitions."
	case m.mood == outage:
		return "HubSpot fails. What is owed waits in Kafka: an outage is lag, nothing else."
	case m.mood == recovery:
		return "HubSpot is back. What waited goes out, opt-outs first, inside the rate limit."
	case m.mood == mailing:
		return "A mailing went out: many people answer at once, most with no."
	}
	return "Consent changes flow from the topic to HubSpot in batches, opt-outs first."
}

func (w *crewman) line(number int, s stage) line {
	l := line{label: fmt.Sprint("worker ", number), cells: []cell{w.state(s)}}
	if !w.alive || len(w.assigned) == 0 {
		return l
	}
	name := "partitions "
	if len(w.assigned) == 1 {
		name = "partition "
	}
	return line{l.label, append(l.cells, cell{name + ranges(w.assigned), usual}, cell{fmt.Sprint(w.inFlight, " in flight"), usual},
		cell{fmt.Sprintf("window %.0f %%", 100*w.filled), usual})}
}

func (w *crewman) state(s stage) cell {
	switch {
	case !w.alive && s == leaving:
		return cell{"stopped", faint}
	case !w.alive:
		return cell{"joining", warn}
	case w.draining:
		return cell{"draining", warn}
	case len(w.assigned) == 0:
		return cell{"idle", faint}
	case w.closed == "":
		return cell{"open", good}
	}
	if w.opens <= 0 {
		return cell{"probing: " + closures[w.closed], warn}
	}
	return cell{fmt.Sprintf("closed: %s %.1f s", closures[w.closed], w.opens.Seconds()), warn}
}

// closures says why a gate is closed in as few letters as may be.
var closures = map[worker.Closure]string{
	worker.ClosedPace: "pace", worker.ClosedBreaker: "breaker", worker.ClosedBackoff: "back-off", worker.ClosedLocked: "locked",
	worker.ClosedRateLimited: "limit", worker.ClosedDaily: "daily limit", worker.ClosedMigrating: "migration",
	worker.ClosedUnauthorized: "token", worker.ClosedForbidden: "scopes", worker.ClosedMisdirected: "URL",
	worker.ClosedLifeless: "all refused",
}

func (m *moment) hubSpot() line {
	return line{"HubSpot", []cell{m.health(), {grouped(m.written) + " written", usual}, {grouped(m.requests) + " requests", usual},
		{fmt.Sprintf("limit %d %%", 100*m.used/rateLimit), usual}}}
}

func (m *moment) health() cell {
	if m.mood == outage && m.stage == producing {
		return cell{"OUTAGE", bad}
	}
	return cell{"answers", good}
}

func (m *moment) deadLetters() line {
	total := 0
	for _, n := range m.dead {
		total += n
	}
	l := line{"dead letters", []cell{{grouped(total), usual}}}
	for _, r := range reasons(m.dead) {
		l.cells = append(l.cells, cell{r, usual})
	}
	return l
}

// reasons lists dead letters by reason.
func reasons(dead map[worker.Reason]int) []string {
	var all []string
	for _, reason := range slices.Sorted(maps.Keys(dead)) {
		all = append(all, grouped(dead[reason])+" "+strings.ReplaceAll(string(reason), "_", " "))
	}
	return all
}

func (m *moment) optOutLine() line {
	l := line{"opt-outs", []cell{{"none yet", faint}}}
	if m.optOuts.n > 0 {
		l.cells = []cell{{"p50 " + brief(m.optOuts.p50), usual}, {"p99 " + brief(m.optOuts.p99), usual}}
	}
	if m.oldest > time.Second {
		l.cells = append(l.cells, cell{"oldest owed " + brief(m.oldest), usual})
	}
	return l
}

// plainLine is the moment in one line of text.
func (m *moment) plainLine() string {
	states := make([]string, len(m.workers))
	for i := range m.workers {
		states[i] = m.workers[i].state(m.stage).text
	}
	text := fmt.Sprintf("%s  %s events, %s written, lag %s; workers: %s; HubSpot %s, limit %d %%", clock(m.elapsed), grouped(m.produced),
		grouped(m.written), grouped(int(m.lag)), strings.Join(states, ", "), m.health().text, 100*m.used/rateLimit)
	if r := reasons(m.dead); len(r) > 0 {
		text += "; dead letters: " + strings.Join(r, ", ")
	}
	if m.optOuts.n > 0 {
		text += fmt.Sprintf("; opt-outs p50 %s, p99 %s", brief(m.optOuts.p50), brief(m.optOuts.p99))
	}
	return text
}

// ranges writes sorted numbers as 0–2, 5.
func ranges(all []int32) string {
	var parts []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		switch j - i {
		case 0:
			parts = append(parts, fmt.Sprint(all[i]))
		case 1:
			parts = append(parts, fmt.Sprint(all[i]), fmt.Sprint(all[j]))
		default:
			parts = append(parts, fmt.Sprintf("%d–%d", all[i], all[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func clock(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// brief writes a duration with two or three digits.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
