// Package worker runs commands.
package worker

import (
	"context"
	"os/exec"
	"time"

	"example.com/cronos/internal/model"
	"example.com/cronos/internal/sched"
)

// Worker takes offers and runs them.
type Worker struct {
	Name      string
	scheduler *sched.Scheduler
}

// New makes a worker.
func New(name string, s *sched.Scheduler) *Worker { return &Worker{Name: name, scheduler: s} }

// Loop works until the context ends.
func (w *Worker) Loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case offer := <-w.scheduler.Dispatcher().Offers():
			w.run(ctx, offer)
		}
	}
}

func (w *Worker) run(ctx context.Context, offer sched.Offer) {
	ctx, cancel := context.WithTimeout(ctx, offer.Timeout)
	defer cancel()
	beat := time.NewTicker(model.HeartbeatEvery)
	defer beat.Stop()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-beat.C:
				if err := w.scheduler.Heartbeat(offer.Run.ID, w.Name); err != nil {
					cancel()
					return
				}
			case <-done:
				return
			}
		}
	}()
	output, err := exec.CommandContext(ctx, offer.Command[0], offer.Command[1:]...).CombinedOutput()
	close(done)
	_ = w.scheduler.Finish(offer.Run.ID, w.Name, string(output), err)
}
