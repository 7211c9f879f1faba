// Command cronos runs the scheduler with its API and a few workers.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"example.com/cronos/internal/api"
	"example.com/cronos/internal/clock"
	"example.com/cronos/internal/notify"
	"example.com/cronos/internal/sched"
	"example.com/cronos/internal/store"
	"example.com/cronos/internal/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	memory := store.NewMemory()
	scheduler := sched.New(clock.Real{}, memory, notify.New(os.Getenv("CRONOS_WEBHOOK")))
	scheduler.Own(nil, true)
	for n := range 4 {
		go worker.New(fmt.Sprintf("worker-%d", n), scheduler).Loop(ctx)
	}
	go func() {
		for range time.Tick(time.Second) {
			if err := scheduler.Tick(ctx); err != nil {
				log.Print(err)
			}
			scheduler.Reap()
		}
	}()
	handler := &api.Handler{Scheduler: scheduler, Store: memory, Token: os.Getenv("CRONOS_TOKEN")}
	server := &http.Server{Addr: ":8090", Handler: handler}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.Print(server.ListenAndServe())
}
