// Package store keeps ranks in a file.
package store

import (
	"encoding/json"
	"errors"
	"os"
	"sort"
	"sync"
)

type Rank struct {
	Name   string  `json:"name"`
	Rating float64 `json:"rating"`
	Kills  int     `json:"kills"`
	Deaths int     `json:"deaths"`
	Wins   int     `json:"wins"`
}

type Ranks struct {
	mu   sync.RWMutex
	path string
	rows map[string]*Rank
}

func Open(path string) (*Ranks, error) {
	r := &Ranks{path: path, rows: map[string]*Rank{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(data, &r.rows)
}

func (r *Ranks) Record(name string, kills, deaths int, won bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[name]
	if !ok {
		row = &Rank{Name: name, Rating: 1000}
		r.rows[name] = row
	}
	row.Kills += kills
	row.Deaths += deaths
	if won {
		row.Wins++
		row.Rating += 16
	} else {
		row.Rating -= 14
	}
	return r.save()
}

func (r *Ranks) Top(n int) []Rank {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Rank, 0, len(r.rows))
	for _, row := range r.rows {
		out = append(out, *row)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Rating > out[j].Rating })
	if len(out) > n {
		out = out[:n]
	}
	return out
}

func (r *Ranks) save() error {
	data, err := json.Marshal(r.rows)
	if err != nil {
		return err
	}
	return os.WriteFile(r.path, data, 0o644)
}
