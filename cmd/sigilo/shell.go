package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

type shellCmd struct{}

func (shellCmd) Help() string {
	return `Example: sigilo shell

Type /help in it. Auctions that you list, bid in, or /watch are followed: what
happens in them appears as it comes. It also reads commands from a pipe.`
}

// shellGrammar is what can be typed after the slash.
type shellGrammar struct {
	List     listCmd     `cmd:"" help:"List an item: /list --title \"A clock\" --currency EUR --minimum 12.50 --closes 2h"`
	Bid      bidCmd      `cmd:"" help:"Bid: /bid 3f2a91c0 15.00"`
	AllItems itemsCmd    `cmd:"" name:"allitems" help:"Show all auctions."`
	MyItems  myItemsCmd  `cmd:"" name:"myitems" help:"Show the auctions that you listed."`
	MyBids   myBidsCmd   `cmd:"" name:"mybids" help:"Show your bids and where they stand."`
	Item     itemCmd     `cmd:"" help:"Show one auction: /item 3f2a91c0"`
	Inbox    inboxCmd    `cmd:"" help:"Check and show your private messages."`
	Disclose discloseCmd `cmd:"" help:"Tell the other side of a sale who you are: /disclose 3f2a91c0 --claim email"`
	Watch    watchCmd    `cmd:"" help:"Follow an auction, or the house's listings: /watch 3f2a91c0"`
	Help     helpCmd     `cmd:"" help:"Show this."`
	Quit     quitCmd     `cmd:"" help:"Leave; what you bid stays."`
}

// maxShellLine bounds a line that is typed, in bytes.
const maxShellLine = 16 << 10

// errQuit ends the shell.
var errQuit = errors.New("quit")

type (
	helpCmd struct{}
	quitCmd struct{}
)

// Run prints the commands.
func (helpCmd) Run(a *app) error {
	parser, err := kong.New(&shellGrammar{}, kong.NoDefaultHelp())
	if err != nil {
		return err
	}
	rows := [][]string{}
	for _, command := range parser.Model.Children {
		rows = append(rows, []string{"/" + command.Name, command.Help})
	}
	a.table(rows)
	return nil
}

// Run leaves the shell.
func (quitCmd) Run() error { return errQuit }

// shell is what an interactive client has beside the app.
type shell struct {
	ctx   context.Context // of what is followed
	tasks sync.WaitGroup

	mu      sync.Mutex
	watched map[auction.LogID]bool
}

// Run reads commands until /quit, the end of the input, or Ctrl-C.
func (shellCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := context.WithCancel(ctx)
	a.shell = &shell{ctx: ctx, watched: make(map[auction.LogID]bool)}
	defer a.shell.tasks.Wait()
	defer cancel()
	a.onMail = func(messages []wire.Message) {
		if len(messages) > 0 {
			a.print("* a private message has come: /inbox shows it")
		}
	}
	first, done := a.limit(ctx)
	_, err := a.client(first)
	done()
	if err != nil {
		return err
	}
	lines := make(chan string)
	broken := make(chan error, 1)
	go func() { broken <- readLines(ctx, a, lines) }() // reading a terminal cannot be interrupted
	for {
		if a.terminal(a.in) {
			a.prompt()
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return err
		case line := <-lines:
			err := a.typed(ctx, line)
			if errors.Is(err, errQuit) {
				return nil
			}
			a.fail(err)
		}
	}
}

func (a *app) prompt() {
	a.printing.Lock()
	defer a.printing.Unlock()
	fmt.Fprint(a.out, "sigilo> ")
}

// readLines sends the lines of the input until it ends.
func readLines(ctx context.Context, a *app, lines chan<- string) error {
	scanner := bufio.NewScanner(a.in)
	scanner.Buffer(nil, maxShellLine)
	for scanner.Scan() {
		select {
		case lines <- scanner.Text():
		case <-ctx.Done():
			return nil
		}
	}
	if err := scanner.Err(); err != nil {
		return usage("a line has at most %d characters", maxShellLine)
	}
	return nil
}

// typed carries out one line.
func (a *app) typed(ctx context.Context, line string) error {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return err
	}
	name, ok := strings.CutPrefix(words[0], "/")
	if !ok {
		return usage("a command begins with a slash (/help lists the commands)")
	}
	command, err := parse(&shellGrammar{}, append([]string{name}, words[1:]...), a.streams, "/help lists the commands",
		kong.Name(""), kong.Description("Commands begin with a slash."))
	if err != nil || command == nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(a)
}

// follow follows an auction that one takes part in, in the shell alone. That it
// cannot be followed takes nothing from what was done.
func (a *app) follow(ctx context.Context, id auction.ID) {
	if a.shell == nil {
		return
	}
	if err := a.shell.watch(ctx, a, a.node, auction.LogID(id)); err != nil {
		a.note("auction %s is not followed: %s", short(id), plain(explain(err)))
	}
}

// watch prints what happens in a log while the shell runs. A log that is watched
// already is left as it is.
func (s *shell) watch(ctx context.Context, a *app, c *client.Client, log auction.LogID) error {
	s.mu.Lock()
	again := s.watched[log]
	s.watched[log] = true
	s.mu.Unlock()
	if again {
		return nil
	}
	f, err := c.Follow(ctx, log)
	if err != nil {
		s.mu.Lock()
		delete(s.watched, log)
		s.mu.Unlock()
		return err
	}
	s.tasks.Go(func() {
		if err := a.watch(s.ctx, f, "* "); err != nil {
			a.note("%s is not followed any more: %s", short(log), plain(explain(err)))
		}
	})
	return nil
}

// splitWords splits a line at spaces. Single and double quotes keep spaces
// together; a backslash takes the next character as it is, outside of single
// quotes.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, usage("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
