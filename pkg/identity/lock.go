package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ageIntro begins a file of age (C2SP age, version 1) in its binary form.
const ageIntro = "age-encryption.org/v1\n"

// maxWorkFactor bounds what a file may ask for, as the logarithm of the rounds of
// scrypt: age itself uses 18, which takes 256 MiB and about a second.
const maxWorkFactor = 20

// locked reports whether a key file is encrypted.
func locked(data []byte) bool {
	return bytes.HasPrefix(data, []byte(ageIntro)) || bytes.HasPrefix(data, []byte(armor.Header))
}

// unlock decrypts what age -p has encrypted.
func unlock(data []byte, passphrase string) ([]byte, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	var in io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte(armor.Header)) {
		in = armor.NewReader(in)
	}
	plain, err := age.Decrypt(in, identity)
	if err != nil {
		// The library's text could quote the file.
		return nil, errors.New("decrypt: a wrong passphrase, or not a file of age -p")
	}
	out, err := readBounded(plain, maxKeyFile)
	if err != nil {
		return nil, errors.New("decrypt: the file is damaged")
	}
	return out, nil
}

// maxPassphrase bounds a file with a passphrase, in bytes.
const maxPassphrase = 1 << 10

// LoadPassphrase reads the passphrase for [LoadLockedKey] from a file, under the
// rule of [LoadKey]; it is "" for the path "". Line ends after it are not part of it.
func LoadPassphrase(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := LoadSecret(path, maxPassphrase)
	if err != nil {
		return "", fmt.Errorf("load passphrase: %w", err)
	}
	passphrase := strings.TrimRight(string(data), "\r\n")
	if passphrase == "" {
		return "", errors.New("load passphrase: the file is empty")
	}
	return passphrase, nil
}
