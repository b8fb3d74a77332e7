package store

import (
	_ "embed"
	"strconv"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/shared.lua
var sharedSource string

//go:embed scripts/list.lua
var listSource string

//go:embed scripts/open.lua
var openSource string

//go:embed scripts/place.lua
var placeSource string

//go:embed scripts/withdraw.lua
var withdrawSource string

//go:embed scripts/order.lua
var orderSource string

//go:embed scripts/suspend.lua
var suspendSource string

//go:embed scripts/move.lua
var moveSource string

//go:embed scripts/close.lua
var closeSource string

//go:embed scripts/disclose.lua
var discloseSource string

//go:embed scripts/note.lua
var noteSource string

//go:embed scripts/beat.lua
var beatSource string

//go:embed scripts/rebuild.lua
var rebuildSource string

//go:embed scripts/archive.lua
var archiveSource string

// A script is one atomic operation.
type script struct {
	name, source, sha string
}

func newScript(name, source string) *script {
	return &script{name: name, source: source, sha: redis.NewScript(source).Hash()}
}

// The scripts. They follow one rule about numbers, since Lua prints those of 16
// digits wrongly: what is text stays text, is compared by tonumber, and a
// number is printed by string.format('%.0f') alone.
var (
	listScript     = newScript("list", sharedSource+listSource)
	openScript     = newScript("open", openSource)
	placeScript    = newScript("place", sharedSource+placeSource)
	withdrawScript = newScript("withdraw", sharedSource+withdrawSource)
	orderScript    = newScript("order", sharedSource+orderSource)
	suspendScript  = newScript("suspend", sharedSource+suspendSource)
	moveScript     = newScript("move", sharedSource+moveSource)
	closeScript    = newScript("close", sharedSource+closeSource)
	discloseScript = newScript("disclose", discloseSource)
	noteScript     = newScript("note", sharedSource+noteSource)
	beatScript     = newScript("beat", sharedSource+beatSource)
	rebuildScript  = newScript("rebuild", rebuildSource)
	archiveScript  = newScript("archive", archiveSource)

	scripts = []*script{
		listScript, openScript, placeScript, withdrawScript, orderScript, suspendScript, moveScript, closeScript,
		discloseScript, noteScript, beatScript, rebuildScript, archiveScript,
	}
)

// text writes a number for a script.
func text[T ~int | ~int64 | ~uint64](n T) string { return strconv.FormatInt(int64(n), 10) }

// flag writes a truth value for a script.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
