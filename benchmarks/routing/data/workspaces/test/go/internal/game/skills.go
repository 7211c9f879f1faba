package game

import "time"

const (
	skillDash = iota + 1
	skillWard
	skillRoot
)

func useSkill(w *World, p *Player, skill int, now time.Time) {
	if skill >= len(p.Cooldowns) || p.Cooldowns[skill].After(now) {
		return
	}
	switch skill {
	case skillDash:
		p.Pos = w.arena.Clamp(p.Pos.Add(p.Vel.Unit().Scale(160)))
		p.Cooldowns[skill] = now.Add(4 * time.Second)
	case skillWard:
		p.Effects = append(p.Effects, Effect{Kind: "ward", Until: now.Add(3 * time.Second), By: p.ID})
		p.Cooldowns[skill] = now.Add(12 * time.Second)
	case skillRoot:
		for _, other := range w.players {
			if other.Team != p.Team && other.Alive() && other.Pos.Dist(p.Pos) < 180 {
				other.Effects = append(other.Effects, Effect{Kind: "root", Until: now.Add(time.Second), By: p.ID})
			}
		}
		p.Cooldowns[skill] = now.Add(15 * time.Second)
	}
}
