package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
)

// logEntry is what the model reads of an entry of a Hive table's log.
type logEntry struct {
	N        int64                `json:"n"`
	Nonce    string               `json:"nonce"`
	Previous string               `json:"previous"`
	State    map[string]string    `json:"state"`
	Summary  map[string]string    `json:"summary"`
	Files    []objectstore.Upload `json:"files"`
}

// logged is told each object that is put; those of logs are commits.
func (m *model) logged(key string, data []byte, by *sender) error {
	table, _, ok := strings.Cut(key, "/_leat/log/")
	if !ok {
		return nil
	}
	var e logEntry
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("entry %s: %w", key, err)
	}
	last := m.logs[table]
	if last == nil {
		last = &logEntry{}
	}
	m.w.s.Note("%s has entry %d", table, e.N)
	if e.N <= last.N {
		// Its number was free again: it must not count, and its writer has to find
		// that out.
		m.w.s.Note("the log has %d", last.N)
		return nil
	}
	if e.N != last.N+1 || e.Previous != last.Nonce {
		return fmt.Errorf("entry %d of %s, after %s, follows entry %d, %s", e.N, table, e.Previous, last.N, last.Nonce)
	}
	m.logs[table] = &e
	c := change{table: table, before: last.State, after: e.State, summary: e.Summary, by: by}
	for _, f := range e.Files {
		if m.uploads[f.ID] {
			return fmt.Errorf("entry %d of %s decides upload %s again", e.N, table, f.ID)
		}
		m.uploads[f.ID] = true
		c.files = append(c.files, fileRef{f.Key, f.ID})
	}
	return m.committed(c)
}

// appears is told each object that an upload becomes: from now on whoever lists
// the folder reads it.
func (m *model) appears(key, upload string) error {
	if !m.uploads[upload] {
		return fmt.Errorf("file %s exists, and no commit has decided it", key)
	}
	return nil
}

// listed is the files that a plain reader of a folder finds.
func (m *model) listed(table string) []fileRef {
	var files []fileRef
	infos, _ := m.w.bucket.list(table+"/", "", 1<<30)
	for _, info := range infos {
		if path.Ext(info.Key) == ".parquet" && !strings.Contains(info.Key, "/_leat/") {
			files = append(files, fileRef{key: info.Key})
		}
	}
	return files
}

// checkFolders compares what a plain reader finds with the model.
func (m *model) checkFolders() error {
	var rows map[row]int
	err := error(nil)
	if m.w.cluster == nil {
		var all []placed
		all, err = m.readRows(m.listed(tableName))
		rows = counted(all)
	} else {
		rows, err = m.w.cluster.readCommitted()
	}
	if err != nil {
		return err
	}
	letters, marks, err := m.readLetters(m.listed(catalog.DeadLetterTable))
	if err != nil {
		return err
	}
	return errors.Join(
		compare("rows in the folder", rows, m.rows),
		compare("letters in the folder", letters, m.published),
		compare("marks in the folder", marks, m.marked),
	)
}
