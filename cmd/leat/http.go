//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
	"github.com/leatdb/leat/sql/sqlerror"
)

// health is what the HTTP port tells.
type health struct {
	db    *engine.DB
	mysql atomic.Pointer[mysqlserver.Metrics]
}

// serving notes that statements are served.
func (h *health) serving(m *mysqlserver.Metrics) { h.mysql.Store(m) }

// web is the running HTTP port.
type web struct {
	addr   string
	server *http.Server
	done   chan error
}

func startHTTP(addr string, h *health, logger *slog.Logger) (*web, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /metrics", h.metrics)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "listen for HTTP: %w", err).WithHint("give another address with --http, '' for none, or end what listens there")
	}
	w := &web{
		addr:   listener.Addr().String(),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10},
		done:   make(chan error, 1),
	}
	go func() { w.done <- w.server.Serve(listener) }()
	logger.Info("listening for HTTP", "address", w.addr)
	return w, nil
}

func (w *web) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := w.server.Shutdown(ctx)
	if serveErr := <-w.done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if err != nil {
		return fmt.Errorf("close HTTP port: %w", err)
	}
	return nil
}

// ready answers 200 once statements are served and the streams of the catalog
// have started or are retrying.
func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case h.mysql.Load() == nil:
		http.Error(w, "statements are not served yet", http.StatusServiceUnavailable)
	case !h.db.Ready():
		http.Error(w, "streams are starting", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ready")
	}
}
