package game

import (
	"time"

	"example.org/arena/internal/geom"
	"example.org/arena/internal/proto"
)

type PlayerID uint32

type Player struct {
	ID        PlayerID
	Name      string
	Team      int
	Pos       geom.Vec
	Vel       geom.Vec
	Health    int
	Shield    int
	Ammo      int
	Cooldowns [4]time.Time
	Effects   []Effect
	LastSeq   uint32
	LastInput time.Time
	Inputs    []proto.Input
	Kills     int
	Deaths    int
	DeadSince time.Time
	Out       chan proto.Message
}

type Effect struct {
	Kind  string
	Until time.Time
	By    PlayerID
}

type Shot struct {
	By    PlayerID
	Pos   geom.Vec
	Dir   geom.Vec
	Left  float64
	Power int
}

func (p *Player) Alive() bool { return p.Health > 0 }
