package game

import "errors"

var (
	ErrFull     = errors.New("the arena is full")
	ErrFinished = errors.New("the match is over")
)
