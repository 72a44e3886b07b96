package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatdb/leat/bench/nexmark/event"
)

func TestGenerator(t *testing.T) {
	const n = 50_000
	g := event.NewGenerator(1)
	var counts [3]int
	var bytesOf [3]int
	hotAuction, hotBidder, hotChannel, withID, otherChannel := map[float64]int{}, map[float64]int{}, 0, 0, 0
	for i := range int64(n) {
		line := g.Append(nil, i)
		if bytes.ContainsRune(line, '\n') || !bytes.Equal(line, g.Append(nil, i)) {
			t.Fatalf("event %d is not one line, or not the same twice: %s", i, line)
		}
		var e map[string]any
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, line)
		}
		kind := int(e["event_type"].(float64))
		counts[kind]++
		bytesOf[kind] += len(line)
		for k, name := range []string{"person", "auction", "bid"} {
			if (e[name] != nil) != (k == kind) {
				t.Fatalf("event %d of kind %d: %s", i, kind, line)
			}
		}
		if kind == event.Bid {
			bid := e["bid"].(map[string]any)
			hotAuction[bid["auction"].(float64)]++
			hotBidder[bid["bidder"].(float64)]++
			if price := bid["price"].(float64); price < 100 || price > 100_000_000 {
				t.Fatalf("price %v", price)
			}
			if strings.HasPrefix(bid["channel"].(string), "channel-") {
				otherChannel++
				if strings.Contains(bid["url"].(string), "&channel_id=") {
					withID++
				}
			} else {
				hotChannel++
			}
		}
	}
	if counts != [3]int{n / 50, n / 50 * 3, n / 50 * 46} {
		t.Errorf("mix %v, want 1:3:46", counts)
	}
	for k, want := range [3]int{200, 500, 250} {
		if size := bytesOf[k] / counts[k]; size < want*3/5 || size > want*8/5 {
			t.Errorf("events of kind %d have %d bytes, want about %d", k, size, want)
		}
	}
	// Half of the bids are for one auction in a hundred, three quarters by one
	// bidder in a hundred, half through one of four channels.
	share := func(counts map[float64]int, rest int) float64 {
		hot := 0
		for id, c := range counts {
			if int(id)%100 == rest {
				hot += c
			}
		}
		return float64(hot) / float64(n/50*46)
	}
	if s := share(hotAuction, 0); s < 0.48 || s > 0.55 {
		t.Errorf("share of hot auctions %.2f", s)
	}
	if s := share(hotBidder, 1); s < 0.72 || s > 0.8 {
		t.Errorf("share of hot bidders %.2f", s)
	}
	if s := float64(hotChannel) / float64(hotChannel+otherChannel); s < 0.47 || s > 0.53 {
		t.Errorf("share of hot channels %.2f", s)
	}
	if s := float64(withID) / float64(otherChannel); s < 0.85 || s > 0.95 {
		t.Errorf("share of channels with an id %.2f", s)
	}
}
