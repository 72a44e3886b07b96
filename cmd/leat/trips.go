//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tripsDDL declares the columns of the taxi trips that the demonstration makes.
const tripsDDL = `trip_id BIGINT, vehicle_id INT, borough VARCHAR(20), pickup_location_id INT,
  pickup_at TIMESTAMP(3), distance DOUBLE, fare DECIMAL(10,2), tip DECIMAL(10,2), rider JSON`

var (
	boroughs = [...]string{"Manhattan", "Brooklyn", "Queens", "Bronx", "Staten Island", "Newark"}
	// boroughShares add up to 100.
	boroughShares = [...]int{58, 18, 14, 6, 3, 1}
	systems       = [...]string{"ios", "ios", "ios", "android", "android", "web"}
)

// dirtyEvery is how many trips lie between two that are not fit to land, on
// average.
const dirtyEvery = 1000

// tripMaker makes trips up.
type tripMaker struct {
	rand *rand.Rand
	next int64
	buf  []byte
}

func newTripMaker(seed uint64) *tripMaker {
	return &tripMaker{rand: rand.New(rand.NewPCG(seed, 1))}
}

// make is the next trip as JSON, and its key, valid until the next call. A few
// are cut off, or hold a fare that is no number.
func (m *tripMaker) make(now time.Time) (key, value []byte) {
	m.next++
	share, borough := m.rand.IntN(100), 0
	for share >= boroughShares[borough] {
		share -= boroughShares[borough]
		borough++
	}
	distance := 0.4 + m.rand.ExpFloat64()*2.7
	cents := 300 + int64(distance*250) + m.rand.Int64N(400)
	tip := int64(0)
	if m.rand.IntN(3) > 0 {
		tip = cents * (10 + m.rand.Int64N(16)) / 100
	}
	vehicle := 1000 + m.rand.IntN(6000)
	b := m.buf[:0]
	b = append(b, `{"trip_id":`...)
	b = strconv.AppendInt(b, m.next, 10)
	b = append(b, `,"vehicle_id":`...)
	keyAt := len(b)
	b = strconv.AppendInt(b, int64(vehicle), 10)
	keyEnd := len(b)
	b = append(b, `,"borough":"`...)
	b = append(b, boroughs[borough]...)
	b = append(b, `","pickup_location_id":`...)
	b = strconv.AppendInt(b, int64(1+borough*44+m.rand.IntN(44)), 10)
	b = append(b, `,"pickup_at":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","distance":`...)
	b = strconv.AppendFloat(b, distance, 'f', 2, 64)
	b = append(b, `,"fare":`...)
	dirty := m.rand.IntN(2 * dirtyEvery)
	if dirty == 0 {
		b = append(b, `"twenty"`...)
	} else {
		b = appendCents(b, cents)
	}
	b = append(b, `,"tip":`...)
	b = appendCents(b, tip)
	b = append(b, `,"rider":{"rating":`...)
	b = strconv.AppendFloat(b, 3+float64(m.rand.IntN(21))/10, 'f', 1, 64)
	b = append(b, `,"device":{"os":"`...)
	b = append(b, systems[m.rand.IntN(len(systems))]...)
	b = append(b, `","version":"17.`...)
	b = strconv.AppendInt(b, int64(m.rand.IntN(6)), 10)
	b = append(b, `"}}}`...)
	m.buf = b
	key = b[keyAt:keyEnd]
	if dirty == 1 {
		return key, b[:len(b)-12] // as if the sender had been cut off
	}
	return key, b
}

func appendCents(b []byte, cents int64) []byte {
	b = strconv.AppendInt(b, cents/100, 10)
	return append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10))
}

// tripProducer sends trips to a topic at a rate.
type tripProducer struct {
	client *kgo.Client
	rate   int // trips a second
	sent   atomic.Int64
}

// produceEvery is how often the producer sends what is due.
const produceEvery = 20 * time.Millisecond

// run sends until ctx ends; everything that sent counts has been acknowledged
// then. An error of the broker ends it.
func (p *tripProducer) run(ctx context.Context) error {
	var failed atomic.Pointer[error]
	maker := newTripMaker(uint64(time.Now().UnixNano()))
	tick := time.NewTicker(produceEvery)
	defer tick.Stop()
	begun, made := time.Now(), int64(0)
	for ctx.Err() == nil {
		now := time.Now()
		due := int64(now.Sub(begun).Seconds() * float64(p.rate))
		// A machine that cannot keep up does not have to catch up.
		if late := due - made - int64(p.rate); late > 0 {
			begun = begun.Add(time.Duration(float64(late) / float64(p.rate) * float64(time.Second)))
			due -= late
		}
		for ; made < due; made++ {
			key, value := maker.make(now)
			b := make([]byte, 0, len(key)+len(value))
			b = append(append(b, key...), value...)
			p.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Key: b[:len(key):len(key)], Value: b[len(key):]}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				p.sent.Add(1)
			})
		}
		if err := failed.Load(); err != nil {
			return fmt.Errorf("send trips: %w", *err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if err := p.client.Flush(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("send trips: %w", err)
	}
	if err := failed.Load(); err != nil && !errors.Is(*err, context.Canceled) {
		return fmt.Errorf("send trips: %w", *err)
	}
	return nil
}
