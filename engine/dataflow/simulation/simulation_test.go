package simulation_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/engine/dataflow/simulation"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed alone and print its trace")
	seedsFlag = flag.Uint64("seeds", 150, "how many seeds to run")
	fromFlag  = flag.Uint64("from", 1, "the first of them")
	twiceFlag = flag.Uint64("twice", 5, "how many of them to run twice, comparing the traces")
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
	if *seedFlag != 0 {
		r := simulate(t, simulation.Config{Seed: *seedFlag})
		os.Stdout.Write(r.Trace)
		if r.Err != nil {
			t.Error(r.Err)
		}
		return
	}
	var total simulation.Report
	for seed := *fromFlag; seed < *fromFlag+*seedsFlag; seed++ {
		r := simulate(t, simulation.Config{Seed: seed})
		if r.Err != nil {
			t.Errorf("seed %d: %v\nit runs again, and prints its trace, with: make sim SEED=%d", seed, r.Err, seed)
		}
		if seed < *fromFlag+*twiceFlag {
			sameAgain(t, seed, r.Trace)
		}
		total.Steps += r.Steps
		total.Calls += r.Calls
		total.Commits += r.Commits
		total.Instances += r.Instances
		total.Fenced += r.Fenced
		total.Virtual += r.Virtual
	}
	t.Logf("%d seeds: %d steps, %d calls, %d commits, %d instances, %d of them fenced, in %v of their time",
		*seedsFlag, total.Steps, total.Calls, total.Commits, total.Instances, total.Fenced, total.Virtual)
}

// sameAgain runs a seed once more and compares the traces.
func sameAgain(t *testing.T, seed uint64, first []byte) {
	t.Helper()
	second := simulate(t, simulation.Config{Seed: seed}).Trace
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
// simulation to notice soon.
func TestRules(t *testing.T) {
	const most = 2000
	f := func(name string, cfg simulation.Config) {
		t.Helper()
		for seed := uint64(1); seed <= most; seed++ {
			cfg.Seed = seed
			if r := simulate(t, cfg); r.Err != nil {
				t.Logf("without %s seed %d fails: %v", name, seed, r.Err)
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
}
