// Package cron reads schedules of five fields.
package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

type field map[int]bool

// Schedule is when something is due.
type Schedule struct {
	minute, hour, day, month, weekday field
}

var bounds = [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}

// Parse reads `*/5 8-18 * * 1-5`.
func Parse(text string) (Schedule, error) {
	parts := strings.Fields(text)
	if len(parts) != 5 {
		return Schedule{}, fmt.Errorf("a schedule has five fields, not %d", len(parts))
	}
	var fields [5]field
	for i, part := range parts {
		parsed, err := parseField(part, bounds[i][0], bounds[i][1])
		if err != nil {
			return Schedule{}, err
		}
		fields[i] = parsed
	}
	return Schedule{fields[0], fields[1], fields[2], fields[3], fields[4]}, nil
}

func parseField(text string, low, high int) (field, error) {
	found := field{}
	for _, item := range strings.Split(text, ",") {
		step := 1
		if base, every, ok := strings.Cut(item, "/"); ok {
			n, err := strconv.Atoi(every)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("bad step %q", every)
			}
			item, step = base, n
		}
		first, last := low, high
		if item != "*" {
			from, to, isRange := strings.Cut(item, "-")
			var err error
			if first, err = strconv.Atoi(from); err != nil {
				return nil, fmt.Errorf("bad number %q", from)
			}
			last = first
			if isRange {
				if last, err = strconv.Atoi(to); err != nil {
					return nil, fmt.Errorf("bad number %q", to)
				}
			}
		}
		if first < low || last > high {
			return nil, fmt.Errorf("%q is out of bounds", item)
		}
		for n := first; n <= last; n += step {
			found[n] = true
		}
	}
	return found, nil
}

// Next is the first time after t at which it is due.
func (s Schedule) Next(t time.Time) time.Time {
	t = t.Truncate(time.Minute).Add(time.Minute)
	for i := 0; i < 366*24*60; i++ {
		if s.minute[t.Minute()] && s.hour[t.Hour()] && s.day[t.Day()] && s.month[int(t.Month())] && s.weekday[int(t.Weekday())] {
			return t
		}
		t = t.Add(time.Minute)
	}
	return time.Time{}
}
