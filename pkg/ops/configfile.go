package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
)

// maxConfigFile is far above any real configuration and far below what would
// hurt.
const maxConfigFile = 1 << 20

// notInFile are the flags that a configuration file cannot set.
var notInFile = []string{"config", "help", "version"}

// fileResolver gives kong the values of the configuration file. kong would let
// a file win over the environment, so it is silent about a flag that the
// environment sets.
type fileResolver struct {
	values map[string]any
}

// Resolve returns the file's value of one flag, nil for none.
func (f *fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return f.values[flag.Name], nil
}

// Validate refuses keys of the file that name no flag.
func (f *fileResolver) Validate(app *kong.Application) error {
	known := make(map[string]bool)
	for _, group := range app.AllFlags(false) {
		for _, flag := range group {
			known[flag.Name] = !slices.Contains(notInFile, flag.Name)
		}
	}
	for key := range f.values {
		if !known[key] {
			return fmt.Errorf("configuration file: unknown key %q", key)
		}
	}
	return nil
}

// load reads the file that the flags or the environment name, if any.
func (f *fileResolver) load(ctx *kong.Context) error {
	for _, flag := range ctx.Flags() {
		if flag.Name != "config" {
			continue
		}
		path, _ := ctx.FlagValue(flag).(string)
		if path == "" {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("open configuration file: %w", err)
		}
		defer file.Close()
		data, err := io.ReadAll(io.LimitReader(file, maxConfigFile+1))
		if err != nil {
			return fmt.Errorf("read configuration file: %w", err)
		}
		f.values, err = parseConfigFile(data)
		if err != nil {
			return fmt.Errorf("configuration file: %w", err)
		}
	}
	return nil
}

// parseConfigFile reads one JSON object of scalars and arrays of scalars. A key
// that comes twice is an error: one of the two would be ignored in silence.
// Numbers come out as they were written.
func parseConfigFile(data []byte) (map[string]any, error) {
	if len(data) > maxConfigFile {
		return nil, fmt.Errorf("over %d bytes", maxConfigFile)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	values := make(map[string]any)
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := tok.(string) // the decoder lets nothing else be a key
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("key %q comes twice", key)
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("value of %q: %w", key, err)
		}
		if values[key], err = configValue(value); err != nil {
			return nil, fmt.Errorf("value of %q: %w", key, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return values, nil
}

// configValue checks the shape of one value and turns a number into its text,
// which kong parses like that of a flag.
func configValue(value any) (any, error) {
	switch v := value.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		return v.String(), nil
	case []any:
		for _, element := range v {
			if _, ok := element.(string); !ok {
				return nil, errors.New("a list holds strings only")
			}
		}
		return v, nil
	}
	return nil, errors.New("a value is a string, a number, true, false or a list")
}
