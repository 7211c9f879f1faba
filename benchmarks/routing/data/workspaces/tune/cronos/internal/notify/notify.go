// Package notify tells owners about failed runs.
package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/cronos/internal/model"
	"example.com/cronos/internal/textutil"
)

// Webhook posts to an address.
type Webhook struct {
	URL    string
	client http.Client
}

// New makes a webhook.
func New(url string) *Webhook {
	return &Webhook{URL: url, client: http.Client{Timeout: 5 * time.Second}}
}

// Failed tells about a run.
func (w *Webhook) Failed(job model.Job, run model.Run) error {
	body, err := json.Marshal(map[string]string{
		"to":   job.Owner,
		"text": fmt.Sprintf("%s failed: %s", job.Name, textutil.Ellipsis(textutil.OneLine(run.Error), 200)),
	})
	if err != nil {
		return err
	}
	reply, err := w.client.Post(w.URL, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode >= 300 {
		return fmt.Errorf("webhook answered %s", reply.Status)
	}
	return nil
}
