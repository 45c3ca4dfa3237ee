package hubspot

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks over JSON that has been found whole and well-formed, so it looks for no mistakes; on anything else it would
// panic or run past the end. Every method that reads a value leaves the cursor behind it, whatever the value's type.
type cursor struct {
	b []byte
	i int
}

// wellFormed reports whether b is one JSON value and nothing else. Duplicate names and bad UTF-8 are let pass: they are
// no reason to lose an answer.
func wellFormed(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// kind returns the first byte of the next token.
func (c *cursor) kind() byte {
	for {
		switch ch := c.b[c.i]; ch {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return ch
		}
	}
}

// enter goes into the array or object that comes next and reports whether it has an element. With more it makes a loop:
//
//	for ok := c.enter(); ok; ok = c.more() { ... }
func (c *cursor) enter() bool {
	c.kind()
	c.i++
	if k := c.kind(); k == ']' || k == '}' {
		c.i++
		return false
	}
	return true
}

// more goes on to the next element, or out of the array or object.
func (c *cursor) more() bool {
	k := c.kind()
	c.i++
	return k == ','
}

// name reads the name of a member and the colon.
func (c *cursor) name() []byte {
	name := c.quoted()
	c.kind()
	c.i++
	return name
}

// raw reads the next value as it stands.
func (c *cursor) raw() []byte {
	k := c.kind()
	start := c.i
	switch k {
	case '"':
		c.pastString()
	case '{', '[':
		c.pastNested()
	default:
		for c.i < len(c.b) && c.b[c.i] > ' ' && c.b[c.i] != ',' && c.b[c.i] != ']' && c.b[c.i] != '}' {
			c.i++
		}
	}
	return c.b[start:c.i]
}

// pastString leaves a string and reports whether it has escapes.
func (c *cursor) pastString() (escaped bool) {
	for i := c.i + 1; ; i += 2 { // over a backslash and what it escapes
		i += quoteOrBackslash(c.b[i:])
		if c.b[i] == '"' {
			c.i = i + 1
			return escaped
		}
		escaped = true
	}
}

// quoteOrBackslash returns the index of the first of the two in b, or a place behind the end. It looks at eight bytes at
// a time, since half the time of decoding goes into this: a byte of w is the one sought where the exclusive or is zero, and
// the lowest zero byte is found by the borrow of a subtraction.
func quoteOrBackslash(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^(ones*'"'), w^(ones*'\\')
		if found := ((quote-ones)&^quote | (backslash-ones)&^backslash) & tops; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

func (c *cursor) pastNested() {
	for depth := 0; ; {
		switch c.b[c.i] {
		case '"':
			c.pastString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
}

// quoted reads a string that must come next. What it returns may lie in the buffer.
func (c *cursor) quoted() []byte {
	c.kind()
	start := c.i
	if c.pastString() {
		text, _ := jsontext.AppendUnquote(nil, c.b[start:c.i])
		return text
	}
	return c.b[start+1 : c.i-1]
}

// bytes reads any value as text: the content of a string, nothing for null, and the JSON itself for everything else.
// What it returns may lie in the buffer.
func (c *cursor) bytes() []byte {
	switch c.kind() {
	case '"':
		return c.quoted()
	case 'n':
		c.i += len("null")
		return nil
	}
	return c.raw()
}

// text is bytes as a string. It gives back the string like, without a copy, if that is what it reads.
func (c *cursor) text(like string) string {
	b := c.bytes()
	switch {
	case string(b) == like:
		return like
	case !utf8.Valid(b):
		return strings.ToValidUTF8(string(b), string(utf8.RuneError))
	}
	return string(b)
}

// int reads a whole number, bare or in a string. Anything else is 0.
func (c *cursor) int() int64 {
	b := c.bytes()
	if n, ok := digits(b); ok {
		return n
	}
	text := strings.TrimSpace(string(b))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	// 123.0 and 1.23e2 are whole numbers too; beyond 2^53 a float may be another number than the one written.
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f)
	}
	return 0
}

// digits reads what most numbers are: up to 18 digits and nothing else.
func digits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, ch := range b {
		if ch < '0' || ch > '9' {
			return 0, false
		}
		n = n*10 + int64(ch-'0')
	}
	return n, true
}

// forms are the ways to write a time that are not RFC 3339 but near it.
var forms = []string{
	"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.DateOnly,
}

// time reads a time in RFC 3339 or near it, or in milliseconds since 1970 as other APIs of HubSpot write it. Anything else is
// the zero time; a sample in HubSpot's documentation has 151 minutes in an hour.
func (c *cursor) time() time.Time {
	k := c.kind()
	b := c.bytes()
	var t time.Time
	if len(b) == 0 || t.UnmarshalText(b) == nil {
		return t
	}
	if ms, ok := digits(b); ok && k != '"' {
		return time.UnixMilli(ms).UTC()
	}
	for _, form := range forms {
		if t, err := time.Parse(form, string(b)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// context reads a map of lists of strings. A bare value becomes a list of one, and a context that is no object goes under the
// empty name, because it may still name an input.
func (c *cursor) context() map[string][]string {
	switch c.kind() {
	case 'n':
		c.raw()
		return nil
	case '{':
	default:
		return map[string][]string{"": c.texts()}
	}
	m := make(map[string][]string)
	for ok := c.enter(); ok; ok = c.more() {
		name := strings.ToValidUTF8(string(c.name()), string(utf8.RuneError))
		m[name] = append(m[name], c.texts()...)
	}
	return m
}

// texts reads a list of texts, or one.
func (c *cursor) texts() []string {
	switch c.kind() {
	case 'n':
		c.raw()
		return nil
	case '[':
	default:
		return []string{c.text("")}
	}
	var all []string
	for ok := c.enter(); ok; ok = c.more() {
		all = append(all, c.text(""))
	}
	return all
}
