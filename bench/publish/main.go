// Command publish puts the tables and figures of bench/results into the
// documents that have a place for them.
//
//	go run ./bench/publish
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/leatdb/leat/bench/report"
)

func main() {
	results := flag.String("results", "bench/results", "`directory` of the tables")
	flag.Parse()
	documents := flag.Args()
	if len(documents) == 0 {
		documents = []string{"README.md", "bench/README.md"}
	}
	for _, document := range documents {
		names, err := report.Publish(document, *results)
		if err != nil {
			fmt.Fprintln(os.Stderr, "publish:", err)
			os.Exit(1)
		}
		fmt.Printf("%s: %s\n", document, strings.Join(names, ", "))
	}
}
