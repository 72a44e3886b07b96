package simulation_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/engine/dataflow/simulation"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed alone and print its trace")
	seedsFlag = flag.Uint64("seeds", 0, "how many seeds to run; default 100, under the race detector 40")
	fromFlag  = flag.Uint64("from", 1, "the first of them")
	twiceFlag = flag.Uint64("twice", 5, "how many of them to run twice, comparing the traces")
	procsFlag = flag.Uint64("procs", 1, "in how many processes to run them")
	longFlag  = flag.Bool("long", false, "make the runs long, in worse weather")
)

// simulate runs a seed.
func simulate(t *testing.T, cfg simulation.Config) (r simulation.Report) {
	t.Helper()
	t.Run(fmt.Sprint(cfg.Seed), func(t *testing.T) {
		// The Iceberg library draws its ids from there.
		cryptotest.SetGlobalRandom(t, cfg.Seed)
		synctest.Test(t, func(*testing.T) { r = simulation.Run(cfg) })
	})
	return r
}

func TestSimulation(t *testing.T) {
	seeds := *seedsFlag
	if seeds == 0 {
		seeds = 100
		if race {
			seeds = 40
		}
	}
	switch {
	case *seedFlag != 0:
		r := simulate(t, simulation.Config{Seed: *seedFlag, Long: *longFlag})
		_, _ = os.Stdout.Write(r.Trace)
		if r.Err != nil {
			t.Error(r.Err)
		}
	case *procsFlag > 1:
		inProcesses(t, seeds, *procsFlag)
	default:
		simulateAll(t, *fromFlag, seeds)
	}
}

func simulateAll(t *testing.T, first, seeds uint64) {
	var total simulation.Report
	for seed := first; seed < first+seeds; seed++ {
		r := simulate(t, simulation.Config{Seed: seed, Long: *longFlag})
		if r.Err != nil {
			t.Errorf("seed %d: %v\nIt runs again, and prints its trace, by: make sim SEED=%d%s", seed, r.Err, seed, map[bool]string{true: " LONG=1"}[*longFlag])
		}
		if seed < first+*twiceFlag {
			sameAgain(t, seed, r.Trace)
		}
		total.Steps += r.Steps
		total.Calls += r.Calls
		total.Commits += r.Commits
		total.Instances += r.Instances
		total.Fenced += r.Fenced
		total.Limited += r.Limited
		total.Replays += r.Replays
		total.Letters += r.Letters
		total.Virtual += r.Virtual
	}
	fmt.Printf("%d seeds from %d: %d steps, %d calls, %d commits, %d instances, %d of them fenced and %d over the limit of dead letters, %d replays of %d letters, %v of their time\n",
		seeds, first, total.Steps, total.Calls, total.Commits, total.Instances, total.Fenced, total.Limited, total.Replays, total.Letters, total.Virtual.Round(time.Second))
}

// inProcesses deals the seeds out to processes: what the library draws at random
// is the same for all goroutines of one.
func inProcesses(t *testing.T, seeds, processes uint64) {
	share := (seeds + processes - 1) / processes
	var group sync.WaitGroup
	var mu sync.Mutex
	for first := *fromFlag; first < *fromFlag+seeds; first += share {
		group.Go(func() {
			n := min(share, *fromFlag+seeds-first)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestSimulation$", "-test.timeout", "0",
				"-from", fmt.Sprint(first), "-seeds", fmt.Sprint(n), fmt.Sprintf("-long=%t", *longFlag), "-twice", fmt.Sprint((*twiceFlag+processes-1)/processes))
			out, err := cmd.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			for line := range bytes.Lines(out) {
				// The Iceberg library warns of what it could not delete.
				if !bytes.Contains(line, []byte(" Warning: Failed to delete ")) && !bytes.Equal(line, []byte("PASS\n")) {
					fmt.Print(string(line))
				}
			}
			if err != nil {
				t.Errorf("seeds from %d: %v", first, err)
			}
		})
	}
	group.Wait()
}

// sameAgain runs a seed once more and compares the traces.
func sameAgain(t *testing.T, seed uint64, first []byte) {
	t.Helper()
	second := simulate(t, simulation.Config{Seed: seed, Long: *longFlag}).Trace
	if bytes.Equal(first, second) {
		return
	}
	a, b := bytes.Split(first, []byte("\n")), bytes.Split(second, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			t.Errorf("seed %d is another in line %d of its trace when it runs again:\n%s\n%s", seed, i+1, a[i], b[i])
			return
		}
	}
	t.Errorf("seed %d takes %d steps and then %d", seed, len(a), len(b))
}

// TestRules leaves out one rule of the protocol at a time, and expects the
// simulation to notice within 2,000 seeds.
func TestRules(t *testing.T) {
	if race {
		t.Skip("make sim runs this without the race detector")
	}
	const most = 2000
	f := func(name string, cfg simulation.Config) {
		t.Helper()
		for seed := uint64(1); seed <= most; seed++ {
			cfg.Seed = seed
			if r := simulate(t, cfg); r.Err != nil {
				fmt.Printf("without %s seed %d fails: %.200v\n", name, seed, r.Err)
				return
			}
		}
		t.Errorf("without %s %d seeds find nothing wrong", name, most)
	}
	f("the fence", simulation.Config{Rules: protocol.Without(protocol.RuleFence)})
	f("the order", simulation.Config{Rules: protocol.Without(protocol.RuleOrder), Impatient: true})
	f("asking for the outcome", simulation.Config{Rules: protocol.Without(protocol.RuleOutcome)})
	f("finishing what is pending", simulation.Config{Rules: protocol.Without(protocol.RulePending)})
	f("the mark of what is published", simulation.Config{Rules: protocol.Without(protocol.RuleMark)})
	f("the name of an instance", simulation.Config{Rules: protocol.Without(protocol.RuleInstance)})
	f("keeping the files of a commit without an answer", simulation.Config{Rules: protocol.Without(protocol.RuleKeep)})
	f("the marks of what a replay takes", simulation.Config{Rules: protocol.Without(protocol.RuleTaken)})
	f("the requirements of a commit", simulation.Config{Unpinned: true})
	f("one transaction of rows and positions", simulation.Config{Transactions: kafka.Without(kafka.RuleTogether)})
	f("beginning again after a commit that failed", simulation.Config{Transactions: kafka.Without(kafka.RuleBeginAgain)})
	f("waiting for the last transaction", simulation.Config{Transactions: kafka.Without(kafka.RuleAwait)})
	f("waiting for the shards", simulation.Config{Sending: kinesis.Without(kinesis.RuleAcknowledged)})
	f("one record of a key at a time", simulation.Config{Sending: kinesis.Without(kinesis.RuleOneOfKey)})
	f("taking the transactional id", simulation.Config{Unfenced: true})
	f("reading committed positions only", simulation.Config{Uncommitted: true})
	f("the turns of lanes", simulation.Config{Unordered: true})
	f("files of their own for lanes that read the same split", simulation.Config{Mixed: true})
}
