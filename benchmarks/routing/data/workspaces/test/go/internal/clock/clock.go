// Package clock lets tests have a time of their own.
package clock

import "time"

type Clock interface {
	Now() time.Time
	Tick(d time.Duration) <-chan time.Time
}

type Real struct{}

func (Real) Now() time.Time                        { return time.Now() }
func (Real) Tick(d time.Duration) <-chan time.Time { return time.NewTicker(d).C }

// Manual stands still until told otherwise.
type Manual struct {
	At time.Time
	C  chan time.Time
}

func (m *Manual) Now() time.Time                      { return m.At }
func (m *Manual) Tick(time.Duration) <-chan time.Time { return m.C }
