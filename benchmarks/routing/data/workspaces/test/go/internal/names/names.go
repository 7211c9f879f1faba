// Package names makes up names for guests.
package names

import (
	"math/rand"
	"unicode"
)

var first = []string{"Brave", "Quiet", "Amber", "Hollow", "Swift"}
var second = []string{"Otter", "Lantern", "Falcon", "Thistle", "Comet"}

// Guest is a name such as QuietOtter.
func Guest(r *rand.Rand) string {
	return first[r.Intn(len(first))] + second[r.Intn(len(second))]
}

// Initials is at most two capitals of a name.
func Initials(name string) string {
	out := ""
	for _, c := range name {
		if unicode.IsUpper(c) {
			out += string(c)
		}
	}
	return out[:min(len(out), 2)]
}
