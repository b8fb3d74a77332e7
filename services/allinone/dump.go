package allinone

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// Dump returns every key and every value that the embedded Redis holds, as they
// are, so that they can be searched. It fails for a Redis of one's own.
func (h *House) Dump() ([]byte, error) {
	if h.embedded == nil {
		return nil, errors.New("only the embedded redis can be dumped")
	}
	var out bytes.Buffer
	for _, key := range h.embedded.Keys() {
		values, err := valuesOf(h.embedded, key)
		if err != nil {
			return nil, fmt.Errorf("dump redis: %w", err)
		}
		fmt.Fprintln(&out, key)
		for _, v := range values {
			fmt.Fprintln(&out, v)
		}
	}
	return out.Bytes(), nil
}

func valuesOf(redis *miniredis.Miniredis, key string) (values []string, err error) {
	switch kind := redis.Type(key); kind {
	case "string":
		value, err := redis.Get(key)
		return []string{value}, err
	case "hash":
		fields, err := redis.HKeys(key)
		for _, field := range fields {
			values = append(values, field, redis.HGet(key, field))
		}
		return values, err
	case "list":
		return redis.List(key)
	case "set":
		return redis.Members(key)
	case "zset":
		return redis.ZMembers(key)
	case "stream":
		entries, err := redis.Stream(key)
		for _, e := range entries {
			values = append(values, e.Values...)
		}
		return values, err
	default:
		return nil, fmt.Errorf("a key of type %q", kind)
	}
}
