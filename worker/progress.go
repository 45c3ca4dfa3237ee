package worker

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// Progress is what a life leaves behind with a partition's mark, in the metadata of the commit.
type Progress struct {
	Reach int64  // the offset up to which the life may have read, and so sent
	Clean bool   // no request of the life is unanswered or in shadow
	Gaps  []Span // settled offsets above the mark, ascending, apart from each other
}

// Span is the offsets From <= o < To.
type Span struct{ From, To int64 }

// maxMetadata is what a broker takes with one partition's offset, in bytes (Kafka's offset.metadata.max.bytes, default).
const maxMetadata = 4096

// progressVersion begins the metadata. A later format gets another one; what does not begin with it is foreign.
const progressVersion = "cw1"

// errForeign says that metadata was not written by a life of this program.
var errForeign = errors.New("the commit's metadata was not written by this program")

// encode writes p for a commit at mark: version, reach less mark, clean, and the gaps as alternating lengths of unsettled
// and settled offsets in base64 varints. What does not fit is cut off from the highest offsets down: cut off from
// the lowest, an opt-out could lose its word over an older opt-in that is written again.
func (p Progress) encode(mark int64) string {
	head := progressVersion + "," + strconv.FormatInt(p.Reach-mark, 10) + ","
	if p.Clean {
		head += "c"
	}
	head += ","
	room := (maxMetadata - len(head)) / 4 * 3
	var buf []byte
	at := mark
	for _, g := range p.Gaps {
		n := len(buf)
		buf = binary.AppendUvarint(buf, uint64(g.From-at))
		buf = binary.AppendUvarint(buf, uint64(g.To-g.From))
		if len(buf) > room {
			buf = buf[:n]
			break
		}
		at = g.To
	}
	return head + base64.RawURLEncoding.EncodeToString(buf)
}

// decodeProgress reads what encode wrote for a commit at mark. Any metadata that could not have come from it is foreign.
func decodeProgress(metadata string, mark int64) (Progress, error) {
	part := strings.Split(metadata, ",")
	if len(part) != 4 || part[0] != progressVersion || part[2] != "" && part[2] != "c" {
		return Progress{}, errForeign
	}
	ahead, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil || ahead < 0 || mark+ahead < mark {
		return Progress{}, errForeign
	}
	p := Progress{Reach: mark + ahead, Clean: part[2] == "c"}
	buf, err := base64.RawURLEncoding.Strict().DecodeString(part[3])
	if err != nil {
		return Progress{}, errForeign
	}
	at := mark
	for len(buf) > 0 {
		skip, n := binary.Uvarint(buf)
		if n <= 0 {
			return Progress{}, errForeign
		}
		run, m := binary.Uvarint(buf[n:])
		if m <= 0 || skip == 0 || run == 0 || skip > uint64(p.Reach-at) || run > uint64(p.Reach-at)-skip {
			return Progress{}, errForeign
		}
		g := Span{From: at + int64(skip), To: at + int64(skip+run)}
		p.Gaps = append(p.Gaps, g)
		buf, at = buf[n+m:], g.To
	}
	return p, nil
}
