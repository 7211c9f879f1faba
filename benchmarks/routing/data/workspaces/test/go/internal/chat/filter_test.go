package chat

import (
	"testing"
	"time"
)

func TestFiveLinesInTenSeconds(t *testing.T) {
	f := NewFilter()
	now := time.Unix(0, 0)
	for i := 0; i < 5; i++ {
		if _, ok := f.Clean("a", "hi", now); !ok {
			t.Fatal("refused too early")
		}
	}
	if _, ok := f.Clean("a", "hi", now); ok {
		t.Fatal("not refused")
	}
}
