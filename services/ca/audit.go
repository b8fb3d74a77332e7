package ca

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

const (
	// auditPage is how many entries one answer has.
	auditPage = 100
	// retireEvery is how often the registry is looked through for those whose
	// retention is over. They may stay for as much longer.
	retireEvery = time.Hour
)

// auditEntry is a line of the audit table. A person is a number, which
// /api/people translates as long as they are not erased.
type auditEntry struct {
	ID          int64           `json:"id"`
	At          auction.Time    `json:"at"`
	Action      registry.Action `json:"action"`
	Person      int64           `json:"person,omitzero"`
	Participant string          `json:"participant,omitempty"`
	Serial      string          `json:"serial,omitempty"`
	Reason      string          `json:"reason,omitempty"` // of what is revoked, as the request has it
}

type auditAnswer struct {
	Entries []auditEntry `json:"entries"`
	Next    int64        `json:"next,omitzero"` // give it as ?after= for the rest
}

func (s *server) audit(c echo.Context) error {
	var after int64
	if text := c.QueryParam("after"); text != "" {
		var err error
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return auction.Refuse(auction.CodeBadRequest, "after is the id of an entry")
		}
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	entries, err := s.people.Audit(ctx, after, auditPage, now)
	if err != nil {
		return err
	}
	page := auditAnswer{Entries: []auditEntry{}}
	for _, e := range entries {
		entry := auditEntry{ID: e.ID, At: e.At, Action: e.Action, Person: e.Person, Serial: e.Serial}
		if e.Participant != nil {
			entry.Participant = e.Participant.String()
		}
		if e.Reason != nil {
			entry.Reason = wordOf(*e.Reason)
		}
		page.Entries = append(page.Entries, entry)
	}
	if len(entries) == auditPage {
		page.Next = entries[len(entries)-1].ID
	}
	return answer(c, page)
}

type eraseRequest struct {
	Username string `json:"username"`
}

func (s *server) erase(c echo.Context) error {
	var request eraseRequest
	if err := read(c, &request); err != nil {
		return err
	}
	if err := identity.CheckPerson(request.Username, nil); err != nil {
		return err
	}
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	if err := s.people.Erase(ctx, request.Username, now); err != nil {
		return err
	}
	s.list.drop() // it lacks their keys
	return answer(c, struct{}{})
}

// retire erases people whose retention is over, until ctx ends.
func (s *server) retire(ctx context.Context) error {
	if s.cfg.Retention == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	ticker := time.NewTicker(retireEvery)
	defer ticker.Stop()
	for {
		// Nothing of this may stop the CA: it is tried again.
		if err := s.retireOnce(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(ctx, "people not erased after retention", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (s *server) retireOnce(ctx context.Context) error {
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	n, err := s.people.EraseIdle(ctx, s.cfg.Retention, now)
	if err != nil || n == 0 {
		return err
	}
	s.log.InfoContext(ctx, "people erased after retention", slog.Int("people", n))
	s.list.drop()
	return nil
}
