package auction_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// The closed set is what the source declares.
func TestCodesAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []auction.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, auction.Code(value))
		return true
	})
	listed := auction.Codes()
	if len(declared) < 40 || len(listed) != len(declared) {
		t.Errorf("%d codes are declared, %d listed", len(declared), len(listed))
	}
	for _, c := range declared {
		if !slices.Contains(listed, c) {
			t.Errorf("%s is not listed", c)
		}
	}
}

func TestAsRefusal(t *testing.T) {
	refusal := auction.Refuse(auction.CodeBadHead, "a %s", "detail")
	for _, test := range []struct {
		err  error
		code auction.Code
		text string
	}{
		{nil, "", ""},
		{refusal, auction.CodeBadHead, "bad_head: a detail"},
		{fmt.Errorf("step: %w", refusal), auction.CodeBadHead, "bad_head: a detail"},
		{errors.New("10.0.0.1: secret"), auction.CodeInternal, "internal: the service failed; its operator can see why"},
	} {
		if got := auction.CodeOf(test.err); got != test.code {
			t.Errorf("%v: code %s, want %s", test.err, got, test.code)
		}
		if r := auction.AsRefusal(test.err); r != nil && r.Error() != test.text {
			t.Errorf("%v: %q", test.err, r.Error())
		}
	}
}
