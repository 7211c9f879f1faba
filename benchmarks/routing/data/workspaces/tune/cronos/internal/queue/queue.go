// Package queue orders what is due.
package queue

import (
	"container/heap"
	"time"
)

// Item waits for its time.
type Item struct {
	RunID    string
	Due      time.Time
	Priority int
	index    int
}

type items []*Item

func (q items) Len() int { return len(q) }

func (q items) Less(i, j int) bool {
	if q[i].Due.Equal(q[j].Due) {
		return q[i].Priority > q[j].Priority
	}
	return q[i].Due.Before(q[j].Due)
}

func (q items) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *items) Push(x any) {
	item := x.(*Item)
	item.index = len(*q)
	*q = append(*q, item)
}

func (q *items) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// Queue gives what is due first.
type Queue struct{ heap items }

// Push adds an item.
func (q *Queue) Push(item *Item) { heap.Push(&q.heap, item) }

// Due takes the next item that is due at t.
func (q *Queue) Due(t time.Time) (*Item, bool) {
	if len(q.heap) == 0 || q.heap[0].Due.After(t) {
		return nil, false
	}
	return heap.Pop(&q.heap).(*Item), true
}

// Len is how many wait.
func (q *Queue) Len() int { return len(q.heap) }
