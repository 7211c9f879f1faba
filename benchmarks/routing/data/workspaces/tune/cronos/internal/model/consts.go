package model

import "time"

// Limits of jobs.
const (
	MaxAttempts     = 8
	MaxOutput       = 64 << 10
	DefaultTimeout  = 10 * time.Minute
	LeaseDuration   = 45 * time.Second
	HeartbeatEvery  = 15 * time.Second
	DefaultPriority = 5
	ShardCount      = 16
)
