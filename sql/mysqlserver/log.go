//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	vitesslog "github.com/dolthub/vitess/go/vt/log"
	"github.com/sirupsen/logrus"
)

// libraryLog is where the protocol libraries' messages go. They log by
// variables of the process, so the server that was started last takes them.
var libraryLog atomic.Pointer[slog.Logger]

// Nothing that the libraries print reaches the terminal, from the first message
// on; the variables are set before anything reads them.
func init() {
	vitesslog.Info, vitesslog.Infof = func(...any) {}, func(string, ...any) {}
	vitesslog.Warning, vitesslog.Warningf = logLine, logLinef
	vitesslog.Error, vitesslog.Errorf = logLine, logLinef
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.WarnLevel)
	logrus.AddHook(logHook{})
}

// adoptLibraryLog sends the libraries' messages to a logger. Most of them repeat
// what the client was told, so they are at level debug.
func adoptLibraryLog(logger *slog.Logger) { libraryLog.Store(logger) }

func logLine(args ...any) { logLibrary(fmt.Sprint(args...)) }

func logLinef(format string, args ...any) { logLibrary(fmt.Sprintf(format, args...)) }

func logLibrary(message string) {
	if logger := libraryLog.Load(); logger != nil {
		logger.Debug(strings.TrimSpace(message), "from", "mysql protocol")
	}
}

type logHook struct{}

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire implements logrus.Hook.
func (logHook) Fire(e *logrus.Entry) error {
	logLibrary(e.Message)
	return nil
}
