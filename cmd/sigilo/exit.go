package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

// Exit statuses; the help lists them.
const (
	exitDone        = 0
	exitRefused     = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitLocal       = 4
)

// failure is an error whose exit status is known where it is made.
type failure struct {
	exit  int
	cause error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// usage makes an error about how the command was called, local one about this
// machine, refused one about something that does not hold.
func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

func local(format string, args ...any) error {
	return &failure{exitLocal, fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &failure{exitRefused, fmt.Errorf(format, args...)}
}

// unconfirmed is the lack of an answer to a command that was sent.
type unconfirmed struct {
	kind  auction.Kind
	cause error
}

func (u unconfirmed) Error() string {
	see := "sigilo my-items"
	if u.kind == auction.KindBid {
		see = "sigilo my-bids"
	}
	text := fmt.Sprintf("your %s is not confirmed: it may count or not. %s sends the same again, which cannot count twice, and shows what became of it", u.kind, see)
	var refusal *auction.Refusal
	if errors.As(u.cause, &refusal) && !refusal.Code.Temporary() {
		text += " (" + refusal.Error() + ")"
	}
	return text
}

func (u unconfirmed) Unwrap() error { return u.cause }

// exitOf maps every error to an exit status.
func exitOf(err error) int {
	var known *failure
	var refusal *auction.Refusal
	var network net.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &known):
		return known.exit
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	case errors.As(err, &refusal):
		return exitOfCode(refusal.Code)
	case errors.As(err, &network):
		return exitUnavailable
	}
	return exitLocal
}

// exitOfCode maps the closed set of codes to exit statuses. A defect of the
// house's may be gone the next time.
func exitOfCode(code auction.Code) int {
	if code.Temporary() || code == auction.CodeInternal {
		return exitUnavailable
	}
	return exitRefused
}

// failed is an error for a program that reads JSON.
type failed struct {
	Code   auction.Code   `json:"code"` // a refusal's, else usage, unavailable or local
	Detail string         `json:"detail"`
	Least  auction.Amount `json:"least,omitzero"`
	Exit   int            `json:"exit"`
}

// fail prints an error and returns the exit status.
func (a *app) fail(err error) int {
	if err == nil {
		return exitDone
	}
	exit := exitOf(err)
	text := plain(explain(err))
	if !a.JSON {
		a.note("%s", text)
		return exit
	}
	out := failed{Detail: text, Exit: exit, Code: map[int]auction.Code{
		exitRefused: "refused", exitUsage: "usage", exitUnavailable: auction.CodeUnavailable, exitLocal: "local",
	}[exit]}
	var refusal *auction.Refusal
	if errors.As(err, &refusal) && exit != exitUsage && exit != exitLocal {
		out.Code, out.Least = refusal.Code, refusal.Least
		out.Detail = strings.TrimPrefix(text, string(refusal.Code)+": ")
	}
	a.printJSON(a.err, out)
	return exit
}

// explain says what went wrong and what to do.
func explain(err error) string {
	var refusal *auction.Refusal
	var known *failure
	var archived *client.Archived
	switch {
	case errors.As(err, &archived):
		return err.Error() + ". " + lastLine(archived.Item)
	case errors.As(err, new(unconfirmed)), errors.As(err, &known) && known.exit != exitUnavailable:
		return err.Error()
	case errors.As(err, &refusal) && refusal.Code == auction.CodeTooOld:
		return err.Error() + " (sigilo watch shows how it ended)"
	case errors.As(err, &refusal) && !refusal.Code.Temporary():
		return err.Error()
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &refusal):
		return "the house is not available: " + refusal.Detail + " (sigilo doctor shows what works)"
	case errors.Is(err, context.DeadlineExceeded):
		return "the house does not answer (sigilo doctor shows what works, --timeout waits longer)"
	}
	return err.Error()
}
