package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// stored is an entry as it stands in a stream.
type stored struct {
	auction.Entry
	chain []byte // encoded certificates; empty where the log had them already
}

// seal makes an entry that has no number and no event yet.
func (s *Store) seal(p auction.Private) (auction.Entry, error) {
	salt := make([]byte, auction.SaltSize)
	if _, err := io.ReadFull(s.random, salt); err != nil {
		return auction.Entry{}, fmt.Errorf("make salt: %w", err)
	}
	private := p.Encode()
	return auction.Entry{Commitment: auction.Commit(salt, private), Salt: salt, Private: private}, nil
}

// entryID is the id in a stream of the entry with that number.
func entryID(seq uint64) string { return strconv.FormatUint(seq, 10) + "-0" }

// parseMessage reads an entry of a stream.
func parseMessage(m redis.XMessage) (stored, error) {
	digits, ok := strings.CutSuffix(m.ID, "-0")
	if !ok {
		return stored{}, errors.New("an id that is not of an entry")
	}
	field := func(name string) string {
		v, _ := m.Values[name].(string)
		return v
	}
	return parseStored(digits, field)
}

func parsePage(messages []redis.XMessage) ([]stored, error) {
	page := make([]stored, len(messages))
	for i, m := range messages {
		var err error
		if page[i], err = parseMessage(m); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func parseStored(seq string, field func(string) string) (stored, error) {
	n, err := strconv.ParseUint(seq, 10, 53)
	if err != nil || len(field("c")) != len(auction.Hash{}) {
		return stored{}, errors.New("an entry that does not parse")
	}
	return stored{
		Entry: auction.Entry{
			Seq: n, Event: []byte(field("e")), Commitment: auction.Hash([]byte(field("c"))),
			Salt: []byte(field("s")), Private: []byte(field("p")),
		},
		chain: []byte(field("x")),
	}, nil
}

// parsePlaced reads the reply of a script that appends an entry or finds it there.
// sealed is what was sent.
func parsePlaced(reply []string, sealed stored) (entry stored, again bool, err error) {
	switch {
	case reply[0] == "ok" && len(reply) >= 3:
		n, err := strconv.ParseUint(reply[1], 10, 53)
		if err != nil {
			return stored{}, false, errors.New("run script: a number that does not parse")
		}
		sealed.Seq, sealed.Event = n, []byte(reply[2])
		return sealed, false, nil
	case reply[0] == "again" && len(reply) >= 2 && len(reply)%2 == 0:
		fields := make(map[string]string, len(reply)/2)
		for i := 2; i < len(reply); i += 2 {
			fields[reply[i]] = reply[i+1]
		}
		entry, err := parseStored(reply[1], func(name string) string { return fields[name] })
		return entry, true, err
	case reply[0] == "refused" && len(reply) == 3:
		least, err := strconv.ParseInt(reply[2], 10, 64)
		if err != nil {
			return stored{}, false, errors.New("run script: an amount that does not parse")
		}
		return stored{}, false, auction.Verdict{Code: auction.Code(reply[1]), Least: auction.Amount(least)}.Refusal()
	}
	return stored{}, false, word(reply)
}

// errNoState means that a log has no state: the auction is not open yet, or the
// projection is lost.
var errNoState = errors.New("the log has no state")

// word reads the reply of a script that has nothing more to say.
func word(reply []string) error {
	switch reply[0] {
	case "ok", "done":
		return nil
	case "grew":
		return auction.ErrGrew
	case "used":
		return auction.Verdict{Code: auction.CodePseudonymUsed}.Refusal()
	case "unknown":
		return errNoState
	case "archived":
		return errArchived
	}
	return errors.New("run script: an unexpected reply")
}

// identity is what an answer belongs to: the same participant and signed bytes.
func identity(p auction.Participant, digest auction.Hash) string {
	return string(p[:]) + string(digest[:])
}

const identitySize = 64

// splitAnswer reads a value of the hash of answers: the identity, then the
// entry's number, 0 for a refusal.
func splitAnswer(value string) (identity string, seq uint64, err error) {
	if len(value) < identitySize {
		return "", 0, errors.New("an answer that does not parse")
	}
	digits, _, _ := strings.Cut(value[identitySize:], " ")
	if digits == "" {
		return value[:identitySize], 0, nil
	}
	seq, err = strconv.ParseUint(digits, 10, 53)
	if err != nil {
		return "", 0, errors.New("an answer that does not parse")
	}
	return value[:identitySize], seq, nil
}

// answerOf writes the value of an accepted command's answer, as the scripts do.
func answerOf(identity string, seq uint64) string {
	return identity + strconv.FormatUint(seq, 10) + "  0"
}

// maxChain bounds the certificates of one signer.
const maxChain = 8

// encodeBlobs writes each blob with its length in front, 32 bits, big-endian.
func encodeBlobs(blobs ...auction.Blob) []byte {
	size := 0
	for _, blob := range blobs {
		size += 4 + len(blob)
	}
	b := make([]byte, 0, size)
	for _, blob := range blobs {
		b = binary.BigEndian.AppendUint32(b, uint32(len(blob)))
		b = append(b, blob...)
	}
	return b
}

// decodeBlobs is the inverse of encodeBlobs, for at most limit blobs.
func decodeBlobs(data []byte, limit int) ([]auction.Blob, error) {
	var blobs []auction.Blob
	for len(data) > 0 {
		if len(data) < 4 || len(blobs) == limit {
			return nil, errors.New("binary data that does not parse")
		}
		n := binary.BigEndian.Uint32(data)
		if data = data[4:]; uint64(n) > uint64(len(data)) {
			return nil, errors.New("binary data that does not parse")
		}
		blobs, data = append(blobs, data[:n:n]), data[n:]
	}
	return blobs, nil
}
