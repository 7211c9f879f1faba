// Package proto is what client and server say to each other.
package proto

import "encoding/json"

type Kind string

const (
	KindJoin   Kind = "join"
	KindLeave  Kind = "leave"
	KindInput  Kind = "input"
	KindState  Kind = "state"
	KindChat   Kind = "chat"
	KindError  Kind = "error"
	KindResult Kind = "result"
)

type Message struct {
	Kind Kind            `json:"kind"`
	Seq  uint32          `json:"seq,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
}

type Input struct {
	Tick  uint64  `json:"tick"`
	DX    float64 `json:"dx"`
	DY    float64 `json:"dy"`
	Fire  bool    `json:"fire"`
	Skill int     `json:"skill"`
}

type Entity struct {
	ID     uint32  `json:"id"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Health int     `json:"health"`
	Team   int     `json:"team"`
}

type State struct {
	Tick     uint64   `json:"tick"`
	Ack      uint32   `json:"ack"`
	Entities []Entity `json:"entities"`
}
