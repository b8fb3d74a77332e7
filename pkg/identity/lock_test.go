package identity

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// lock does what age -p does, faster.
func lock(t *testing.T, data []byte, passphrase string, workFactor int, armored bool) []byte {
	t.Helper()
	recipient := must[*age.ScryptRecipient](t)(age.NewScryptRecipient(passphrase))
	recipient.SetWorkFactor(workFactor)
	var out bytes.Buffer
	to := io.WriteCloser(nopCloser{&out})
	if armored {
		to = armor.NewWriter(&out)
	}
	w := must[io.WriteCloser](t)(age.Encrypt(to, recipient))
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{w, to} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestLockedKeys(t *testing.T) {
	key := newTestKey(t)
	plain := must[[]byte](t)(EncodeKey(key))
	binary, armored := lock(t, plain, "horse", 10, false), lock(t, plain, "horse", 10, true)
	changed := bytes.Clone(binary)
	changed[len(changed)-1] ^= 1
	stranger := must[*age.X25519Identity](t)(age.GenerateX25519Identity())
	var toStranger bytes.Buffer
	w := must[io.WriteCloser](t)(age.Encrypt(&toStranger, stranger.Recipient()))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data       []byte
		passphrase string
		ok         bool
	}{
		"plain":                        {plain, "", true},
		"plain, with a passphrase":     {plain, "horse", true},
		"binary":                       {binary, "horse", true},
		"armored":                      {armored, "horse", true},
		"no passphrase":                {binary, "", false},
		"another passphrase":           {armored, "house", false},
		"changed":                      {changed, "horse", false},
		"cut":                          {binary[:len(binary)-1], "horse", false},
		"the header alone":             {[]byte(ageIntro), "horse", false},
		"not for a passphrase":         {toStranger.Bytes(), "horse", false},
		"something else inside":        {lock(t, []byte("hello"), "horse", 10, false), "horse", false},
		"something encrypted inside":   {lock(t, binary, "horse", 10, false), "horse", false},
		"a key that is large, inside":  {lock(t, bytes.Repeat(plain, 15), "horse", 10, false), "horse", false},
		"something behind the armor":   {append(bytes.Clone(armored), "x"...), "horse", false},
		"a key behind the armored one": {append(bytes.Clone(armored), plain...), "horse", false},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoadLockedKey(path, c.passphrase)
		if (err == nil) != c.ok || err == nil && !got.Equal(key) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains([]byte(errText(err)), []byte(c.passphrase)) && c.passphrase != "" {
			t.Errorf("%s: the error tells the passphrase: %v", name, err)
		}
	}
}

// Other secrets are read in the same way: the log key is no PEM.
func TestLockedSecret(t *testing.T) {
	for name, c := range map[string]struct {
		data       []byte
		passphrase string
		want       string
	}{
		"plain":              {[]byte("PRIVATE+KEY+demo"), "", "PRIVATE+KEY+demo"},
		"encrypted":          {lock(t, []byte("PRIVATE+KEY+demo"), "horse", 10, true), "horse", "PRIVATE+KEY+demo"},
		"no passphrase":      {lock(t, []byte("PRIVATE+KEY+demo"), "horse", 10, true), "", ""},
		"another passphrase": {lock(t, []byte("PRIVATE+KEY+demo"), "horse", 10, true), "house", ""},
	} {
		path := filepath.Join(t.TempDir(), "log.key")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoadLockedSecret(path, c.passphrase)
		if (err == nil) != (c.want != "") || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A file may not have us work for ever.
func TestLockedKeyWithTooMuchWork(t *testing.T) {
	data := lock(t, must[[]byte](t)(EncodeKey(newTestKey(t))), "horse", 10, false)
	dear := bytes.Replace(data, []byte(" 10\n"), []byte(" 21\n"), 1)
	if bytes.Equal(data, dear) {
		t.Fatal("there is no work factor")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, dear, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLockedKey(path, "horse"); err == nil {
		t.Error("loaded")
	}
}
