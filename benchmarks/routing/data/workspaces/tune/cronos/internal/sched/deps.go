package sched

import (
	"fmt"

	"example.com/cronos/internal/model"
)

// checkCycles says whether jobs wait for each other in a circle.
func checkCycles(jobs []model.Job) error {
	byID := map[string]model.Job{}
	for _, job := range jobs {
		byID[job.ID] = job
	}
	state := map[string]int{}
	var visit func(id string) error
	visit = func(id string) error {
		switch state[id] {
		case 1:
			return fmt.Errorf("job %s waits for itself", id)
		case 2:
			return nil
		}
		state[id] = 1
		for _, other := range byID[id].After {
			if err := visit(other); err != nil {
				return err
			}
		}
		state[id] = 2
		return nil
	}
	for id := range byID {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}
