// Command oidctest is an OpenID provider that somebody else has written, with two
// users, for the CA's tests to enrol by. It has a module of its own, since nothing
// else needs its dependencies.
//
// It prints its issuer, and ends with its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oidctest:", err)
		os.Exit(1)
	}
}

func run() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String() + "/"
	for _, id := range []string{"sigilo", "other"} {
		storage.RegisterClients(storage.NativeClient(id, "http://localhost/callback"))
	}
	store := provider{storage.NewStorage(storage.NewUserStore(issuer))}
	handler := exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	fmt.Println(issuer)
	http.Serve(listener, handler) // until the listener closes
	return nil
}

// provider puts the claims of a profile into ID tokens, as most providers do.
type provider struct{ *storage.Storage }

func (p provider) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := p.Storage.GetClientByClientID(ctx, id)
	return client{c}, err
}

type client struct{ op.Client }

func (client) IDTokenUserinfoClaimsAssertion() bool { return true }
