package dataflow_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
)

// orderedSink wants the rows of a split in its order.
type orderedSink struct {
	*sink
	ordered bool
}

func (s *orderedSink) Ordered() bool { return s.ordered }

// slowDecoder takes longer for some chunks than for others.
type slowDecoder struct {
	*decoder
	random *rand.Rand
}

func (d *slowDecoder) Next(rows int) (*connectors.Decoded, error) {
	time.Sleep(time.Duration(d.random.IntN(10)) * time.Millisecond)
	return d.decoder.Next(rows)
}

// Lanes that decode side by side write the chunks of a split one after the other,
// whatever becomes of a chunk; without Ordered they do not, which shows that the
// test could see it.
func TestRun_OrderedSink(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint(ordered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{bounded: true}
				var want []string
				for i := range 300 {
					switch {
					case i%7 == 3:
						w.records = append(w.records, "bad")
					default:
						w.records = append(w.records, fmt.Sprintf("%04d", i))
						want = append(want, fmt.Sprintf("%04d", i))
					}
				}
				var mu sync.Mutex
				var got []string
				w.writeHook = func(row string) {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, row)
				}
				seed := uint64(0)
				s := w.stream(func(cfg *dataflow.Config) {
					cfg.Lanes = lanes
					cfg.CommitInterval = func() time.Duration { return 50 * time.Millisecond }
					cfg.OpenSink = func(context.Context, func(error)) (connectors.StreamSink, error) {
						return &orderedSink{&sink{w: w}, ordered}, nil
					}
					cfg.NewDecoder = func() (connectors.Decoder, error) {
						seed++
						return &slowDecoder{&decoder{}, rand.New(rand.NewPCG(seed, 1))}, nil
					}
				})
				if err := s.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.check(t, want...)
				if slices.Equal(got, want) != ordered {
					t.Errorf("written in order: %t", !ordered)
				}
			})
		})
	}
}
