package bench

import "testing"

func TestCheckOwn(t *testing.T) {
	for address, own := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "10.96.0.1:443": true, "172.16.3.4:80": true, "192.168.1.2:80": true,
		"[fd00::1]:80": true, "[::ffff:10.0.0.1]:80": true,
		"192.0.2.1:443": false, "8.8.8.8:443": false, "[2001:db8::1]:443": false, "[::ffff:8.8.8.8]:80": false,
		"169.254.169.254:80": false, "0.0.0.0:80": false, "house:80": false, "": false,
	} {
		if err := checkOwn(address); (err == nil) != own {
			t.Errorf("%q: %v, want own %v", address, err, own)
		}
	}
}
