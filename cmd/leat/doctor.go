//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

func runDoctor(ctx context.Context, c *cli, args []string) int {
	d := &doctor{w: c.stdout, defs: map[string]sql.Definition{}}
	var init fileList
	fs := c.flags("doctor")
	fs.StringVar(&d.dir, "data", envOr("LEAT_DATA", defaultData), "data `directory` (LEAT_DATA)")
	fs.StringVar(&d.mysql, "mysql", envOr("LEAT_MYSQL", defaultMySQL), "`address` that leat serve shall use for MySQL clients (LEAT_MYSQL)")
	fs.StringVar(&d.http, "http", envOr("LEAT_HTTP", defaultHTTP), "`address` that leat serve shall use for HTTP (LEAT_HTTP)")
	fs.Var(&init, "init", "SQL `file` whose sources and sinks are checked too, without executing it; may be given several times")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(c.stderr, "leat doctor: unexpected argument %q; SQL files are given with --init\n", fs.Arg(0))
		return exitUsage
	}
	d.checkClock()
	d.checkDirectory()
	d.checkPorts()
	d.readDefinitions(ctx)
	for _, file := range init {
		d.readFile(file)
	}
	d.checkSystems(ctx)
	d.checkStreams(ctx)
	if ctx.Err() != nil {
		return exitFailed
	}
	if d.failed > 0 {
		fmt.Fprintf(c.stdout, "%d of %d checks failed\n", d.failed, d.checks)
		return exitFailed
	}
	return exitDone
}

// doctor checks what leat needs, a line for each check.
type doctor struct {
	w           io.Writer
	dir         string
	mysql, http string

	checks, failed int
	exists         bool // the data directory
	locked         bool // by another process
	// defs are the definitions to check by lower-case name, names in the order
	// in which they are found; stored says which are in the data directory.
	defs   map[string]sql.Definition
	names  []string
	stored []string
}

func (d *doctor) report(verdict, what, format string, args ...any) {
	d.checks++
	// One line for each, whatever an error has to say.
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	fmt.Fprintf(d.w, "%-4s  %-20s  %s\n", verdict, what, text)
}

func (d *doctor) ok(what, format string, args ...any) { d.report("ok", what, format, args...) }

func (d *doctor) warn(what, format string, args ...any) { d.report("warn", what, format, args...) }

func (d *doctor) fail(what, format string, args ...any) {
	d.failed++
	d.report("FAIL", what, format, args...)
}

// judge reports an error of a system outside, or that there was none.
func (d *doctor) judge(what string, r engine.CheckResult, fine string) {
	switch {
	case r.Err == nil:
		d.ok(what, "%s", fine)
	case sqlerror.IsRetryable(r.Err):
		d.fail(what, "cannot be reached: %v", withoutObject(r.Err))
	default:
		d.fail(what, "%v", withoutObject(r.Err))
	}
	for _, advice := range r.Advice {
		d.warn(what, "%s", advice)
	}
}

// withoutObject is an error without the name of what it is about, which stands
// before it already.
func withoutObject(err error) error {
	var e *sqlerror.Error
	if errors.As(err, &e) && error(e) == err { //nolint:errorlint // only the outermost is looked at
		plain := *e
		plain.Object = ""
		return &plain
	}
	return err
}

// oldest is a time before which no clock that is right can be.
var oldest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// checkClock looks for a clock that was never set, or was set back: commits and
// signatures of requests carry the time.
func (d *doctor) checkClock() {
	now := time.Now()
	if now.Before(oldest) {
		d.fail("clock", "it says %s; set it, for instance by NTP", now.UTC().Format(time.RFC3339))
		return
	}
	newest, file := time.Time{}, ""
	entries, _ := os.ReadDir(d.dir) // there may be none yet
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
			newest, file = info.ModTime(), e.Name()
		}
	}
	if ahead := newest.Sub(now); ahead > time.Minute {
		d.warn("clock", "it says %s, and %s in the data directory was written %s later; the clock was set back, or was wrong then", now.UTC().Format(time.RFC3339), file, ahead.Round(time.Second))
		return
	}
	d.ok("clock", "%s", now.UTC().Format(time.RFC3339))
}

// How much space a data directory should have, and how little is too little.
const (
	plentyBytes = 1 << 30
	scantBytes  = 100 << 20
)

func (d *doctor) checkDirectory() {
	const what = "data directory"
	if dir, err := filepath.Abs(d.dir); err == nil {
		d.dir = dir
	}
	info, err := os.Stat(d.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := d.dir
		for errors.Is(err, fs.ErrNotExist) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
			_, err = os.Stat(parent)
		}
		if err := tryWriting(parent); err != nil {
			d.fail(what, "%s does not exist and cannot be made: %v", d.dir, err)
			return
		}
		d.warn(what, "%s does not exist yet; leat serve makes it", d.dir)
		d.checkSpace(parent)
		return
	case err != nil:
		d.fail(what, "%v", err)
		return
	case !info.IsDir():
		d.fail(what, "%s is a file; name a directory with --data", d.dir)
		return
	}
	d.exists = true
	if err := tryWriting(d.dir); err != nil {
		d.fail(what, "%s cannot be written: %v; give the user who runs leat the right to", d.dir, err)
	} else {
		d.ok(what, "%s can be written", d.dir)
	}
	d.checkSpace(d.dir)
	d.checkLock()
}

// tryWriting makes a file and removes it.
func tryWriting(dir string) error {
	f, err := os.CreateTemp(dir, ".leat-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("doctor")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (d *doctor) checkSpace(dir string) {
	const what = "disk space"
	free, err := freeBytes(dir)
	switch {
	case err != nil:
		d.warn(what, "it cannot be found out: %v", err)
	case free < scantBytes:
		d.fail(what, "%s are free; commits will fail, make room", size(free))
	case free < plentyBytes:
		d.warn(what, "only %s are free", size(free))
	default:
		d.ok(what, "%s are free", size(free))
	}
}

// checkLock finds out whether another process has the directory open. It leaves
// no lock file where there was none.
func (d *doctor) checkLock() {
	const what = "lock"
	path := filepath.Join(d.dir, "lock")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		d.ok(what, "nobody has ever opened the directory")
		return
	}
	lock := flock.New(path)
	got, err := lock.TryLock()
	switch {
	case err != nil:
		d.fail(what, "%v", err)
	case got:
		_ = lock.Unlock() // the process's end does it too
		d.ok(what, "no process has the directory open")
	default:
		d.locked = true
		d.warn(what, "a running leat has the directory open; what it does is seen in SHOW STREAMS, here its definitions are checked")
	}
}

// checkPorts finds out whether leat serve could listen.
func (d *doctor) checkPorts() {
	if d.locked {
		return // by that process, most likely
	}
	for _, p := range []struct{ what, addr, flag string }{{"MySQL port", d.mysql, "--mysql"}, {"HTTP port", d.http, "--http"}} {
		if p.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			d.warn(p.what, "leat serve could not listen: %v; name another with %s", err, p.flag)
			continue
		}
		_ = l.Close() // nobody has connected
		d.ok(p.what, "%s is free", p.addr)
	}
}

// readDefinitions reads what the data directory holds.
func (d *doctor) readDefinitions(ctx context.Context) {
	const what = "definitions"
	path := filepath.Join(d.dir, "leat.db")
	if _, err := os.Stat(path); err != nil {
		if d.exists {
			d.ok(what, "there are none yet")
		}
		return
	}
	store, err := catalog.Open(path)
	if err != nil {
		d.fail(what, "%v", err)
		return
	}
	defer func() { _ = store.Close() }() // it was read only
	objects, err := store.List(ctx, "")
	if err != nil {
		d.fail(what, "%v", err)
		return
	}
	kinds := map[sql.Kind]int{}
	for _, o := range objects {
		stmt, err := sql.ParseStored(o.Definition)
		def, ok := stmt.(sql.Definition)
		if err != nil || !ok {
			d.fail(what, "that of %s %s cannot be read: %v", o.Kind, o.Name, err)
			continue
		}
		d.add(def)
		kinds[sql.Kind(o.Kind)]++
		if sql.Kind(o.Kind) == sql.KindStream {
			d.stored = append(d.stored, o.Name)
		}
	}
	d.ok(what, "%d sources, %d sinks, %d streams", kinds[sql.KindSource], kinds[sql.KindSink], kinds[sql.KindStream])
}

func (d *doctor) add(def sql.Definition) {
	kind, name := def.Object()
	key := strings.ToLower(name.Name)
	if kind == sql.KindSecret {
		key = "secret " + key // others may have the same name
	}
	if _, known := d.defs[key]; !known {
		d.names = append(d.names, key)
	}
	d.defs[key] = def
}

// readFile reads the definitions of a file for --init.
func (d *doctor) readFile(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		d.fail("file "+file, "%v", err)
		return
	}
	statements, err := sql.Split(string(text), file)
	if err != nil {
		d.fail("file "+file, "%v", err)
		return
	}
	found, wrong := 0, 0
	for _, s := range statements {
		stmt, err := sql.Parse(s.Text, s.Pos)
		if err != nil {
			d.fail("file "+file, "%v", err)
			wrong++
			continue
		}
		if def, ok := stmt.(sql.Definition); ok {
			d.add(def)
			found++
		}
	}
	if wrong == 0 {
		d.ok("file "+file, "%d definitions", found)
	}
}

// checkSystems asks brokers, buckets and catalogs.
func (d *doctor) checkSystems(ctx context.Context) {
	if d.exists {
		r := engine.CheckLake(ctx, d.dir)
		d.judge("sink "+r.Name, r, "the embedded lake can be written")
	}
	defs := make([]sql.Definition, len(d.names))
	for i, name := range d.names {
		defs[i] = d.defs[name]
	}
	for _, r := range engine.Check(ctx, d.dir, defs) {
		fine := "it can be read"
		if r.Kind == sql.KindSink {
			fine = "it can be written"
			def, ok := d.defs[strings.ToLower(r.Name)].(*sql.CreateSink)
			if ok && slices.ContainsFunc(def.Options, func(o sql.Option) bool { return o.Name == "connector" && o.Value == "s3" }) {
				fine += ", and its catalog answers"
			}
		}
		d.judge(string(r.Kind)+" "+r.Name, r, fine)
	}
}

// checkStreams finds out whether the streams still fit what they refer to: by
// planning those of the data directory, where it is not in use, and by the names
// that the others use.
func (d *doctor) checkStreams(ctx context.Context) {
	planned := map[string]bool{}
	if len(d.stored) > 0 && d.exists && !d.locked {
		db, err := engine.Open(ctx, engine.Config{Dir: d.dir, Paused: true})
		if err != nil {
			d.fail("streams", "%v", err)
			return
		}
		for _, name := range d.stored {
			def := d.defs[strings.ToLower(name)]
			if def == nil {
				continue
			}
			err := db.Exec(ctx, "EXPLAIN "+def.Format(nil))
			if err != nil {
				d.fail("stream "+name, "%v", withoutObject(err))
			} else {
				d.ok("stream "+name, "it fits its source and its table")
			}
			planned[strings.ToLower(name)] = true
		}
		if err := db.Close(); err != nil {
			d.fail("streams", "%v", err)
		}
	}
	for _, name := range d.names {
		stream, ok := d.defs[name].(*sql.CreateStream)
		if !ok || planned[name] {
			continue
		}
		sink, _ := stream.Target()
		if _, ok := d.defs[strings.ToLower(sink)].(*sql.CreateSink); !ok && !strings.EqualFold(sink, sql.DefaultSink) {
			d.fail("stream "+stream.Name.Name, "there is no sink %s%s", sink, d.nearestSink(sink))
		}
	}
}

func (d *doctor) nearestSink(name string) string {
	var sinks []string
	for _, n := range d.names {
		if def, ok := d.defs[n].(*sql.CreateSink); ok {
			sinks = append(sinks, def.Name.Name)
		}
	}
	slices.Sort(sinks)
	if near := sqlerror.Nearest(name, append(sinks, sql.DefaultSink)); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; CREATE SINK makes one"
}
