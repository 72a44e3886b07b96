// Package event makes the events of Nexmark, a benchmark of an auction house
// (Tucker, Tufte, Papadimos, Maier: "NEXMark, a benchmark for queries over data
// streams", 2002) in the mix and with the skew that its implementations in
// Apache Beam and for Apache Flink have made customary: of 50 events one is a
// new person, three are auctions, 46 bids; most bids are for auctions that are
// hot, by people who bid often, through few channels.
package event

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Kinds of events, as their field event_type has them.
const (
	Person  = 0
	Auction = 1
	Bid     = 2
)

// Columns are the fields in SQL.
const Columns = "event_type INT, person JSON, auction JSON, bid JSON"

const (
	cycle    = 50 // events in which each kind has its share
	people   = 1
	auctions = 3
	firstID  = 1000
	// Each so many auctions or people the one that is hot changes.
	hotAuctions, hotPeople = 100, 100
	activePeople           = 1000
	inFlight               = 100 // auctions that are bid for
	channels               = 10_000
	extraBid               = 32
	extraAuction           = 220
	extraPerson            = 60
)

// interval is the time between events: 10,000 a second.
const interval = 100 * time.Microsecond

var (
	firstNames = [...]string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = [...]string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities     = [...]string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	states     = [...]string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	hot        = [...]string{"Google", "Facebook", "Baidu", "Apple"}
)

// Generator makes events; event n is a function of the seed and n alone.
type Generator struct {
	seed  uint64
	start time.Time
}

// NewGenerator makes events from the beginning of the year 2026 on.
func NewGenerator(seed uint64) *Generator {
	return &Generator{seed: seed, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Kind of event n.
func Kind(n int64) int {
	switch r := n % cycle; {
	case r < people:
		return Person
	case r < people+auctions:
		return Auction
	}
	return Bid
}

// lastPerson and lastAuction are how many there are before event n, less one.
func lastPerson(n int64) int64 { return n/cycle*people + min(n%cycle, people-1) }

func lastAuction(n int64) int64 {
	r := min(max(n%cycle-people, -1), auctions-1)
	return max(n/cycle*auctions+r, 0)
}

type writer struct {
	b []byte
	r *rand.Rand
}

func (w *writer) name(name string) {
	if c := w.b[len(w.b)-1]; c != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

func (w *writer) int(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *writer) text(name, v string) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = append(w.b, v...)
	w.b = append(w.b, '"')
}

func (w *writer) time(name string, t time.Time) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, "2006-01-02T15:04:05.000Z")
	w.b = append(w.b, '"')
}

// letters are n lower-case ones, more or less.
func (w *writer) letters(name string, n int) {
	w.name(name)
	w.b = append(w.b, '"')
	for range n - n/5 + w.r.IntN(2*n/5+1) {
		w.b = append(w.b, 'a'+byte(w.r.IntN(26)))
	}
	w.b = append(w.b, '"')
}

// price is spread evenly over its number of digits: 100 to 100,000,000.
func (w *writer) price() int64 { return int64(math.Round(math.Pow(10, w.r.Float64()*6) * 100)) }

// someone is the id of a person: mostly (share−1 of share) one of the hot.
func (w *writer) someone(n int64, share int, offset int64) int64 {
	last := lastPerson(n)
	if w.r.IntN(share) > 0 {
		return firstID + last/hotPeople*hotPeople + offset
	}
	active := min(last+1, activePeople)
	return firstID + last - w.r.Int64N(active)
}

// Append appends event n, without a line break.
func (g *Generator) Append(dst []byte, n int64) []byte {
	w := writer{append(dst, '{'), rand.New(rand.NewPCG(g.seed, uint64(n)))}
	at := g.start.Add(time.Duration(n) * interval)
	kind := Kind(n)
	w.int("event_type", int64(kind))
	null := func(names ...string) {
		for _, name := range names {
			w.name(name)
			w.b = append(w.b, "null"...)
		}
	}
	object := func(name string, fields func()) {
		w.name(name)
		w.b = append(w.b, '{')
		fields()
		w.b = append(w.b, '}')
	}
	switch kind {
	case Person:
		object("person", func() { w.person(n, at) })
		null("auction", "bid")
	case Auction:
		null("person")
		object("auction", func() { w.auction(n, at) })
		null("bid")
	default:
		null("person", "auction")
		object("bid", func() { w.bid(n, at) })
	}
	return append(w.b, '}')
}

func (w *writer) person(n int64, at time.Time) {
	first, last := firstNames[w.r.IntN(len(firstNames))], lastNames[w.r.IntN(len(lastNames))]
	w.int("id", firstID+lastPerson(n))
	w.text("name", first+" "+last)
	w.text("emailAddress", fmt.Sprintf("%s%d@example.com", last, w.r.IntN(1000)))
	w.text("creditCard", fmt.Sprintf("%04d %04d %04d %04d", w.r.IntN(10_000), w.r.IntN(10_000), w.r.IntN(10_000), w.r.IntN(10_000)))
	w.text("city", cities[w.r.IntN(len(cities))])
	w.text("state", states[w.r.IntN(len(states))])
	w.time("dateTime", at)
	w.letters("extra", extraPerson)
}

func (w *writer) auction(n int64, at time.Time) {
	initial := w.price()
	w.int("id", firstID+lastAuction(n))
	w.letters("itemName", 20)
	w.letters("description", 100)
	w.int("initialBid", initial)
	w.int("reserve", initial+w.price())
	w.time("dateTime", at)
	w.time("expires", at.Add(time.Duration(1+w.r.IntN(20_000))*time.Millisecond))
	w.int("seller", w.someone(n, 4, 0))
	w.int("category", 10+w.r.Int64N(5))
	w.letters("extra", extraAuction)
}

func (w *writer) bid(n int64, at time.Time) {
	last := lastAuction(n)
	auction := firstID + last/hotAuctions*hotAuctions
	if w.r.IntN(2) == 0 {
		auction = firstID + max(last-w.r.Int64N(inFlight), 0)
	}
	w.int("auction", auction)
	w.int("bidder", w.someone(n, 4, 1))
	w.int("price", w.price())
	url := func(i int) string {
		x := uint32(i)*2654435761 + 1
		return fmt.Sprintf("https://www.nexmark.com/%s/%s/%s/item.htm?query=1", word(x), word(x>>7), word(x>>13))
	}
	if w.r.IntN(2) == 0 {
		i := w.r.IntN(len(hot))
		w.text("channel", hot[i])
		w.text("url", url(i))
	} else {
		i := w.r.IntN(channels)
		w.text("channel", "channel-"+strconv.Itoa(i))
		u := url(i)
		if i%10 > 0 { // nine of ten channels have an id
			u += "&channel_id=" + strconv.FormatUint(uint64(bits.Reverse32(uint32(i))>>1), 10)
		}
		w.text("url", u)
	}
	w.time("dateTime", at)
	w.letters("extra", extraBid)
}

// word is five letters that are a function of x.
func word(x uint32) string {
	var b [5]byte
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return string(b[:])
}

// WriteFile writes n events to a file, a line each, unless it is there already,
// and returns its size in bytes.
func WriteFile(path string, n int64, g *Generator) (size int64, err error) {
	if info, err := os.Stat(path); err == nil {
		return info.Size(), nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, fmt.Errorf("make folder of benchmark data: %w", err)
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return 0, fmt.Errorf("write benchmark data: %w", err)
	}
	defer f.Close()
	size, err = write(f, n, g)
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return 0, fmt.Errorf("write benchmark data: %w", err)
	}
	return size, nil
}

func write(f io.Writer, n int64, g *Generator) (size int64, err error) {
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for i := range n {
		line = append(g.Append(line[:0], i), '\n')
		size += int64(len(line))
		if _, err := w.Write(line); err != nil {
			return size, err
		}
	}
	return size, w.Flush()
}
