// Package banner is what operators see when the server starts.
package banner

import (
	"fmt"
	"strings"
)

const Version = "1.6.0"

// Lines is the greeting, framed by a line above and below.
func Lines(address string) string {
	text := fmt.Sprintf("arena %s on %s", Version, address)
	rule := strings.Repeat("-", len(text))
	return rule + "\n" + text + "\n" + rule
}
