//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"errors"
	"reflect"

	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
)

// sent notes whether a client has been sent the columns of a result.
type sent struct {
	send  mysql.ResultSpoolFn
	begun bool
}

func (s *sent) rows(r *sqltypes.Result, more bool) error {
	s.begun = s.begun || len(r.Fields) > 0
	return s.send(r, more)
}

// end tells the client of an error behind its first rows, which the library would
// end the connection for without a word. The connection still ends, but the
// client knows why.
func (s *sent) end(c *mysql.Conn, err error) error {
	var e *mysql.SQLError
	if !s.begun || !errors.As(err, &e) {
		return err
	}
	// The library keeps the number of the next packet to itself.
	sequence := reflect.ValueOf(c).Elem().FieldByName("sequence")
	if sequence.Kind() != reflect.Uint8 || c.FlushBuffer() != nil {
		return err
	}
	// Who is gone does not ask why.
	_, _ = c.Conn.Write(errorPacket(byte(sequence.Uint()), uint16(e.Num), e.State, e.Message[:min(len(e.Message), longestShown)]))
	return err
}
