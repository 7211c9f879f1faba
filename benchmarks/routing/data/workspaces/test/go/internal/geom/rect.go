package geom

type Rect struct{ Min, Max Vec }

func (r Rect) Contains(v Vec) bool {
	return v.X >= r.Min.X && v.X < r.Max.X && v.Y >= r.Min.Y && v.Y < r.Max.Y
}

func (r Rect) Clamp(v Vec) Vec {
	if v.X < r.Min.X {
		v.X = r.Min.X
	}
	if v.X > r.Max.X {
		v.X = r.Max.X
	}
	return v
}
