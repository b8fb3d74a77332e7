package auction

import (
	"strconv"
	"strings"
)

// Amount is money in integer minor units of its auction's currency: cents for
// EUR, yen for JPY. An acceptable amount is in 1 .. MaxAmount.
type Amount int64

// MaxAmount keeps every amount below 2^53, so that a JSON number and a Lua
// number hold it exactly.
const MaxAmount Amount = 1<<53 - 1

// Valid reports whether a is in 1 .. MaxAmount.
func (a Amount) Valid() bool { return a >= 1 && a <= MaxAmount }

// Currency is an ISO 4217 alphabetic code, in upper case.
type Currency string

// currencies lists the active codes of ISO 4217 by their number of decimal
// digits. Funds, metals, and test codes are left out: nobody bids in them.
var currencies = func() map[Currency]int {
	byDigits := map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
		2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY " +
			"COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR " +
			"ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK " +
			"MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP " +
			"SLE SOS SRD SSP STN SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
		3: "BHD IQD JOD KWD LYD OMR TND",
	}
	m := make(map[Currency]int)
	for digits, codes := range byDigits {
		for code := range strings.FieldsSeq(codes) {
			m[Currency(code)] = digits
		}
	}
	return m
}()

// Digits returns the number of decimal digits of the minor unit.
// It refuses a code that is not an active ISO 4217 currency.
func (c Currency) Digits() (int, error) {
	d, ok := currencies[c]
	if !ok {
		return 0, Refuse(CodeWrongCurrency, "a currency is an active ISO 4217 code such as EUR")
	}
	return d, nil
}

// ParseAmount reads a decimal string such as "12.50" at the edge, where a
// person typed it. It accepts plain digits with at most the currency's decimal
// digits after one point, and refuses signs, spaces, exponents, grouping, a
// finer fraction than the currency has, zero, and what exceeds [MaxAmount].
func ParseAmount(s string, c Currency) (Amount, error) {
	digits, err := c.Digits()
	if err != nil {
		return 0, err
	}
	whole, fraction, point := strings.Cut(s, ".")
	if !isDigits(whole) || point && !isDigits(fraction) {
		return 0, Refuse(CodeBadAmount, "an amount is a decimal number such as 12.50")
	}
	if len(fraction) > digits {
		return 0, Refuse(CodeBadAmount, "%s has %d decimal digits", c, digits)
	}
	units, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil || !Amount(units).Valid() {
		return 0, Refuse(CodeBadAmount, "an amount is more than zero and below 2^53 minor units")
	}
	return Amount(units), nil
}

// Format writes a as a decimal string with all of c's digits, such as "12.50".
// An unknown currency is written in minor units.
func (a Amount) Format(c Currency) string {
	s := strconv.FormatInt(int64(a), 10)
	digits := currencies[c]
	if digits == 0 {
		return s
	}
	if len(s) <= digits {
		s = strings.Repeat("0", digits-len(s)+1) + s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
