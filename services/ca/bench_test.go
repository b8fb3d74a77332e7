package ca

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/sigilo/sigilo/pkg/identity"
)

// BenchmarkEnrol is from a request to a certificate that the registry has on the
// disk, 8 at a time, with what it costs to ask.
func BenchmarkEnrol(b *testing.B) {
	ca := startCA(b, newFolder(b), func(c *Config) { c.Mode = ModeOpen })
	bodies := make([][]byte, b.N)
	for i := range bodies {
		key, err := identity.NewKey()
		if err != nil {
			b.Fatal(err)
		}
		csr, err := identity.NewRequest(key)
		if err != nil {
			b.Fatal(err)
		}
		if bodies[i], err = json.Marshal(map[string]string{
			"csr": base64.RawURLEncoding.EncodeToString(csr), "username": "newcomer-" + strconv.Itoa(i),
		}); err != nil {
			b.Fatal(err)
		}
	}
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var next atomic.Int64
	b.SetParallelism(4)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			response, err := web.Post(ca.url+"/api/sign-csr", "application/json", bytes.NewReader(bodies[next.Add(1)-1]))
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
				b.Errorf("status %d, %v", response.StatusCode, err)
			}
			_ = response.Body.Close()
		}
	})
}
