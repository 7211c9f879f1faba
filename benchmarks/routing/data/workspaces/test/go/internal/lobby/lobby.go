// Package lobby lets people in.
package lobby

import (
	"encoding/json"
	"math/rand"
	"net"
	"net/http"
	"time"

	"example.org/arena/internal/game"
	"example.org/arena/internal/names"
	"example.org/arena/internal/proto"
)

type Lobby struct {
	world *game.World
	mux   *http.ServeMux
}

func New(w *game.World) *Lobby {
	l := &Lobby{world: w, mux: http.NewServeMux()}
	l.mux.HandleFunc("/health", l.health)
	l.mux.HandleFunc("/play", l.play)
	return l
}

func (l *Lobby) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.mux.ServeHTTP(w, r) }

func (l *Lobby) health(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

func (l *Lobby) play(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "no upgrade possible", http.StatusInternalServerError)
		return
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		name = names.Guest(rand.New(rand.NewSource(time.Now().UnixNano())))
	}
	player, err := l.world.Join(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		l.world.Leave(player.ID)
		return
	}
	go l.write(conn, player)
	l.read(conn, player)
}

func (l *Lobby) write(conn net.Conn, p *game.Player) {
	for m := range p.Out {
		if err := proto.Write(conn, m); err != nil {
			return
		}
	}
}

func (l *Lobby) read(conn net.Conn, p *game.Player) {
	defer l.world.Leave(p.ID)
	defer conn.Close()
	for {
		m, err := proto.Read(conn)
		if err != nil {
			return
		}
		switch m.Kind {
		case proto.KindInput:
			var in proto.Input
			if json.Unmarshal(m.Body, &in) == nil {
				l.world.Feed(p.ID, m.Seq, in)
			}
		case proto.KindChat:
			l.world.Say(p.ID, string(m.Body))
		case proto.KindLeave:
			return
		}
	}
}
