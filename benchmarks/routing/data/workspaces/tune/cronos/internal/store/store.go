// Package store keeps jobs and runs.
package store

import (
	"errors"
	"sort"
	"sync"
	"time"

	"example.com/cronos/internal/model"
)

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("not found")

// ErrConflict says that somebody else changed it first.
var ErrConflict = errors.New("conflict")

// Memory keeps everything in memory.
type Memory struct {
	mu   sync.RWMutex
	jobs map[string]model.Job
	runs map[string]model.Run
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{jobs: map[string]model.Job{}, runs: map[string]model.Run{}}
}

// PutJob adds or replaces a job.
func (m *Memory) PutJob(job model.Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[job.ID] = job
}

// Job finds a job.
func (m *Memory) Job(id string) (model.Job, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	job, ok := m.jobs[id]
	if !ok {
		return model.Job{}, ErrNotFound
	}
	return job, nil
}

// Jobs lists all jobs by name.
func (m *Memory) Jobs() []model.Job {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := make([]model.Job, 0, len(m.jobs))
	for _, job := range m.jobs {
		found = append(found, job)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found
}

// PutRun adds or replaces a run.
func (m *Memory) PutRun(run model.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[run.ID] = run
}

// Swap replaces a run if it is still in the given state.
func (m *Memory) Swap(old model.State, run model.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.runs[run.ID]
	if !ok {
		return ErrNotFound
	}
	if found.State != old {
		return ErrConflict
	}
	m.runs[run.ID] = run
	return nil
}

// Runs lists the runs of a job, the newest first.
func (m *Memory) Runs(jobID string) []model.Run {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []model.Run
	for _, run := range m.runs {
		if jobID == "" || run.JobID == jobID {
			found = append(found, run)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Due.After(found[j].Due) })
	return found
}

// Forget drops runs that ended before t.
func (m *Memory) Forget(t time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := 0
	for id, run := range m.runs {
		if run.Done() && run.Finished.Before(t) {
			delete(m.runs, id)
			gone++
		}
	}
	return gone
}
