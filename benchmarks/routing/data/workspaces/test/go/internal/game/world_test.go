package game

import (
	"testing"
	"time"

	"example.org/arena/internal/clock"
	"example.org/arena/internal/proto"
	"example.org/arena/internal/store"
)

func newTestWorld(t *testing.T) (*World, *clock.Manual) {
	t.Helper()
	c := &clock.Manual{At: time.Unix(1000, 0), C: make(chan time.Time)}
	ranks, err := store.Open(t.TempDir() + "/ranks.json")
	if err != nil {
		t.Fatal(err)
	}
	return NewWorld(c, ranks), c
}

func TestTwoPlayersStartTheCountdown(t *testing.T) {
	w, c := newTestWorld(t)
	for _, name := range []string{"a", "b"} {
		if _, err := w.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	w.Step(c.At)
	if w.phase != countdown {
		t.Fatalf("phase %v", w.phase)
	}
}

func TestOldInputsAreDropped(t *testing.T) {
	w, c := newTestWorld(t)
	p, _ := w.Join("a")
	w.Step(c.At)
	w.tick = 100
	w.Feed(p.ID, 1, proto.Input{Tick: 10})
	if w.dropped != 1 {
		t.Fatalf("dropped %d", w.dropped)
	}
}
