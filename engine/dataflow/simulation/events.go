package simulation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched/seeded"
	"github.com/leatdb/leat/sql/sqlerror"
)

// drive makes legal events, then lets everything come to rest and checks it.
func (w *world) drive() {
	w.produce(w.s.IntN(10))
	if w.bounded {
		w.produce(w.s.IntN(200))
	}
	if w.s.Chance(0.3) {
		w.storm()
	}
	for _, d := range w.streams {
		w.start(d).run()
	}
	if w.s.Chance(0.1) {
		w.quietLife()
	}
	events := 5 + w.s.IntN(35)
	if w.cfg.Long {
		events *= 4
	}
	for range events {
		w.event()
		w.sleep(w.s.Between(0, 15*time.Second))
		w.revive()
	}
	if err := w.settle(); err != nil {
		w.s.Fail(err)
	}
}

// quietLife lets a stream commit often enough to tidy up behind itself.
func (w *world) quietLife() {
	w.interval = 500 * time.Millisecond
	for range 15 {
		w.produce(1 + w.s.IntN(3))
		w.sleep(time.Second)
	}
}

// running lists the instances that have neither ended nor been killed.
func (w *world) running() []*instance {
	var live []*instance
	for _, i := range w.all {
		if !i.ended && !i.p.Dead() {
			live = append(live, i)
		}
	}
	return live
}

// runs reports whether an instance of the stream is at work.
func (w *world) runs(d *definition) *instance {
	var live []*instance
	for _, i := range w.running() {
		if i.name == d.name {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[w.s.IntN(len(live))]
}

// any is one of the running instances, nil if there is none.
func (w *world) any() *instance {
	live := w.running()
	if len(live) == 0 {
		return nil
	}
	return live[w.s.IntN(len(live))]
}

// one is one of the streams.
func (w *world) one() *definition { return w.streams[w.s.IntN(len(w.streams))] }

// revive starts streams again, sometimes, that do not run, and checks that
// whoever ended had reason to.
func (w *world) revive() {
	w.judge()
	for _, d := range w.streams {
		if w.runs(d) == nil && w.s.Chance(0.7) {
			w.start(d).run()
		}
	}
}

// judge fails the run when an instance has ended that was not allowed to.
func (w *world) judge() {
	for _, i := range w.all {
		switch {
		case !i.ended || i.err == nil || i.p.Dead() || i.ctx.Err() != nil:
		case sqlerror.HasCode(i.err, sqlerror.CodeFenced) && w.rivals(i):
		case sqlerror.HasCode(i.err, sqlerror.CodeDataLoss) && !i.skip:
			// The operator reads the hint.
			for _, d := range w.streams {
				d.skip = true
			}
		case i.limited():
			// The operator looks at the letters, and starts the stream again.
		case sqlerror.IsRetryable(i.err) && i.stream == nil:
			// Opening the lake is tried again by whoever starts the stream.
		default:
			w.s.Fail(fmt.Errorf("%s ends in %s with %w", i.name, i.p.Name(), i.err))
		}
	}
}

// rivals reports whether there was another instance of the same stream.
func (w *world) rivals(i *instance) bool {
	for _, other := range w.all {
		if other != i && other.name == i.name {
			return true
		}
	}
	return false
}

// event lets one thing happen.
func (w *world) event() {
	switch w.s.IntN(20) {
	case 0, 1, 2, 3, 4:
		n := 1 + w.s.IntN(20)
		w.s.Note("produce %d", n)
		w.produce(n)
	case 5, 6:
		w.flush(w.any())
	case 7:
		if i := w.any(); i != nil {
			i.p.Kill()
		}
	case 8:
		if i := w.any(); i != nil && w.s.Chance(0.5) {
			w.s.Note("shut %s down in %s", i.name, i.p.Name())
			i.shutDown()
		} else {
			w.stop(i)
		}
	case 9:
		w.start(w.one()).run()
	case 10:
		if i := w.any(); i != nil {
			d := w.s.Between(time.Second, 5*time.Minute)
			w.s.Note("pause %s for %v", i.p.Name(), d)
			i.p.Pause(d)
		}
	case 11, 12:
		w.storm()
	case 13:
		w.calm()
	case 14:
		w.s.Note("add a partition")
		w.addPartitions(1)
	case 15:
		w.replace(w.one())
	case 16:
		w.upset()
	case 17:
		w.foreign()
	case 18, 19:
		w.replay(w.any())
	}
}

// losePatience shuts a process down that waits for an answer.
func (w *world) losePatience(p *seeded.Process) {
	w.s.Note("shut %s down", p.Name())
	for _, i := range w.all {
		if i.p == p {
			i.shutDown()
		}
	}
}

// upset is what happens rarely.
func (w *world) upset() {
	switch w.s.IntN(5) {
	case 0:
		n := 1 + w.s.IntN(3)
		w.s.Note("create the topic again, with %d partitions", n)
		w.newTopic(n)
	case 1:
		p := w.topic.partitions[w.s.IntN(len(w.topic.partitions))]
		if gone := int64(w.s.IntN(len(p.values) + 1)); gone > p.first {
			w.s.Note("remove records before offset %d", gone)
			p.first = gone
		}
	case 2:
		if i := w.any(); i != nil {
			// Who waits for a time waits for it also when it is put off by this.
			d := w.s.Between(-time.Minute, time.Minute)
			if w.s.Chance(0.3) {
				d = w.s.Between(0, 48*time.Hour)
			}
			w.s.Note("turn the clock of %s by %v", i.p.Name(), d)
			i.p.TurnClock(d)
		}
	case 3:
		w.drop(w.one())
	case 4:
		w.move(w.one())
	}
}

// end stops or kills what runs of a stream, or lets it run on as what nobody
// knows of.
func (w *world) end(d *definition) {
	for _, i := range w.running() {
		if i.name != d.name {
			continue
		}
		switch w.s.IntN(4) {
		case 0:
			w.stop(i)
		case 1:
			i.p.Kill()
		case 2:
			i.shutDown()
		}
	}
}

// replace gives a stream another query.
func (w *world) replace(d *definition) {
	w.s.Note("replace %s", d.name)
	d.version++
	w.end(d)
	w.start(d).run()
}

// drop removes a stream and creates it anew: another life, which reads
// everything again.
func (w *world) drop(d *definition) {
	w.s.Note("drop %s", d.name)
	w.end(d)
	i := w.start(d)
	done := false
	i.p.Go("drop", func() {
		err := i.drop(i.p.Context())
		i.ended, i.err = true, err
		w.s.Note("drop of %s: %v", i.name, err)
		done = true
	})
	w.p.Until(w.p.Context(), "drop", time.Now().Add(5*time.Minute), func() bool { return done || i.p.Dead() })
	if !done {
		i.p.Kill()
	}
	// Who drops a stream gets to see errors, and tries again or not.
	i.err = nil
	w.start(d).run()
}

// move sends a stream to other offsets.
func (w *world) move(d *definition) {
	if w.bounded {
		return
	}
	to := connectors.Positions{}
	for n, p := range w.topic.partitions {
		offset := p.first + int64(w.s.IntN(int(w.topic.end(n)-p.first)+1))
		to[strconv.Itoa(n)] = position{Topic: w.topic.number, Offset: offset}.encode()
	}
	w.s.Note("move %s to %v", d.name, to)
	w.end(d)
	i := w.start(d)
	i.moveTo = to
	i.run()
}

// foreign lets another program commit to a table: a snapshot, a property
// without one, or what tidies up.
func (w *world) foreign() {
	name := []string{tableName, catalog.DeadLetterTable}[w.s.IntN(2)]
	if w.cluster != nil || w.shards != nil {
		name = catalog.DeadLetterTable
	}
	what := w.s.IntN(3)
	h := w.newHost()
	w.s.Note("another program, %s, commits to %s", h.p.Name(), name)
	h.p.Go("main", func() {
		err := w.commitForeign(h, name, what)
		w.s.Note("the other program: %v", err)
	})
}

func (w *world) commitForeign(h *host, name string, what int) error {
	ctx := h.p.Context()
	store := &client{w: w, p: h.p}
	set := func(catalog.Version) (*catalog.Change, error) {
		return &catalog.Change{Set: map[string]string{"foreign": h.p.Name()}}, nil
	}
	if w.hive {
		l, err := hive.Open(hive.Options{Namespace: lakeName, Store: store, Scheduler: h.p, KeepEntries: keepEntries})
		if err != nil {
			return err
		}
		c, err := l.Committer(ctx, name, "foreign")
		if err == nil && what > 0 {
			_, err = c.Update(ctx, true, set)
		}
		if err != nil {
			return err
		}
		return c.Maintain(ctx, 0)
	}
	cat := &connection{s: w.catalog, p: h.p, store: store}
	l, err := iceberg.Open(ctx, iceberg.Options{
		Namespace: lakeName, Store: store, Scheduler: h.p, Catalog: cat, ComparesProperties: !w.catalog.rest,
	})
	if err != nil {
		return err
	}
	defer l.Close()
	if what == 0 {
		t, err := cat.LoadTable(ctx, []string{lakeName, name})
		if err != nil {
			return err
		}
		tx := t.NewTransaction()
		if err := tx.SetProperties(map[string]string{"foreign": h.p.Name()}); err != nil {
			return err
		}
		_, err = tx.Commit(ctx)
		return err
	}
	c, err := l.Committer(ctx, name)
	if err != nil {
		return err
	}
	if what == 1 {
		return c.Maintain(ctx, 0)
	}
	_, err = c.Update(ctx, true, set)
	return err
}

// storm makes the parts misbehave.
func (w *world) storm() {
	parts := []part{theStore, theCatalog, theSource}
	if w.cluster != nil {
		parts = append(parts, theBroker)
	}
	if w.shards != nil {
		parts = append(parts, theShards)
	}
	for _, p := range parts {
		var sky weather
		if w.s.Chance(0.6) {
			for _, chance := range []*float64{&sky.refuse, &sky.lie, &sky.silent, &sky.slow, &sky.tear, &sky.crash} {
				if w.s.Chance(0.4) {
					chances := []float64{0.01, 0.05, 0.2, 0.5}
					if !w.cfg.Long {
						chances = chances[:3]
					}
					*chance = chances[w.s.IntN(len(chances))]
				}
			}
			sky.crash /= 4
			if w.s.Chance(0.1) {
				sky = weather{refuse: 1}
			}
		}
		w.weather[p] = sky
		w.s.Note("weather of the %s: %+v", p, sky)
	}
}

func (w *world) calm() {
	w.s.Note("calm")
	clear(w.weather)
}

// stop asks an instance to commit and end, and gives it some time for it.
func (w *world) stop(i *instance) {
	if i == nil || i.stream == nil {
		return
	}
	w.s.Note("stop %s in %s", i.name, i.p.Name())
	i.p.Go("stop", i.stream.Stop)
	w.p.Until(w.p.Context(), "stopping", time.Now().Add(w.s.Between(0, time.Minute)), func() bool { return i.ended })
}

// ends is how far the topic reaches.
func (w *world) ends() (*topic, []int64) {
	ends := make([]int64, len(w.topic.partitions))
	for n := range ends {
		ends[n] = w.topic.end(n)
	}
	return w.topic, ends
}

// flush asks an instance for what the source holds, and checks that it is in
// the table when the answer comes.
func (w *world) flush(i *instance) {
	if i == nil || i.stream == nil {
		return
	}
	topic, ends := w.ends()
	begun := slices.Clone(i.replays)
	w.s.Note("flush %s in %s", i.name, i.p.Name())
	i.p.Go("flush", func() {
		ctx, cancel := context.WithTimeout(i.p.Context(), 2*time.Minute)
		defer cancel()
		if err := i.stream.Flush(ctx); err != nil {
			w.s.Note("flush: %v", err)
			return
		}
		w.s.Note("flush is done")
		if err := w.reached(i.name, topic, ends); err != nil {
			w.s.Fail(fmt.Errorf("FLUSH returns too early: %w", err))
		}
		for _, id := range begun {
			if r := w.model.replays[id]; r.done < len(r.letters) {
				w.s.Fail(fmt.Errorf("FLUSH returns too early: replay %s has read %d of %d letters", id, r.done, len(r.letters)))
			}
		}
	})
}

// reached checks that a topic is committed up to its ends.
func (w *world) reached(stream string, t *topic, ends []int64) error {
	if w.topic != t {
		return nil // it is gone, and nothing of it left to wait for
	}
	// Since then the stream may have been sent back to where it was before.
	st := w.model.of(stream)
	for n, end := range ends {
		split := strconv.Itoa(n)
		at, ok := st.furthest[split]
		later := false // it came after what this life is to read; an earlier one may have known it
		if w.bounded && st.record != nil {
			_, known := st.record.Positions[sourceName][split]
			later = !known
		}
		switch {
		case end <= t.partitions[n].first, w.bounded && !ok, later, at.finished():
			continue
		case !ok:
			return fmt.Errorf("split %d has no position", n)
		}
		if at.Topic < t.number || at.Topic == t.number && at.Offset < end {
			return fmt.Errorf("split %d is committed up to %v, and held %d records", n, at, end)
		}
	}
	return nil
}

// settle ends the storm and lets every stream catch up, which must succeed in
// time, and checks the tables.
func (w *world) settle() error {
	w.calm()
	w.deadLimit = 0
	for _, i := range w.running() {
		i.p.Resume()
	}
	// Whoever still runs may go on for a while, zombies too, and replays that were
	// asked for begin or are given up.
	w.sleep(w.s.Between(replayPatience, replayPatience+2*time.Minute))
	deadline := time.Now().Add(15 * time.Minute)
	for _, d := range w.streams {
		d.skip = true
		if err := w.catchUp(d, deadline); err != nil {
			return err
		}
		topic, ends := w.ends()
		if err := w.reached(d.name, topic, ends); err != nil {
			return fmt.Errorf("the last FLUSH returns too early: %w", err)
		}
		// What the last epoch left pending is published by the commit that returned
		// before the flush did.
		if err := w.model.allPublished(d.name); err != nil {
			return err
		}
		if err := w.model.allReplayed(d.name); err != nil {
			return err
		}
	}
	return w.check()
}

// allRead checks that a bounded stream that has finished has read all that there
// is to read.
func (w *world) allRead(stream string) error {
	for split, text := range w.model.of(stream).record.Positions[sourceName] {
		at, err := decode(text)
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(split); !at.finished() && (err != nil || n < len(w.topic.partitions)) {
			return fmt.Errorf("%s is finished, and has read split %s up to %v", stream, split, at)
		}
	}
	return nil
}

// catchUp flushes a stream, by whichever instance of it is left in the end.
func (w *world) catchUp(d *definition, deadline time.Time) error {
	var i *instance
	for {
		w.judge()
		if i != nil && i.ended && i.err == nil && w.bounded {
			return w.allRead(d.name)
		}
		if i = w.runs(d); i == nil {
			i = w.start(d)
			i.run()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after many calm minutes %s has not caught up in %s: %w", d.name, i.p.Name(), i.err)
		}
		if i.stream == nil {
			w.sleep(time.Second)
			continue
		}
		done, generation := false, int64(0)
		i.p.Go("last flush", func() {
			if err := i.stream.Flush(i.p.Context()); err != nil {
				w.s.Note("the last flush: %v", err)
				return
			}
			generation = i.stream.Status().Committed.Generation
			done = true
		})
		w.p.Until(w.p.Context(), "last flush", time.Now().Add(time.Minute), func() bool { return done || i.ended })
		switch record := w.model.of(d.name).record; {
		case !done:
		case record != nil && generation == record.Generation:
			return nil
		default:
			// It has nothing to commit and does not know that another one has come and
			// gone, whose replay is not finished perhaps, or that the stream was dropped.
			w.s.Note("shut down %s in %s, which is of generation %d", i.name, i.p.Name(), generation)
			i.shutDown()
			w.p.Until(w.p.Context(), "shutting down", time.Now().Add(time.Minute), func() bool { return i.ended || i.p.Dead() })
		}
	}
}
