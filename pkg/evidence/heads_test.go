package evidence

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testHead(size uint64) auction.Head {
	return auction.Head{Size: size, Root: testLeaves(1)[0]}
}

func TestHeads(t *testing.T) {
	signer, key := testLogKey(t, 1)
	for _, log := range []auction.LogID{auction.HouseLog, auction.LogID(testAuction)} {
		for _, size := range []uint64{0, 1, 10, maxSize} {
			text, err := signer.SignHead(testHouse, log, testHead(size))
			if err != nil {
				t.Fatal(err)
			}
			head, err := OpenHead(text, key, testHouse, log)
			if err != nil || head != testHead(size) {
				t.Errorf("head %d of %s: %v, %v", size, log, head, err)
			}
		}
	}
}

func TestHeadsRefused(t *testing.T) {
	signer, key := testLogKey(t, 1)
	foreignSigner, foreign := testLogKey(t, 2)
	good, err := signer.SignHead(testHouse, auction.HouseLog, testHead(12))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string, signers ...note.Signer) string {
		signed, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	text, line, _ := strings.Cut(good, "\n\n")
	text += "\n"
	lines := strings.SplitAfter(text, "\n")
	for name, head := range map[string]string{
		"empty":                "",
		"no signature":         text + "\n",
		"doubled signature":    good + line,
		"foreign signature":    sign(text, foreignSigner.signer),
		"a second signature":   sign(text, signer.signer, foreignSigner.signer),
		"an extension line":    sign(text+"more\n", signer.signer),
		"size with zeros":      sign(lines[0]+"012\n"+lines[2], signer.signer),
		"size with a sign":     sign(lines[0]+"+12\n"+lines[2], signer.signer),
		"size over the limit":  sign(lines[0]+"9007199254740992\n"+lines[2], signer.signer),
		"a short root":         sign(lines[0]+lines[1]+"AAAA\n", signer.signer),
		"a loose root":         sign(lines[0]+lines[1]+strings.Replace(lines[2], "=", "", 1), signer.signer),
		"another label":        sign(strings.Replace(text, "/v1", "/v2", 1), signer.signer),
		"another house":        sign(strings.Replace(text, "demo/", "omed/", 1), signer.signer),
		"carriage returns":     strings.ReplaceAll(good, "\n", "\r\n"),
		"loose base64":         good[:len(good)-3] + "x=\n",
		"too long":             good + strings.Repeat(line, 20),
		"no newline":           strings.TrimSuffix(good, "\n"),
		"something before":     "\n" + good,
		"something after":      good + "\n",
		"another log's":        strings.Replace(good, "house", "other", 1),
		"base64 with a break":  good[:len(good)-9] + "\n" + good[len(good)-9:],
		"two texts in one":     text + good,
		"no text but its sign": "\n" + line,
	} {
		if _, err := OpenHead(head, key, testHouse, auction.HouseLog); auction.CodeOf(err) != auction.CodeBadSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenHead(good, foreign, testHouse, auction.HouseLog); err == nil {
		t.Error("opens with another key")
	}
	if _, err := OpenHead(good, key, testHouse, auction.LogID(testAuction)); err == nil {
		t.Error("opens as another log's")
	}
	if _, err := OpenHead(good, key, "other", auction.HouseLog); err == nil {
		t.Error("opens as another house's")
	}
}

func TestHeadEveryByteCounts(t *testing.T) {
	signer, key := testLogKey(t, 1)
	good, err := signer.SignHead(testHouse, auction.HouseLog, testHead(12))
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, b := range []byte{good[i] ^ 1, good[i] ^ 0x20, good[i] + 1, 0, '\n', ' '} {
			if b == good[i] {
				continue
			}
			changed := good[:i] + string([]byte{b}) + good[i+1:]
			if _, err := OpenHead(changed, key, testHouse, auction.HouseLog); err == nil {
				t.Errorf("byte %d changed from %q to %q passes", i, good[i], b)
			}
		}
	}
}

// FuzzOpenHead holds that what opens is exactly what was signed.
func FuzzOpenHead(f *testing.F) {
	signer, key := testLogKey(f, 1)
	for _, size := range []uint64{0, 7} {
		text, err := signer.SignHead(testHouse, auction.HouseLog, testHead(size))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		head, err := OpenHead(text, key, testHouse, auction.HouseLog)
		if err != nil {
			return
		}
		again, err := signer.SignHead(testHouse, auction.HouseLog, head)
		if err != nil || again != text {
			t.Fatal("a head opens that is not what its signer writes")
		}
	})
}
