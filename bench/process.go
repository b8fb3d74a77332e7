package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// dmsProcess is a replica in a process of its own: see [RunDMS].
type dmsProcess struct {
	url     string
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// startDMS runs argv, which must call [RunDMS] on its standard input and output.
func startDMS(ctx context.Context, argv []string, cfg childConfig) (*dmsProcess, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	p := &dmsProcess{command: command, in: in, out: json.NewDecoder(out)}
	err = json.NewEncoder(in).Encode(cfg)
	var ready childReady
	if err == nil {
		err = p.out.Decode(&ready)
	}
	if err == nil {
		err = waitReady(ctx, ready.Ready)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	p.url = ready.URL
	return p, nil
}

const (
	startTimeout = 30 * time.Second // a stamp, the CA's documents, the policy
	startPoll    = 20 * time.Millisecond
)

// waitReady waits until a service says that it can do its work.
func waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close() // the status is all that is wanted
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !sleepUntil(ctx, time.Now().Add(startPoll)) {
			return errors.New("it is not ready in time")
		}
	}
}

func (p *dmsProcess) tell(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

func (p *dmsProcess) stat() (childStat, error) {
	var s childStat
	if err := p.tell(askStat); err != nil {
		return s, fmt.Errorf("ask the replica: %w", err)
	}
	if err := p.out.Decode(&s); err != nil {
		return s, fmt.Errorf("ask the replica: %w", err)
	}
	return s, nil
}

// stop lets the process end, and waits for it.
func (p *dmsProcess) stop() {
	_ = p.in.Close()     // it ends with its input
	_ = p.command.Wait() // a benchmark's result does not depend on how
}
