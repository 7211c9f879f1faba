// Package chat keeps what players say within bounds.
package chat

import (
	"strings"
	"sync"
	"time"
)

type Filter struct {
	mu    sync.Mutex
	words []string
	last  map[string][]time.Time
}

func NewFilter() *Filter {
	return &Filter{words: []string{"darn", "heck"}, last: map[string][]time.Time{}}
}

// Clean is the text with bad words masked, and whether it may be said at all: five lines in ten seconds.
func (f *Filter) Clean(name, text string, now time.Time) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var recent []time.Time
	for _, t := range f.last[name] {
		if now.Sub(t) < 10*time.Second {
			recent = append(recent, t)
		}
	}
	if len(recent) >= 5 {
		return "", false
	}
	f.last[name] = append(recent, now)
	for _, word := range f.words {
		text = strings.ReplaceAll(text, word, strings.Repeat("*", len(word)))
	}
	return strings.TrimSpace(text), true
}
