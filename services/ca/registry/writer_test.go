package registry

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// together has enrolments made in one transaction: they all wait while another
// change is being made. It returns what became of each, a panic as an error.
func together(t *testing.T, r *Registry, issues []Issue) []error {
	t.Helper()
	hold, holding := make(chan struct{}), make(chan struct{})
	outcome := make([]error, len(issues))
	done := make(chan int, len(issues)+1)
	go func() {
		err := r.EnrolOpen(t.Context(), key(200), person("first"), epoch, func(identity.Role) (Certificate, error) {
			close(holding)
			<-hold
			return serials("200")(identity.RoleParticipant)
		})
		if err != nil {
			t.Error(err)
		}
		done <- -1
	}()
	<-holding
	for i, issue := range issues {
		go func() {
			defer func() {
				if p := recover(); p != nil {
					outcome[i] = fmt.Errorf("panic: %v", p)
					done <- i
				}
			}()
			outcome[i] = r.EnrolOpen(t.Context(), key(byte(i+1)), person(fmt.Sprintf("person-%d", i)), epoch, issue)
			done <- i
		}()
	}
	synctest.Wait() // all of them wait for the writer
	close(hold)
	for range len(issues) + 1 {
		<-done
	}
	return outcome
}

// enrolled returns the names that the registry has.
func (r *Registry) enrolled(t *testing.T) []string {
	t.Helper()
	entries, err := r.People(t.Context(), auction.Participant{}, 1000, epoch)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Person.Username)
	}
	slices.Sort(names)
	return names
}

// A refusal within a group is the business of who is refused: nothing of theirs
// stays, and all of the others' does.
func TestARefusalInAGroupIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t)
		refusal := auction.Refuse(auction.CodeUnavailable, "not now")
		got := together(t, r, []Issue{
			serials("10"),
			func(identity.Role) (Certificate, error) { return Certificate{}, refusal },
			serials("12"),
		})
		if got[0] != nil || !errors.Is(got[1], refusal) || got[2] != nil {
			t.Errorf("got %v", got)
		}
		if names := r.enrolled(t); !slices.Equal(names, []string{"first", "person-0", "person-2"}) {
			t.Errorf("enrolled are %v", names)
		}
	})
}

// Any other error may mean that SQLite has undone the transaction: nobody of the
// group is told that they are enrolled, and nobody is. The next change is good again.
func TestAnErrorInAGroupIsEverybodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t)
		broken := errors.New("broken")
		got := together(t, r, []Issue{
			serials("10"),
			func(identity.Role) (Certificate, error) { return Certificate{}, broken },
			serials("12"),
		})
		for i, err := range got {
			if !errors.Is(err, broken) {
				t.Errorf("%d: got %v", i, err)
			}
		}
		if names := r.enrolled(t); !slices.Equal(names, []string{"first"}) {
			t.Errorf("enrolled are %v", names)
		}
		enrol(t, r, 1, "person-0")
	})
}

// More than fit into one group are all made, and who leaves while waiting is not.
func TestGroupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t)
		issues := make([]Issue, 2*maxGroup)
		for i := range issues {
			issues[i] = serials(fmt.Sprintf("1%04d", i))
		}
		for i, err := range together(t, r, issues) {
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if names := r.enrolled(t); len(names) != len(issues)+1 {
			t.Errorf("%d are enrolled, want %d", len(names), len(issues)+1)
		}
	})
}

func TestWhoLeavesIsNotEnrolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		err := r.EnrolOpen(t.Context(), key(1), person("first"), epoch, func(identity.Role) (Certificate, error) {
			go func() { left <- r.EnrolOpen(ctx, key(2), person("second"), epoch, serials("2")) }()
			synctest.Wait() // the second waits for this one
			leave()
			return serials("1")(identity.RoleParticipant)
		})
		if err != nil {
			t.Error(err)
		}
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if names := r.enrolled(t); !slices.Equal(names, []string{"first"}) {
			t.Errorf("enrolled are %v", names)
		}
	})
}

func TestNothingIsWrittenAfterClose(t *testing.T) {
	r, err := Open(t.Context(), filepath.Join(t.TempDir(), "registry.db"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.EnrolOpen(t.Context(), key(1), person("late"), epoch, serials("1")); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

// A defect ends the request that meets it, and undoes it: the others of its group
// are made, and so is what comes after.
func TestAPanicInAGroupIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := open(t)
		got := together(t, r, []Issue{
			serials("10"),
			func(identity.Role) (Certificate, error) {
				panic("a defect")
			},
		})
		if got[0] != nil || !strings.HasPrefix(fmt.Sprint(got[1]), "panic: a defect\n") {
			t.Errorf("got %v", got)
		}
		if names := r.enrolled(t); !slices.Equal(names, []string{"first", "person-0"}) {
			t.Errorf("enrolled are %v", names)
		}
	})
}
