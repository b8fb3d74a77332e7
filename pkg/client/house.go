package client

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// House is what a person knows of an auction house before the first word is
// exchanged with it: where it is, and the root that vouches for its services.
type House struct {
	House  string   `json:"house"`
	Root   string   `json:"root"`               // the pinned root certificate, PEM
	CA     string   `json:"ca"`                 // base URLs
	TSA    []string `json:"tsa"`                // base URLs of the time authorities
	Names  []string `json:"tsa_names,omitzero"` // of those in the policies; without them, tsa is in the order of the policy in force
	DMS    []string `json:"dms"`                // any of them will do
	LogKey string   `json:"log_key,omitzero"`   // verifier key of heads and receipts; pinned when first seen
}

// ReadyFile is what a house that is up writes about itself.
type ReadyFile struct {
	House           string   `json:"house"`
	CA              string   `json:"ca"`
	TSA             []string `json:"tsa"`
	Names           []string `json:"tsa_names,omitzero"`
	DMS             []string `json:"dms"`
	Metrics         []string `json:"metrics"`
	Web             string   `json:"web"`
	RootCertificate string   `json:"root_certificate"` // path
	OperatorToken   string   `json:"operator_token"`
}

const maxHouseFile = 64 << 10

// LoadHouse reads a house file, or the ready file of a house that is up.
func LoadHouse(path string) (House, error) {
	data, err := readFile(path, maxHouseFile)
	if err != nil {
		return House{}, err
	}
	var h House
	if wire.Unmarshal(data, &h) != nil {
		var ready ReadyFile
		if err := wire.Unmarshal(data, &ready); err != nil {
			return House{}, fmt.Errorf("%s is neither a house file nor a ready file: %w", path, err)
		}
		root := ready.RootCertificate
		if !filepath.IsAbs(root) {
			root = filepath.Join(filepath.Dir(path), root)
		}
		certificate, err := readFile(root, maxHouseFile)
		if err != nil {
			return House{}, fmt.Errorf("read the root certificate: %w", err)
		}
		h = House{House: ready.House, Root: string(certificate), CA: ready.CA, TSA: ready.TSA, Names: ready.Names, DMS: ready.DMS}
	}
	return h, h.check()
}

func (h House) check() error {
	if !auction.IsName(h.House) || h.CA == "" || len(h.TSA) == 0 || len(h.DMS) == 0 {
		return auction.Refuse(auction.CodeBadRequest, "a house file names the house, its root, and the URLs of its ca, tsa and dms")
	}
	if h.Names != nil && len(h.Names) != len(h.TSA) {
		return auction.Refuse(auction.CodeBadRequest, "a house file's tsa_names has a name for each of its tsa")
	}
	_, err := h.root()
	return err
}

// root returns the pinned root in DER.
func (h House) root() ([]byte, error) {
	block, rest := pem.Decode([]byte(h.Root))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, auction.Refuse(auction.CodeBadCertificate, "the house file's root is one certificate in PEM")
	}
	return block.Bytes, nil
}

// CheckURLs refuses plain http beyond this machine: what it carries names people.
func (h House) CheckURLs() error {
	return checkURLs(append(append([]string{h.CA}, h.TSA...), h.DMS...))
}

func checkURLs(urls []string) error {
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			return auction.Refuse(auction.CodeBadRequest, "the house names a URL that is none")
		}
		ip := net.ParseIP(u.Hostname())
		local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		if u.Scheme != "https" && !(u.Scheme == "http" && local) {
			return auction.Refuse(auction.CodeNotAllowed, "%s is not https: say that plain connections are fine, or use https", u.Redacted())
		}
	}
	return nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, auction.Refuse(auction.CodeTooLarge, "%s has more than %d bytes", path, limit)
	}
	return os.ReadFile(path)
}
