package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// crowd is many spectators of one auction, each on a socket of its own, which
// one thread reads by epoll: a goroutine and a WebSocket library for each would
// take more of the machine than the replica that is measured. Each must get
// every event of the log once and in order from the first.
type crowd struct {
	seats   []seat
	poll    int
	prefix  []byte // of an event's message, up to its sequence number
	journal *journal
	stop    atomic.Bool
	watched bool // there is a thread that reads
	done    chan error
	busy    atomic.Int64 // CPU time of the thread, in ns
}

// seat is one spectator. It belongs to the thread that reads.
type seat struct {
	file *os.File
	next uint64 // sequence number of the event that is due
	part []byte // of a frame that has not come whole
}

const (
	crowdEvents = 512 // sockets that one call of epoll_wait names
	crowdBuffer = 128 << 10
	crowdPoll   = 50 // milliseconds in which the end is noticed
)

// gather connects spectators who follow a log from its beginning.
func gather(ctx context.Context, replica string, log auction.LogID, count int, j *journal) (*crowd, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a poll: %w", err)
	}
	c := &crowd{
		seats: make([]seat, count), poll: poll, journal: j, done: make(chan error, 1),
		prefix: []byte(`{"type":"event","log":"` + string(log) + `","event":"{\"seq\":`),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range c.seats {
		group.Go(func() error {
			file, err := spectate(ctx, replica, log)
			if err != nil {
				return fmt.Errorf("connect spectator %d: %w", i+1, err)
			}
			c.seats[i] = seat{file: file, next: 1}
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, int(file.Fd()), &event)
		})
	}
	if err := group.Wait(); err != nil {
		c.leave()
		return nil, err
	}
	c.watched = true
	go c.watch()
	return c, nil
}

// spectate opens a spectator's connection, which is blocking and of no concern
// to the runtime's own poll.
func spectate(ctx context.Context, replica string, log auction.LogID) (*os.File, error) {
	at, err := url.Parse(replica)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // the file is a duplicate
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		at.Host, session.ModePublic) // what fails shows in the answer
	var answer []byte
	buf := make([]byte, 1<<10)
	for !bytes.Contains(answer, []byte("\r\n\r\n")) && len(answer) < 4<<10 {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		answer = append(answer, buf[:n]...)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
		return nil, fmt.Errorf("the replica did not take the WebSocket: %.60q", answer)
	}
	if _, err := conn.Write(clientFrame(opText, wire.EncodeClient(&wire.FollowRequest{ID: 1, Log: log}))); err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn).File()
}

// Opcodes of RFC 6455 section 5.2.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// clientFrame is a final frame of less than 64 KiB. Its mask is zero, which is
// as good as any where no proxy is on the way.
func clientFrame(op byte, payload []byte) []byte {
	frame := []byte{0x80 | op}
	if len(payload) < 126 {
		frame = append(frame, 0x80|byte(len(payload)))
	} else {
		frame = append(frame, 0x80|126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	}
	return append(append(frame, 0, 0, 0, 0), payload...)
}

// cutFrame splits a whole frame of a server off data.
func cutFrame(data []byte) (op byte, payload, rest []byte, ok bool) {
	if len(data) < 2 {
		return 0, nil, data, false
	}
	size, head := uint64(data[1]&0x7f), 2
	switch {
	case size == 126 && len(data) >= 4:
		size, head = uint64(binary.BigEndian.Uint16(data[2:])), 4
	case size == 127 && len(data) >= 10:
		size, head = binary.BigEndian.Uint64(data[2:]), 10
	case size >= 126:
		return 0, nil, data, false
	}
	if size > uint64(len(data)-head) {
		return 0, nil, data, false
	}
	end := head + int(size)
	return data[0] & 0x0f, data[head:end], data[end:], true
}

// watch reads until leave, or until a spectator is treated wrongly.
func (c *crowd) watch() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events, buf := make([]unix.EpollEvent, crowdEvents), make([]byte, crowdBuffer)
	for !c.stop.Load() {
		n, err := unix.EpollWait(c.poll, events, crowdPoll)
		if err != nil && !errors.Is(err, unix.EINTR) {
			c.done <- fmt.Errorf("wait for events: %w", err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			if err := c.read(&c.seats[e.Fd], buf); err != nil {
				c.done <- fmt.Errorf("spectator %d: %w", e.Fd+1, err)
				return
			}
		}
		var used unix.Rusage
		if unix.Getrusage(unix.RUSAGE_THREAD, &used) == nil {
			c.busy.Store(used.Utime.Nano() + used.Stime.Nano())
		}
	}
	c.done <- nil
}

// read takes what a socket has.
func (c *crowd) read(s *seat, buf []byte) error {
	held := copy(buf, s.part)
	n, err := unix.Read(int(s.file.Fd()), buf[held:])
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.ErrUnexpectedEOF
	}
	now := time.Now()
	data := buf[:held+n]
	for {
		op, payload, rest, ok := cutFrame(data)
		if !ok {
			break
		}
		data = rest
		switch op {
		case opText:
			if err := c.take(s, payload, now); err != nil {
				return err
			}
		case opPing:
			if _, err := unix.Write(int(s.file.Fd()), clientFrame(opPong, payload)); err != nil {
				return err
			}
		case opClose:
			return fmt.Errorf("the replica closed the connection: %x", payload[:min(2, len(payload))])
		}
	}
	s.part = append(s.part[:0], data...)
	return nil
}

var (
	eventStart    = []byte(`{"type":"event",`)
	errOutOfOrder = errors.New("an event came twice, or out of order, or one before it is missing")
	errNotEvent   = errors.New("a message that no spectator should get")
)

// take takes the messages of a frame.
func (c *crowd) take(s *seat, frame []byte, now time.Time) error {
	for len(frame) > 0 {
		message, rest, _ := bytes.Cut(frame, []byte("\n"))
		frame = rest
		if !bytes.HasPrefix(message, c.prefix) {
			if bytes.HasPrefix(message, eventStart) || !bytes.HasPrefix(message, []byte(`{"type":"following"`)) {
				return fmt.Errorf("%w: %.80q", errNotEvent, message)
			}
			continue
		}
		seq := uint64(0)
		for _, d := range message[len(c.prefix):] {
			if d < '0' || d > '9' {
				break
			}
			seq = 10*seq + uint64(d-'0')
		}
		if seq != s.next {
			return errOutOfOrder
		}
		s.next++
		c.journal.arrived(seq, len(message)+1, now)
	}
	return nil
}

// leave ends all connections. It returns why reading ended, if it did before.
func (c *crowd) leave() error {
	if c.stop.Swap(true) {
		return nil
	}
	var err error
	if c.watched {
		err = <-c.done
	}
	for _, s := range c.seats {
		if s.file != nil {
			_ = s.file.Close()
		}
	}
	_ = unix.Close(c.poll)
	return err
}
