// Package api speaks HTTP.
package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"example.com/cronos/internal/model"
	"example.com/cronos/internal/sched"
	"example.com/cronos/internal/store"
)

// Handler answers requests.
type Handler struct {
	Scheduler *sched.Scheduler
	Store     *store.Memory
	Token     string
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+h.Token {
		write(w, http.StatusUnauthorized, Problem{"a token is needed"})
		return
	}
	switch {
	case r.URL.Path == "/jobs" && r.Method == http.MethodGet:
		views := []JobView{}
		for _, job := range h.Store.Jobs() {
			views = append(views, JobView{ID: job.ID, Name: job.Name, Schedule: job.Schedule, Paused: job.Paused})
		}
		write(w, http.StatusOK, views)
	case r.URL.Path == "/jobs" && r.Method == http.MethodPost:
		var job model.Job
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			write(w, http.StatusBadRequest, Problem{err.Error()})
			return
		}
		if err := h.Scheduler.Add(job); err != nil {
			write(w, http.StatusUnprocessableEntity, Problem{err.Error()})
			return
		}
		write(w, http.StatusCreated, job)
	case strings.HasPrefix(r.URL.Path, "/jobs/") && strings.HasSuffix(r.URL.Path, "/runs"):
		id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/jobs/"), "/runs")
		if _, err := h.Store.Job(id); errors.Is(err, store.ErrNotFound) {
			write(w, http.StatusNotFound, Problem{"no such job"})
			return
		}
		views := []RunView{}
		for _, run := range h.Store.Runs(id) {
			views = append(views, RunView{run.ID, string(run.State), run.Finished.Sub(run.Started).Seconds(), run.Error})
		}
		write(w, http.StatusOK, views)
	default:
		write(w, http.StatusNotFound, Problem{"not found"})
	}
}
