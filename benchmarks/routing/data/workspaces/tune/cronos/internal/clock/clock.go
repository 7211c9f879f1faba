// Package clock tells the time, also in tests.
package clock

import "time"

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// Real is the clock of the machine.
type Real struct{}

// Now is the current time in UTC.
func (Real) Now() time.Time { return time.Now().UTC() }

// Fixed always says the same.
type Fixed struct{ At time.Time }

// Now is the fixed time.
func (f Fixed) Now() time.Time { return f.At }
