package game

import "time"

func applyDamage(w *World, p *Player, by PlayerID, amount int, now time.Time) {
	for _, e := range p.Effects {
		if e.Kind == "ward" && e.Until.After(now) {
			amount /= 2
		}
	}
	if p.Shield > 0 {
		taken := min(p.Shield, amount)
		p.Shield -= taken
		amount -= taken
	}
	p.Health -= amount
	if p.Health > 0 {
		return
	}
	p.Health = 0
	p.Deaths++
	p.DeadSince = now
	if killer, ok := w.players[by]; ok && killer.Team != p.Team {
		killer.Kills++
		w.score[killer.Team]++
	}
}
