package kinesis_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors/kinesis"
)

func TestPace(t *testing.T) {
	f := func(bytes int64, atTip bool, wantEarliest, wantUsual time.Duration) {
		t.Helper()
		earliest, usual := kinesis.PaceAfter(5, 2e6, time.Second, bytes, atTip)
		if earliest != wantEarliest || usual != wantUsual {
			t.Errorf("%d bytes, %t: %s, %s; want %s, %s", bytes, atTip, earliest, usual, wantEarliest, wantUsual)
		}
	}
	f(0, false, 200*time.Millisecond, 200*time.Millisecond)
	f(0, true, 200*time.Millisecond, time.Second)
	f(1e6, false, 500*time.Millisecond, 500*time.Millisecond)
	f(10e6, false, 5*time.Second, 5*time.Second)
	f(10e6, true, 5*time.Second, 5*time.Second)
}

func TestBackoff(t *testing.T) {
	for failures := range 1000 {
		if d := kinesis.Backoff(failures); d < 100*time.Millisecond || d > 10*time.Second {
			t.Fatalf("%d failures: %s", failures, d)
		}
	}
}

func TestBudget(t *testing.T) {
	b := kinesis.NewBudget(100)
	reserve := func(n int) {
		t.Helper()
		if err := b.Reserve(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	reserve(200) // larger than all there is, while nothing is used
	granted := make(chan int, 3)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error)
	go func() { given <- b.Reserve(ctx, 70) }()
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("err=%v", err)
	}
	wg.Go(func() {
		reserve(60)
		granted <- 60
	})
	b.Correct(-200)
	if n := <-granted; n != 60 || b.Used() != 60 {
		t.Errorf("%d granted, %d used", n, b.Used())
	}
	reserve(40)
	b.Correct(-100)
	wg.Wait()
	if b.Used() != 0 {
		t.Errorf("%d used", b.Used())
	}
}

// AWS takes a subscription a second, and none within five seconds of one that has
// begun.
func TestPace_Resubscribe(t *testing.T) {
	f := func(after time.Duration, ended bool, want time.Duration) {
		t.Helper()
		sent := time.UnixMilli(1e12)
		if got := kinesis.Resubscribe(5, sent, sent.Add(after), ended).Sub(sent); got != want {
			t.Errorf("after %s, ended %t: %s, want %s", after, ended, got, want)
		}
	}
	f(5*time.Minute, true, 5*time.Minute)
	f(5*time.Minute, false, 5*time.Minute+time.Second)
	f(time.Second, true, 5*time.Second)
	f(time.Second, false, 5*time.Second)
	f(4500*time.Millisecond, false, 5500*time.Millisecond)
}
