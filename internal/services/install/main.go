// Command install fetches the services that tests use into the cache folder
// (services.Dir). With names it installs those, else all that are not optional;
// -list prints what there is. It exits with 1 when one could not be installed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/leatdb/leat/internal/services"
)

func main() {
	flag.Usage = func() {
		_, _ = fmt.Fprintln(flag.CommandLine.Output(), "usage: install [-list] [service …]")
		flag.PrintDefaults()
	}
	list := flag.Bool("list", false, "print the services and exit")
	flag.Parse()
	if *list {
		for _, s := range services.All() {
			if s.Optional {
				fmt.Println(s.Name, "(optional)")
			} else {
				fmt.Println(s.Name)
			}
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := install(ctx, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func install(ctx context.Context, names []string) error {
	dir, err := services.Dir()
	if err != nil {
		return err
	}
	fmt.Println("installing into", dir)
	return services.InstallAll(ctx, dir, names, func(s *services.Service, took time.Duration, err error) {
		if err != nil {
			fmt.Printf("%s: failed after %v\n", s.Name, took.Round(100*time.Millisecond))
			return
		}
		fmt.Printf("%s: ready (%v)\n", s.Name, took.Round(100*time.Millisecond))
	})
}
