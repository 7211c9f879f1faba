// Package game is the simulation.
package game

import (
	"encoding/json"
	"log"
	"sort"
	"sync"
	"time"

	"example.org/arena/internal/chat"
	"example.org/arena/internal/clock"
	"example.org/arena/internal/geom"
	"example.org/arena/internal/proto"
	"example.org/arena/internal/store"
)

const (
	TickRate      = 30
	MaxPlayers    = 64
	RespawnAfter  = 3 * time.Second
	IdleAfter     = 45 * time.Second
	HistoryLength = 32
	MatchLength   = 5 * time.Minute
)

type phase int

const (
	waiting phase = iota
	countdown
	running
	overtime
	finished
)

type snapshot struct {
	tick uint64
	pos  map[PlayerID]geom.Vec
}

// World is one running match and everybody in it.
type World struct {
	mu       sync.Mutex
	clock    clock.Clock
	ranks    *store.Ranks
	chat     *chat.Filter
	players  map[PlayerID]*Player
	shots    []*Shot
	history  []snapshot
	arena    geom.Rect
	tick     uint64
	next     PlayerID
	phase    phase
	since    time.Time
	score    [2]int
	joins    chan *Player
	leaves   chan PlayerID
	paused   bool
	votes    map[PlayerID]bool
	dropped  int
	onFinish []func(score [2]int)
}

func NewWorld(c clock.Clock, ranks *store.Ranks) *World {
	return &World{
		clock:   c,
		ranks:   ranks,
		chat:    chat.NewFilter(),
		players: map[PlayerID]*Player{},
		arena:   geom.Rect{Max: geom.Vec{X: 2000, Y: 1200}},
		joins:   make(chan *Player, 16),
		leaves:  make(chan PlayerID, 16),
		votes:   map[PlayerID]bool{},
		since:   c.Now(),
	}
}

func (w *World) OnFinish(f func(score [2]int)) { w.onFinish = append(w.onFinish, f) }

func (w *World) Run() {
	for now := range w.clock.Tick(time.Second / TickRate) {
		w.Step(now)
	}
}

func (w *World) Join(name string) (*Player, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.players) >= MaxPlayers {
		return nil, ErrFull
	}
	if w.phase == finished {
		return nil, ErrFinished
	}
	w.next++
	p := &Player{ID: w.next, Name: name, Health: 100, Ammo: 30, Out: make(chan proto.Message, 64), LastInput: w.clock.Now()}
	p.Team = w.smallerTeam()
	p.Pos = spawnPoint(w, p.Team)
	w.joins <- p
	return p, nil
}

func (w *World) Leave(id PlayerID) { w.leaves <- id }

func (w *World) Feed(id PlayerID, seq uint32, in proto.Input) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.players[id]
	if !ok || seq <= p.LastSeq {
		return
	}
	if in.Tick+HistoryLength < w.tick {
		w.dropped++
		return
	}
	p.LastSeq = seq
	p.LastInput = w.clock.Now()
	p.Inputs = append(p.Inputs, in)
}

func (w *World) Say(id PlayerID, text string) {
	w.mu.Lock()
	p, ok := w.players[id]
	w.mu.Unlock()
	if !ok {
		return
	}
	clean, allowed := w.chat.Clean(p.Name, text, w.clock.Now())
	if !allowed {
		return
	}
	body, err := json.Marshal(map[string]string{"from": p.Name, "text": clean})
	if err != nil {
		return
	}
	for _, other := range w.players {
		select {
		case other.Out <- proto.Message{Kind: proto.KindChat, Body: body}:
		default:
		}
	}
}

func (w *World) smallerTeam() int {
	var n [2]int
	for _, p := range w.players {
		n[p.Team]++
	}
	if n[1] < n[0] {
		return 1
	}
	return 0
}

// Step is one tick: who comes and goes, what they did, what hits whom, what they are told.
func (w *World) Step(now time.Time) {
	for {
		select {
		case p := <-w.joins:
			w.mu.Lock()
			w.players[p.ID] = p
			if w.phase == waiting && len(w.players) >= 2 {
				w.phase, w.since = countdown, now
			}
			w.mu.Unlock()
			continue
		case id := <-w.leaves:
			w.mu.Lock()
			if p, ok := w.players[id]; ok {
				close(p.Out)
				delete(w.players, id)
				delete(w.votes, id)
				if w.phase == running && len(w.players) < 2 {
					w.finish(now)
				}
			}
			w.mu.Unlock()
			continue
		default:
		}
		break
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tick++
	switch w.phase {
	case waiting:
		w.broadcast()
		return
	case countdown:
		if now.Sub(w.since) < 5*time.Second {
			w.broadcast()
			return
		}
		w.phase, w.since = running, now
		for _, p := range w.players {
			p.Health, p.Ammo, p.Kills, p.Deaths = 100, 30, 0, 0
			p.Pos = spawnPoint(w, p.Team)
		}
	case running:
		if now.Sub(w.since) > MatchLength {
			if w.score[0] == w.score[1] {
				w.phase, w.since = overtime, now
			} else {
				w.finish(now)
			}
		}
	case overtime:
		if w.score[0] != w.score[1] || now.Sub(w.since) > time.Minute {
			w.finish(now)
		}
	case finished:
		if now.Sub(w.since) > 15*time.Second {
			w.reset(now)
		}
		return
	}
	if w.paused {
		if len(w.votes)*2 > len(w.players) {
			w.paused = false
			w.votes = map[PlayerID]bool{}
		}
		w.broadcast()
		return
	}
	for _, id := range w.order() {
		p := w.players[id]
		if now.Sub(p.LastInput) > IdleAfter {
			select {
			case w.leaves <- id:
			default:
			}
			continue
		}
		if !p.Alive() {
			if now.Sub(p.DeadSince) > RespawnAfter && w.phase != overtime {
				p.Health, p.Shield, p.Ammo = 100, 0, 30
				p.Pos = spawnPoint(w, p.Team)
				p.Effects = nil
			}
			p.Inputs = p.Inputs[:0]
			continue
		}
		for _, in := range p.Inputs {
			dir := geom.Vec{X: in.DX, Y: in.DY}
			if dir.Len() > 1 {
				dir = dir.Unit()
			}
			speed := 260.0
			for _, e := range p.Effects {
				if e.Until.Before(now) {
					continue
				}
				if e.Kind == "slow" {
					speed *= 0.5
				} else if e.Kind == "haste" {
					speed *= 1.4
				} else if e.Kind == "root" {
					speed = 0
				}
			}
			p.Vel = dir.Scale(speed)
			p.Pos = w.arena.Clamp(p.Pos.Add(p.Vel.Scale(1.0 / TickRate)))
			if in.Fire && p.Ammo > 0 && p.Cooldowns[0].Before(now) {
				p.Ammo--
				p.Cooldowns[0] = now.Add(200 * time.Millisecond)
				w.shots = append(w.shots, &Shot{By: id, Pos: w.rewind(id, in.Tick), Dir: dir, Left: 900, Power: 12})
			}
			if in.Skill > 0 {
				useSkill(w, p, in.Skill, now)
			}
		}
		p.Inputs = p.Inputs[:0]
	}
	w.moveShots(now)
	w.remember()
	w.broadcast()
}

func (w *World) order() []PlayerID {
	ids := make([]PlayerID, 0, len(w.players))
	for id := range w.players {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

func (w *World) rewind(id PlayerID, tick uint64) geom.Vec {
	for i := len(w.history) - 1; i >= 0; i-- {
		if w.history[i].tick <= tick {
			if pos, ok := w.history[i].pos[id]; ok {
				return pos
			}
			break
		}
	}
	return w.players[id].Pos
}

func (w *World) moveShots(now time.Time) {
	kept := w.shots[:0]
	for _, s := range w.shots {
		step := 1200.0 / TickRate
		if s.Left < step {
			step = s.Left
		}
		from := s.Pos
		s.Pos = s.Pos.Add(s.Dir.Scale(step))
		s.Left -= step
		hit := false
		for _, id := range w.order() {
			p := w.players[id]
			if id == s.By || !p.Alive() {
				continue
			}
			if shooter, ok := w.players[s.By]; ok && shooter.Team == p.Team {
				continue
			}
			if p.Pos.Dist(from.Lerp(s.Pos, 0.5)) < 24 {
				applyDamage(w, p, s.By, s.Power, now)
				hit = true
				break
			}
		}
		if !hit && s.Left > 0 && w.arena.Contains(s.Pos) {
			kept = append(kept, s)
		}
	}
	w.shots = kept
}

func (w *World) remember() {
	pos := make(map[PlayerID]geom.Vec, len(w.players))
	for id, p := range w.players {
		pos[id] = p.Pos
	}
	w.history = append(w.history, snapshot{w.tick, pos})
	if len(w.history) > HistoryLength {
		w.history = w.history[1:]
	}
}

func (w *World) broadcast() {
	state := proto.State{Tick: w.tick}
	for _, id := range w.order() {
		p := w.players[id]
		state.Entities = append(state.Entities, proto.Entity{ID: uint32(id), X: p.Pos.X, Y: p.Pos.Y, Health: p.Health, Team: p.Team})
	}
	for _, p := range w.players {
		state.Ack = p.LastSeq
		body, err := json.Marshal(state)
		if err != nil {
			log.Printf("state: %v", err)
			return
		}
		select {
		case p.Out <- proto.Message{Kind: proto.KindState, Body: body}:
		default:
			w.dropped++
		}
	}
}

func (w *World) finish(now time.Time) {
	w.phase, w.since = finished, now
	for _, p := range w.players {
		won := w.score[p.Team] > w.score[1-p.Team]
		if err := w.ranks.Record(p.Name, p.Kills, p.Deaths, won); err != nil {
			log.Printf("rank of %s: %v", p.Name, err)
		}
	}
	for _, f := range w.onFinish {
		f(w.score)
	}
}

func (w *World) reset(now time.Time) {
	w.phase, w.since = waiting, now
	w.score = [2]int{}
	w.shots, w.history = nil, nil
	w.votes = map[PlayerID]bool{}
	if len(w.players) >= 2 {
		w.phase = countdown
	}
}

// Vote asks for a pause, or for its end.
func (w *World) Vote(id PlayerID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.players[id]; !ok || w.phase != running {
		return
	}
	w.votes[id] = true
	if !w.paused && len(w.votes)*2 > len(w.players) {
		w.paused = true
		w.votes = map[PlayerID]bool{}
	}
}
