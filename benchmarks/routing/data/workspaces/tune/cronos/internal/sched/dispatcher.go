package sched

import (
	"time"

	"example.com/cronos/internal/model"
)

// Offer is a run that a worker may take.
type Offer struct {
	Run     model.Run
	Command []string
	Timeout time.Duration
}

// Dispatcher hands runs to workers.
type Dispatcher struct {
	scheduler *Scheduler
	offers    chan Offer
}

// NewDispatcher makes one for a scheduler.
func NewDispatcher(s *Scheduler, size int) *Dispatcher {
	return &Dispatcher{scheduler: s, offers: make(chan Offer, size)}
}

// Offers is where workers listen.
func (d *Dispatcher) Offers() <-chan Offer { return d.offers }

// Offer puts a run up, or says that there is no room.
func (d *Dispatcher) Offer(job model.Job, run model.Run) bool {
	timeout := job.Timeout
	if timeout == 0 {
		timeout = model.DefaultTimeout
	}
	select {
	case d.offers <- Offer{Run: run, Command: job.Command, Timeout: timeout}:
		return true
	default:
		d.scheduler.noteFull()
		return false
	}
}
