// Package files reads lines from local files: one file, a folder or a glob,
// plain or compressed, once or for as long as they grow and new ones appear.
//
// A split is a file. Its id is the path relative to the folder (to the fixed
// part of a glob), so that positions survive a move of the whole folder. Its
// position counts bytes after decompression and carries a checksum of the
// bytes just before it: a file that has grown, was copied or re-stamped is the
// same file, one with other content under the same name is not.
//
// Files that are read and committed leave the positions and are remembered in
// the ledger, at about twenty bytes a file, until forget_after has passed since
// they vanished from the folder. The state of a source thus grows with the
// number of files that lie in its folder, not with those that ever did.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'files'.
var Connector = &connectors.SourceConnector{
	Name:          "files",
	Doc:           "Lines of local files, plain or compressed: a file, a folder or a glob, read once or tailed.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingLines,
	FormatDefault: "json",
	Open:          open,
	Check:         check,
}

func init() { connectors.RegisterSource(Connector) }

var spec = connectors.Spec{
	{Name: "path", Required: true, Doc: "A file, a folder, or a glob with *, ?, [a-z] and ** for any folders. Names that begin with . or _ or end in .tmp are skipped."},
	{Name: "mode", Default: "once", Choices: []string{"once", "tail"}, Doc: "Read what is there and finish, or go on with new files and what is appended; tail leaves an unfinished last line until its line break comes."},
	{Name: "compression", Default: "auto", Choices: []string{"auto", "none", "gzip", "zstd"}, Doc: "How files are compressed; 'auto' goes by their first bytes, then by their names."},
	{Name: "recursive", Kind: connectors.OptionBool, Default: "true", Doc: "Whether folders below the folder are read too."},
	{Name: "tail_interval", Kind: connectors.OptionDuration, Default: "200ms", Min: int64(time.Millisecond), Doc: "How often files that were read to their end are looked at for more."},
	{Name: "last_line_timeout", Kind: connectors.OptionDuration, Default: "0s", Doc: "How long a tailed file is left alone before its last line counts without a line break; 0s waits for ever."},
	{Name: "forget_after", Kind: connectors.OptionDuration, Default: "7d", Doc: "How long a file that was read is remembered after it has vanished from the folder."},
	{Name: "discovery_interval", Kind: connectors.OptionDuration, Default: "1s", Min: int64(time.Millisecond), Doc: "How often a tailed folder is listed for new files."},
}.With(connectors.SourceOptions)

const (
	hiddenFile     = "_file"
	hiddenModified = "_modified"
)

var hidden = []connectors.Hidden{
	{Name: hiddenFile, Type: types.TypeText, Doc: "The file's path relative to the folder that is read."},
	{Name: hiddenModified, Type: types.Type{Kind: types.Timestamp, Fsp: 6}, Doc: "When the file was modified last, as of when it was opened."},
}

func open(_ context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	s, err := newSource(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// check finds out before a stream is made whether there is anything to read.
func check(_ context.Context, cfg connectors.SourceConfig) error {
	s, err := newSource(cfg)
	if err != nil {
		return err
	}
	entries, err := s.location.list()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sqlerror.Userf(sqlerror.CodeBadOption, "path %s does not exist", s.location.path).About("source " + cfg.Name).
			WithHint("paths are those of the machine that Leat runs on; relative ones begin at its working directory")
	case errors.Is(err, fs.ErrPermission):
		return sqlerror.Userf(sqlerror.CodeAuth, "path %s may not be read: %w", s.location.path, err).About("source " + cfg.Name)
	case err != nil:
		return err
	case len(entries) == 0 && s.once && s.location.glob():
		return sqlerror.Userf(sqlerror.CodeBadOption, "no file matches %s", s.location.path).About("source " + cfg.Name).
			WithHint("with mode = 'tail' the source waits for files; names that begin with . or _ or end in .tmp are skipped")
	case len(entries) == 0:
		return nil
	}
	f, err := os.Open(entries[0].path)
	if err != nil {
		return sqlerror.Userf(sqlerror.CodeAuth, "%w", fmt.Errorf("open first file: %w", err)).About("source " + cfg.Name)
	}
	return f.Close()
}
