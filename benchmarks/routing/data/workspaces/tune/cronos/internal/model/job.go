// Package model holds the records of the scheduler.
package model

import "time"

// State is where a run stands.
type State string

// The states of a run.
const (
	Waiting   State = "waiting"
	Leased    State = "leased"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Dead      State = "dead"
	Cancelled State = "cancelled"
)

// Job is what should happen again and again.
type Job struct {
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Schedule    string        `json:"schedule"`
	Command     []string      `json:"command"`
	Timeout     time.Duration `json:"timeout"`
	Priority    int           `json:"priority"`
	MaxAttempts int           `json:"max_attempts"`
	After       []string      `json:"after"`
	Overlap     string        `json:"overlap"`
	Paused      bool          `json:"paused"`
	Owner       string        `json:"owner"`
}

// Run is one time that a job happens.
type Run struct {
	ID       string    `json:"id"`
	JobID    string    `json:"job_id"`
	State    State     `json:"state"`
	Due      time.Time `json:"due"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Attempt  int       `json:"attempt"`
	Worker   string    `json:"worker"`
	Lease    time.Time `json:"lease"`
	Output   string    `json:"output"`
	Error    string    `json:"error"`
}

// Done says whether nothing more will happen to the run.
func (r Run) Done() bool {
	return r.State == Succeeded || r.State == Dead || r.State == Cancelled
}
