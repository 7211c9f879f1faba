package api

import "time"

// JobView is a job as clients see it.
type JobView struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Schedule string    `json:"schedule"`
	Paused   bool      `json:"paused"`
	Next     time.Time `json:"next"`
}

// RunView is a run as clients see it.
type RunView struct {
	ID      string  `json:"id"`
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// Problem is an error as clients see it.
type Problem struct {
	Error string `json:"error"`
}
