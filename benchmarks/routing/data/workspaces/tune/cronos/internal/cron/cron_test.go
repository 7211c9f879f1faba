package cron

import (
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	schedule, err := Parse("*/15 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2024, 3, 1, 10, 7, 0, 0, time.UTC)
	if got := schedule.Next(from); got.Minute() != 15 {
		t.Errorf("got %v", got)
	}
}
