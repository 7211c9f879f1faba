// Package sched decides what runs when, on whom, and what follows from how it ended.
package sched

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log"
	"math/rand"
	"sync"
	"time"

	"example.com/cronos/internal/clock"
	"example.com/cronos/internal/cron"
	"example.com/cronos/internal/model"
	"example.com/cronos/internal/notify"
	"example.com/cronos/internal/queue"
	"example.com/cronos/internal/store"
)

// Scheduler is the heart of the service.
type Scheduler struct {
	mu         sync.Mutex
	clock      clock.Clock
	store      *store.Memory
	queue      queue.Queue
	dispatcher *Dispatcher
	webhook    *notify.Webhook
	schedules  map[string]cron.Schedule
	owned      map[uint32]bool
	inFlight   map[string]string
	last       map[string]model.State
	full       int
	paused     bool
	leader     bool
	drained    chan struct{}
}

// New makes a scheduler.
func New(c clock.Clock, s *store.Memory, w *notify.Webhook) *Scheduler {
	made := &Scheduler{
		clock: c, store: s, webhook: w,
		schedules: map[string]cron.Schedule{}, owned: map[uint32]bool{},
		inFlight: map[string]string{}, last: map[string]model.State{},
		drained: make(chan struct{}),
	}
	made.dispatcher = NewDispatcher(made, 64)
	return made
}

// Dispatcher is where workers get their runs.
func (s *Scheduler) Dispatcher() *Dispatcher { return s.dispatcher }

func (s *Scheduler) noteFull() { s.full++ }

func shard(id string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32() % model.ShardCount
}

// Own takes the shards that this node leads.
func (s *Scheduler) Own(shards []uint32, leader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owned = map[uint32]bool{}
	for _, n := range shards {
		s.owned[n] = true
	}
	s.leader = leader
}

// Add takes a job on.
func (s *Scheduler) Add(job model.Job) error {
	schedule, err := cron.Parse(job.Schedule)
	if err != nil {
		return err
	}
	if err := checkCycles(append(s.store.Jobs(), job)); err != nil {
		return err
	}
	if job.MaxAttempts == 0 || job.MaxAttempts > model.MaxAttempts {
		job.MaxAttempts = model.MaxAttempts
	}
	if job.Priority == 0 {
		job.Priority = model.DefaultPriority
	}
	s.mu.Lock()
	s.schedules[job.ID] = schedule
	s.mu.Unlock()
	s.store.PutJob(job)
	s.plan(job, s.clock.Now())
	return nil
}

func (s *Scheduler) plan(job model.Job, after time.Time) {
	due := s.schedules[job.ID].Next(after)
	if due.IsZero() {
		return
	}
	run := model.Run{ID: fmt.Sprintf("%s-%d", job.ID, due.Unix()), JobID: job.ID, State: model.Waiting, Due: due}
	s.store.PutRun(run)
	s.queue.Push(&queue.Item{RunID: run.ID, Due: due, Priority: job.Priority})
}

func (s *Scheduler) find(id string) (model.Run, bool) {
	for _, run := range s.store.Runs("") {
		if run.ID == id {
			return run, true
		}
	}
	return model.Run{}, false
}

// Tick does what is due now.
func (s *Scheduler) Tick(ctx context.Context) error {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		return nil
	}
	var later []*queue.Item
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		item, ok := s.queue.Due(now)
		if !ok {
			break
		}
		run, found := s.find(item.RunID)
		if !found || run.Done() {
			continue
		}
		job, err := s.store.Job(run.JobID)
		if errors.Is(err, store.ErrNotFound) {
			run.State = model.Cancelled
			run.Finished = now
			s.store.PutRun(run)
			continue
		} else if err != nil {
			return err
		}
		if !s.owned[shard(job.ID)] && !s.leader {
			later = append(later, &queue.Item{RunID: run.ID, Due: now.Add(time.Minute), Priority: item.Priority})
			continue
		}
		if job.Paused {
			run.State = model.Cancelled
			run.Finished = now
			s.store.PutRun(run)
			s.plan(job, now)
			continue
		}
		if other, busy := s.inFlight[job.ID]; busy && other != run.ID {
			switch job.Overlap {
			case "skip":
				run.State = model.Cancelled
				run.Finished = now
				s.store.PutRun(run)
				s.plan(job, now)
				continue
			case "queue":
				later = append(later, &queue.Item{RunID: run.ID, Due: now.Add(10 * time.Second), Priority: item.Priority})
				continue
			case "replace":
				if old, ok := s.find(other); ok && !old.Done() {
					old.State = model.Cancelled
					old.Finished = now
					s.store.PutRun(old)
				}
			default:
				if len(job.After) > 0 && job.Priority < model.DefaultPriority {
					later = append(later, &queue.Item{RunID: run.ID, Due: now.Add(time.Minute), Priority: item.Priority})
					continue
				}
			}
		}
		blocked := false
		for _, dependency := range job.After {
			state, seen := s.last[dependency]
			if !seen || state == model.Running || state == model.Leased {
				blocked = true
				break
			}
			if state == model.Dead || state == model.Cancelled {
				if job.Overlap == "skip" {
					run.State = model.Cancelled
					run.Finished = now
					s.store.PutRun(run)
				}
				blocked = true
				break
			}
		}
		if blocked {
			if !run.Done() {
				later = append(later, &queue.Item{RunID: run.ID, Due: now.Add(30 * time.Second), Priority: item.Priority})
			}
			continue
		}
		run.State = model.Leased
		run.Lease = now.Add(model.LeaseDuration)
		run.Attempt++
		if err := s.store.Swap(model.Waiting, run); err != nil {
			if errors.Is(err, store.ErrConflict) {
				continue
			}
			return err
		}
		if !s.dispatcher.Offer(job, run) {
			run.State = model.Waiting
			run.Attempt--
			s.store.PutRun(run)
			later = append(later, &queue.Item{RunID: run.ID, Due: now.Add(time.Second), Priority: item.Priority + 1})
			continue
		}
		s.inFlight[job.ID] = run.ID
		s.last[job.ID] = model.Leased
	}
	for _, item := range later {
		s.queue.Push(item)
	}
	return nil
}

// Heartbeat keeps the lease of a run.
func (s *Scheduler) Heartbeat(runID, worker string) error {
	run, ok := s.find(runID)
	if !ok {
		return store.ErrNotFound
	}
	if run.State != model.Leased && run.State != model.Running {
		return store.ErrConflict
	}
	old := run.State
	run.State = model.Running
	run.Worker = worker
	run.Lease = s.clock.Now().Add(model.LeaseDuration)
	return s.store.Swap(old, run)
}

// Finish takes the outcome of a run and decides what follows.
func (s *Scheduler) Finish(runID, worker, output string, failure error) error {
	now := s.clock.Now()
	run, ok := s.find(runID)
	if !ok {
		return store.ErrNotFound
	}
	if run.Worker != "" && run.Worker != worker {
		return store.ErrConflict
	}
	job, err := s.store.Job(run.JobID)
	if err != nil {
		return err
	}
	if len(output) > model.MaxOutput {
		output = output[len(output)-model.MaxOutput:]
	}
	run.Output = output
	run.Finished = now
	if failure == nil {
		run.State = model.Succeeded
	} else {
		run.Error = failure.Error()
		if run.Attempt >= job.MaxAttempts {
			run.State = model.Dead
			if s.webhook != nil {
				if err := s.webhook.Failed(job, run); err != nil {
					log.Printf("cannot notify %s: %v", job.Owner, err)
				}
			}
		} else {
			run.State = model.Waiting
			backoff := time.Duration(1<<run.Attempt) * time.Second
			if backoff > 10*time.Minute {
				backoff = 10 * time.Minute
			}
			backoff += time.Duration(rand.Int63n(int64(backoff) / 4))
			s.queue.Push(&queue.Item{RunID: run.ID, Due: now.Add(backoff), Priority: job.Priority})
		}
	}
	s.store.PutRun(run)
	s.mu.Lock()
	delete(s.inFlight, job.ID)
	s.last[job.ID] = run.State
	if run.Done() {
		s.plan(job, now)
	}
	s.mu.Unlock()
	return nil
}

// Reap takes back runs whose worker is silent.
func (s *Scheduler) Reap() int {
	now, gone := s.clock.Now(), 0
	for _, run := range s.store.Runs("") {
		if run.State != model.Leased && run.State != model.Running {
			continue
		}
		if run.Lease.After(now) {
			continue
		}
		if err := s.Finish(run.ID, run.Worker, "", errors.New("the worker went silent")); err == nil {
			gone++
		}
	}
	return gone
}

// Drain stops handing out runs and waits for those that are out.
func (s *Scheduler) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.paused = true
	s.mu.Unlock()
	for {
		s.mu.Lock()
		left := len(s.inFlight)
		s.mu.Unlock()
		if left == 0 {
			close(s.drained)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
