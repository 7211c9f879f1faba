// Package geom has the little geometry that the game needs.
package geom

import "math"

type Vec struct{ X, Y float64 }

func (v Vec) Add(o Vec) Vec           { return Vec{v.X + o.X, v.Y + o.Y} }
func (v Vec) Sub(o Vec) Vec           { return Vec{v.X - o.X, v.Y - o.Y} }
func (v Vec) Scale(f float64) Vec     { return Vec{v.X * f, v.Y * f} }
func (v Vec) Len() float64            { return math.Hypot(v.X, v.Y) }
func (v Vec) Dist(o Vec) float64      { return v.Sub(o).Len() }
func (v Vec) Lerp(o Vec, t float64) Vec { return v.Add(o.Sub(v).Scale(t)) }

// Unit is the direction of v, or zero.
func (v Vec) Unit() Vec {
	n := v.Len()
	if n == 0 {
		return Vec{}
	}
	return v.Scale(1 / n)
}
