package lobby

import (
	"fmt"
	"net/http"

	"example.org/arena/internal/names"
	"example.org/arena/internal/store"
)

// Board shows the best players as plain text.
type Board struct{ Ranks *store.Ranks }

func (b Board) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for i, row := range b.Ranks.Top(20) {
		fmt.Fprintf(w, "%2d. [%s] %-20s %6.0f\n", i+1, names.Initials(row.Name), row.Name, row.Rating)
	}
}
