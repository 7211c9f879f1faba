package main

import (
	"flag"
	"log"
	"net/http"

	"example.org/arena/internal/banner"
	"example.org/arena/internal/clock"
	"example.org/arena/internal/game"
	"example.org/arena/internal/lobby"
	"example.org/arena/internal/store"
)

func main() {
	address := flag.String("listen", ":7777", "address to listen on")
	data := flag.String("data", "arena.json", "file for ranks")
	flag.Parse()

	ranks, err := store.Open(*data)
	if err != nil {
		log.Fatal(err)
	}
	world := game.NewWorld(clock.Real{}, ranks)
	log.Print(banner.Lines(*address))
	go world.Run()
	hall := lobby.New(world)
	log.Fatal(http.ListenAndServe(*address, hall))
}
