package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// created is an object that a notification says was written.
type created struct{ bucket, key string }

// errNoEvent is what a message is that S3 has not sent. It is left in the queue:
// it may be somebody else's.
var errNoEvent = errors.New("it is no S3 event notification")

// envelope has what tells the forms apart in which an event of S3 comes: as S3
// sends it to a queue itself, as the text of an SNS notification, and as
// EventBridge has it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
type envelope struct {
	Event   string `json:"Event"` // s3:TestEvent
	Records []struct {
		Source string `json:"eventSource"`
		Name   string `json:"eventName"`
		S3     struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object struct {
				Key string `json:"key"` // form-encoded
			} `json:"object"`
		} `json:"s3"`
	} `json:"Records"`

	Type    string `json:"Type"` // Notification
	Message string `json:"Message"`

	Source     string `json:"source"` // aws.s3
	DetailType string `json:"detail-type"`
	Detail     struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key string `json:"key"` // as it is
		} `json:"object"`
	} `json:"detail"`
}

// parseNotification lists the objects that the message of a queue says were
// written: none of a test event, and of one about something else. Fails with
// errNoEvent for what S3 has not sent.
func parseNotification(body string) ([]created, error) {
	// An SNS notification wraps what was published once.
	for range 2 {
		var e envelope
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoEvent, err)
		}
		switch {
		case e.Event == "s3:TestEvent":
			return nil, nil
		case len(e.Records) > 0:
			return e.objects()
		case e.Source == "aws.s3":
			if e.DetailType != "Object Created" {
				return nil, nil
			}
			if e.Detail.Bucket.Name == "" || e.Detail.Object.Key == "" {
				return nil, fmt.Errorf("%w: it names no object", errNoEvent)
			}
			return []created{{e.Detail.Bucket.Name, e.Detail.Object.Key}}, nil
		case e.Type != "Notification":
			return nil, errNoEvent
		}
		body = e.Message
	}
	return nil, errNoEvent
}

func (e *envelope) objects() ([]created, error) {
	var objects []created
	for _, r := range e.Records {
		if r.Source != "aws:s3" {
			return nil, errNoEvent
		}
		if !strings.HasPrefix(strings.TrimPrefix(r.Name, "s3:"), "ObjectCreated:") {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil || key == "" || r.S3.Bucket.Name == "" {
			return nil, fmt.Errorf("%w: it names no object", errNoEvent)
		}
		objects = append(objects, created{r.S3.Bucket.Name, key})
	}
	return objects, nil
}
