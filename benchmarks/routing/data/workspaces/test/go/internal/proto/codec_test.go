package proto

import (
	"bytes"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Message{Kind: KindChat, Seq: 3}); err != nil {
		t.Fatal(err)
	}
	m, err := Read(&b)
	if err != nil || m.Seq != 3 {
		t.Fatalf("%v %v", m, err)
	}
}
