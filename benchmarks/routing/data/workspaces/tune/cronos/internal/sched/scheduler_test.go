package sched

import (
	"context"
	"testing"
	"time"

	"example.com/cronos/internal/clock"
	"example.com/cronos/internal/model"
	"example.com/cronos/internal/store"
)

func TestOffersWhatIsDue(t *testing.T) {
	s := New(clock.Fixed{At: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)}, store.NewMemory(), nil)
	s.Own(nil, true)
	if err := s.Add(model.Job{ID: "a", Schedule: "* * * * *", Command: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	s.clock = clock.Fixed{At: time.Date(2024, 5, 1, 0, 2, 0, 0, time.UTC)}
	if err := s.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case offer := <-s.Dispatcher().Offers():
		if offer.Run.JobID != "a" {
			t.Errorf("got %v", offer)
		}
	default:
		t.Error("nothing was offered")
	}
}
