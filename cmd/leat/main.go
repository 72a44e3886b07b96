//go:build gms_pure_go && duckdb_arrow

// Command leat is the streaming engine as one binary: a server for MySQL
// clients, a runner for SQL files, a SQL client, a demonstration and a doctor.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // SET time_zone = 'Europe/Paris' needs no files of the system

	_ "github.com/leatdb/leat/cmd/leat/internal/heap"      // the first collection comes late
	_ "github.com/leatdb/leat/cmd/leat/internal/substrait" // comes first of what is not needed
	"github.com/leatdb/leat/sql/sqlerror"
)

// Exit codes, as the documentation promises them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitStream = 3 // a stream is FAILED
	exitFenced = 4 // a stream is FENCED
)

// command is one subcommand.
type command struct {
	name string
	args string // after the flags, for the usage line
	doc  string
	run  func(ctx context.Context, c *cli, args []string) int
}

// commands in the order in which the help lists them. It is filled by init,
// since their functions print the list.
var commands []command

func init() {
	commands = []command{
		{"serve", "", "serve MySQL clients and run the streams", runServe},
		{"run", "FILE.sql…", "execute SQL files and run the streams in the foreground", runRun},
		{"sql", "", "execute statements on a server, or from standard input", runSQL},
		{"demo", "", "show the whole job: events from a broker land and answer SQL", runDemo},
		{"doctor", "", "check brokers, buckets and catalogs, and say what is wrong", runDoctor},
		{"version", "", "print the version", runVersion},
	}
}

// cli is where a command reads and writes.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	// The first signal asks for an orderly end; after it an interrupt kills, for somebody
	// at a terminal who has waited enough. Another SIGTERM does not: timeout(1), for one,
	// sends it to the process and then to its group.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		signal.Reset(os.Interrupt)
	}()
	os.Exit(run(ctx, &cli{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

func run(ctx context.Context, c *cli, args []string) int {
	if len(args) == 0 {
		c.usage(c.stderr)
		return exitUsage
	}
	switch args[0] {
	case "help":
		if len(args) > 1 {
			return run(ctx, c, []string{args[1], "--help"}) // of an unknown command, too, says what is wrong
		}
		c.usage(c.stdout)
		return exitDone
	case "-h", "-help", "--help":
		c.usage(c.stdout)
		return exitDone
	case "-v", "-version", "--version":
		return runVersion(ctx, c, nil)
	}
	i := slices.IndexFunc(commands, func(cmd command) bool { return cmd.name == args[0] })
	if i < 0 {
		names := make([]string, len(commands))
		for i := range commands {
			names[i] = commands[i].name
		}
		fmt.Fprintf(c.stderr, "leat: unknown command %q", args[0])
		if near := sqlerror.Nearest(args[0], names); near != "" {
			fmt.Fprintf(c.stderr, "; did you mean %q?", near)
		}
		fmt.Fprintln(c.stderr, "\nRun 'leat help' for the list.")
		return exitUsage
	}
	return commands[i].run(ctx, c, args[1:])
}

func (c *cli) usage(w io.Writer) {
	fmt.Fprint(w, "Leat is a streaming engine that you speak SQL to.\n\nUsage: leat COMMAND [flags]\n\n")
	for _, cmd := range commands {
		fmt.Fprintf(w, "  %-8s %s\n", cmd.name, cmd.doc)
	}
	fmt.Fprint(w, `
'leat help COMMAND' lists the flags of a command.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a stream FAILED, 4 a stream was
FENCED by a newer generation.
`)
}

// flags makes the flag set of a command.
func (c *cli) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet("leat "+name, flag.ContinueOnError)
	fs.SetOutput(c.stderr)
	i := slices.IndexFunc(commands, func(cmd command) bool { return cmd.name == name })
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "leat %s: %s\n\nUsage: %s\n\n", name, commands[i].doc, strings.TrimSpace("leat "+name+" [flags] "+commands[i].args))
		fs.PrintDefaults()
	}
	return fs
}

// parse reads the flags; done says that the command ends with the code. A mistake is
// said in a line, not above a page of flags.
func (c *cli) parse(fs *flag.FlagSet, args []string) (code int, done bool) {
	usage := fs.Usage
	fs.Usage = func() {}
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	switch {
	case err == nil:
		return 0, false
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(c.stdout)
		usage()
		return exitDone, true
	}
	fmt.Fprintf(c.stderr, "%s: %s\n", fs.Name(), wrongFlag(fs, err))
	return exitUsage, true
}

// wrongFlag is what the flag package says of a mistake; of an unknown flag, with the
// one that may be meant.
func wrongFlag(fs *flag.FlagSet, err error) string {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err.Error()
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if near := sqlerror.Nearest(name, names); near != "" {
		return fmt.Sprintf("unknown flag --%s; did you mean --%s?", name, near)
	}
	return fmt.Sprintf("unknown flag --%s; run '%s --help' for the list", name, fs.Name())
}

// fail prints an error and gives the exit code for it.
func (c *cli) fail(err error) int {
	fmt.Fprintln(c.stderr, "leat:", err)
	if sqlerror.HasCode(err, sqlerror.CodeFenced) {
		return exitFenced
	}
	return exitFailed
}

// envOr is an environment variable, or a fallback where it is not set.
func envOr(name, fallback string) string {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return v
	}
	return fallback
}

// fileList is a flag that may be given several times.
type fileList []string

func (l *fileList) String() string     { return fmt.Sprint([]string(*l)) }
func (l *fileList) Set(s string) error { *l = append(*l, s); return nil }
