package auction_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestParseAmount(t *testing.T) {
	for _, test := range []struct {
		text     string
		currency auction.Currency
		want     auction.Amount
		code     auction.Code
	}{
		{"12.50", "EUR", 1250, ""},
		{"12.5", "EUR", 1250, ""},
		{"12", "EUR", 1200, ""},
		{"0.01", "EUR", 1, ""},
		{"007", "JPY", 7, ""},
		{"1.234", "BHD", 1234, ""},
		{"90071992547409.91", "EUR", auction.MaxAmount, ""},
		{"9007199254740991", "JPY", auction.MaxAmount, ""},

		{"90071992547409.92", "EUR", 0, auction.CodeBadAmount},
		{"9007199254740992", "JPY", 0, auction.CodeBadAmount},
		{"99999999999999999999999999", "JPY", 0, auction.CodeBadAmount},
		{"0", "EUR", 0, auction.CodeBadAmount},
		{"0.00", "EUR", 0, auction.CodeBadAmount},
		{"-1", "EUR", 0, auction.CodeBadAmount},
		{"+1", "EUR", 0, auction.CodeBadAmount},
		{"1.5", "JPY", 0, auction.CodeBadAmount},
		{"1.", "JPY", 0, auction.CodeBadAmount},
		{"1.005", "EUR", 0, auction.CodeBadAmount},
		{".5", "EUR", 0, auction.CodeBadAmount},
		{"1.2.3", "EUR", 0, auction.CodeBadAmount},
		{"1,000", "EUR", 0, auction.CodeBadAmount},
		{"1e3", "EUR", 0, auction.CodeBadAmount},
		{"0x10", "EUR", 0, auction.CodeBadAmount},
		{"1_000", "EUR", 0, auction.CodeBadAmount},
		{" 1", "EUR", 0, auction.CodeBadAmount},
		{"١", "EUR", 0, auction.CodeBadAmount},
		{"", "EUR", 0, auction.CodeBadAmount},
		{"1", "eur", 0, auction.CodeWrongCurrency},
		{"1", "XAU", 0, auction.CodeWrongCurrency},
		{"1", "", 0, auction.CodeWrongCurrency},
	} {
		got, err := auction.ParseAmount(test.text, test.currency)
		if got != test.want || auction.CodeOf(err) != test.code {
			t.Errorf("%q %s: got %d, %v", test.text, test.currency, got, err)
		}
	}
}

func TestFormatAmount(t *testing.T) {
	for _, test := range []struct {
		amount   auction.Amount
		currency auction.Currency
		want     string
	}{
		{1, "EUR", "0.01"},
		{1250, "EUR", "12.50"},
		{1250, "JPY", "1250"},
		{5, "TND", "0.005"},
		{auction.MaxAmount, "EUR", "90071992547409.91"},
		{1250, "???", "1250"},
	} {
		if got := test.amount.Format(test.currency); got != test.want {
			t.Errorf("%d %s: got %s, want %s", test.amount, test.currency, got, test.want)
		}
	}
}

// What is written reads back as the same.
func TestAmountRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := auction.Amount(rapid.Int64Range(1, int64(auction.MaxAmount)).Draw(t, "amount"))
		c := rapid.SampledFrom([]auction.Currency{"JPY", "EUR", "KWD"}).Draw(t, "currency")
		if got, err := auction.ParseAmount(a.Format(c), c); got != a || err != nil {
			t.Fatalf("%d became %d, %v", a, got, err)
		}
	})
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"12.50", "0", "-1", "1e9", "9007199254740991", "1.", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range []auction.Currency{"JPY", "EUR", "KWD"} {
			a, err := auction.ParseAmount(s, c)
			if err != nil {
				continue
			}
			if again, err := auction.ParseAmount(a.Format(c), c); !a.Valid() || err != nil || again != a {
				t.Errorf("%q became %d, then %d, %v", s, a, again, err)
			}
		}
	})
}
