package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxGroup is how many changes one transaction makes at most: it bounds how long the
// first of them waits for the others.
const maxGroup = 64

var errClosed = errors.New("change registry: it is closed")

// A writer makes all changes, one after the other. Those that wait while it writes
// are made together: a transaction costs one wait for the disk, however many they are.
type writer struct {
	// Without room: what is taken from them is made.
	changes chan *change // in transactions
	chores  chan *change // outside of one, which some statements demand
	closing chan struct{}
	ended   chan struct{} // closed once nothing is written any more

	tx tx // owned by run
}

// A change is what one caller wants done.
type change struct {
	ctx  context.Context
	do   func(*tx) error // at most once
	done chan error      // with room for the one error

	panicked any // what do panicked with, and where; set before done is told
}

// startWriter starts the goroutine that writes over a connection, until close.
func startWriter(conn *sql.Conn) *writer {
	w := &writer{
		changes: make(chan *change), chores: make(chan *change),
		closing: make(chan struct{}), ended: make(chan struct{}),
		tx: tx{conn: conn, prepared: make(map[string]*sql.Stmt)},
	}
	go w.run()
	return w
}

// close waits for what is being written, and has no more taken.
func (w *writer) close() error {
	close(w.closing)
	<-w.ended
	return w.tx.close()
}

// put has something done by way of a queue, and returns its error. It gives up with
// ctx only until its turn has come.
func (w *writer) put(ctx context.Context, queue chan<- *change, do func(*tx) error) error {
	c := &change{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case queue <- c:
		err := <-c.done
		if c.panicked != nil {
			panic(c.panicked) // a defect ends the request that met it, and nothing else
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the registry: %w", ctx.Err())
	case <-w.closing:
		return errClosed
	}
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case first := <-w.changes:
			w.group(w.waiting(first))
		case c := <-w.chores:
			c.done <- w.try(c)
		case <-w.closing:
			return
		}
	}
}

// waiting returns a change and those that wait behind it.
func (w *writer) waiting(first *change) []*change {
	group := []*change{first}
	for len(group) < maxGroup {
		select {
		case c := <-w.changes:
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

// group makes changes in one transaction. One that is refused is undone alone. Any
// other error undoes all of them: SQLite itself may have.
func (w *writer) group(changes []*change) {
	outcome := make([]error, len(changes))
	err := w.tx.exec("BEGIN IMMEDIATE")
	for i := 0; err == nil && i < len(changes); i++ {
		outcome[i], err = w.one(changes[i])
	}
	if err == nil {
		err = w.tx.exec("COMMIT")
	}
	if err != nil {
		_ = w.tx.exec("ROLLBACK") // there may be nothing left to roll back
		err = fmt.Errorf("change registry: %w", err)
	}
	for i, c := range changes {
		if err != nil {
			outcome[i] = err
		}
		c.done <- outcome[i]
	}
}

// one makes a change of a group. A refusal is the caller's alone; an error is of
// the whole group.
func (w *writer) one(c *change) (refusal, err error) {
	if gone := c.ctx.Err(); gone != nil {
		return fmt.Errorf("wait for the registry: %w", gone), nil
	}
	if err := w.tx.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	refusal = w.try(c)
	if refusal != nil {
		var known *auction.Refusal
		if !errors.As(refusal, &known) {
			return nil, refusal
		}
		if err := w.tx.exec("ROLLBACK TO one"); err != nil {
			return nil, err
		}
	}
	return refusal, w.tx.exec("RELEASE one")
}

// errPanicked undoes a change like a refusal, for itself alone. Nobody sees it: put
// panics.
var errPanicked = auction.Refuse(auction.CodeInternal, "a defect of the CA")

// try does what a change is, on behalf of a goroutine that is to have its panic.
func (w *writer) try(c *change) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			err = errPanicked
		}
	}()
	return c.do(&w.tx)
}

// tx is the connection that writes. Statements are prepared once: their texts are
// constants of this package. Nothing interrupts one, since whoever asked is told
// for sure what has happened.
type tx struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt // by text
}

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if stmt, ok := t.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.prepared[query] = stmt
	}
	return stmt, err
}

func (t *tx) exec(query string, args ...any) error {
	stmt, err := t.prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), args...)
	return err
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// row is for statements that prepare: one that does not has its error in the row.
func (t *tx) row(query string, args ...any) *sql.Row {
	stmt, err := t.prepare(query)
	if err != nil {
		return t.conn.QueryRowContext(context.Background(), query, args...)
	}
	return stmt.QueryRowContext(context.Background(), args...)
}

func (t *tx) close() error {
	var errs []error
	for _, stmt := range t.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, t.conn.Close())...)
}
