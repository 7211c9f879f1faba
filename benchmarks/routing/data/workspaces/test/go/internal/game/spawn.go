package game

import "example.org/arena/internal/geom"

// spawnPoint is the place of the team that is farthest from its enemies.
func spawnPoint(w *World, team int) geom.Vec {
	x := w.arena.Min.X + 80
	if team == 1 {
		x = w.arena.Max.X - 80
	}
	best, far := geom.Vec{X: x, Y: 100}, -1.0
	for y := w.arena.Min.Y + 100; y < w.arena.Max.Y; y += 100 {
		at := geom.Vec{X: x, Y: y}
		near := 1e9
		for _, p := range w.players {
			if p.Team != team && p.Alive() {
				near = min(near, p.Pos.Dist(at))
			}
		}
		if near > far {
			best, far = at, near
		}
	}
	return best
}
