// Package files reads the records of files: one file, a folder or a glob, on a
// local disk or in an S3 bucket, plain or compressed, once or for as long as
// they grow and new ones appear.
//
// A split is a file. Its id is the path relative to the folder (to the fixed
// part of a glob), so that positions survive a move of the whole folder. Its
// position counts bytes after decompression and tells whose bytes they are: of
// a local file by a checksum of those just before it, so that a file that has
// grown, was copied or re-stamped is the same file, one with other content under
// the same name is not; of an object by its ETag. Objects are taken to be
// immutable.
//
// Files that are read and committed leave the positions and are remembered in
// the ledger, at about thirty bytes a file, until forget_after has passed since
// they vanished from the folder. The state of a source thus grows with the
// number of files that lie in its folder, not with those that ever did; with
// listing = 'growing' not even with these.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'files'.
var Connector = &connectors.SourceConnector{
	Name:          "files",
	Doc:           "Records in files, plain or compressed, of a local folder or an S3 bucket: a file, a folder or a glob, read once or tailed.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingLines,
	Unordered:     true,
	FormatDefault: "json",
	Open:          open,
	Check:         check,
	Exclusive:     exclusive,
	Places:        places,
}

// places is the folder that is tailed. Which files a glob leaves out is not
// compared.
func places(o connectors.Options) []string {
	path := o.String("path")
	l, err := objectstore.ParseLocation(path)
	if err != nil || o.String("mode") != "tail" || strings.ContainsAny(path, "*?[") {
		return nil
	}
	place := o.String("endpoint") + l.String() + "/"
	if !o.Bool("recursive") {
		place += "." // what lies in the folder itself, in none below
	}
	return []string{place}
}

func init() { connectors.RegisterSource(Connector) }

var spec = connectors.Spec{
	{Name: "path", Required: true, Identity: true, Doc: "A file, a folder, or a glob with *, ?, [a-z] and ** for any folders. Names that begin with . or _ or end in .tmp are skipped. The same below s3://bucket/."},
	{Name: "mode", Default: "once", Choices: []string{"once", "tail"}, Doc: "Read what is there and finish, or go on with new files and what is appended; tail leaves an unfinished last line until its line break comes. A file is known by its name: one that rotation renames within the path is read again, so let the path exclude rotated names, as in /var/log/app/*.log beside app.log.1."},
	{Name: "compression", Default: "auto", Choices: append([]string{"auto"}, compressions...), Doc: "How files are compressed, lz4 and snappy in their frame formats; 'auto' goes by their first bytes, then by their names."},
	{Name: "order", Default: "name", Choices: []string{"name", "time"}, Doc: "In which order the files are read that are there: by their names, or by when they were modified. Lanes read several at a time."},
	{Name: "on_changed_object", Choices: []string{"fail", "skip", "reread"}, Doc: "What happens when a file that was read is found with other content (one that was only copied, touched or appended to is not): the stream fails, the new content is skipped and noted in leat.commits, or it is read as a new file. Default 'fail' in buckets, where objects are not meant to change, and 'reread' in local folders, where names are used again."},
	{Name: "recursive", Kind: connectors.OptionBool, Default: "true", Doc: "Whether folders below the folder are read too."},
	{Name: "tail_interval", Kind: connectors.OptionDuration, Default: "200ms", Min: int64(time.Millisecond), Doc: "How often files that were read to their end are looked at for more."},
	{Name: "last_line_timeout", Kind: connectors.OptionDuration, Default: "0s", Doc: "How long a tailed file is left alone before its last line counts without a line break; 0s waits for ever."},
	{Name: "forget_after", Kind: connectors.OptionDuration, Default: "7d", Doc: "How long a file that was read is remembered after it has vanished from the folder."},
	{Name: "discovery_interval", Kind: connectors.OptionDuration, Default: "1s", Min: int64(time.Millisecond), Doc: "How often a tailed folder is listed for new files."},
}.With(bucketOptions, connectors.SourceOptions)

const (
	hiddenFile     = "_file"
	hiddenModified = "_modified"
)

var hidden = []connectors.Hidden{
	{Name: hiddenFile, Type: types.TypeText, Doc: "The file's path relative to the folder that is read."},
	{Name: hiddenModified, Type: types.Type{Kind: types.Timestamp, Fsp: 6}, Doc: "When the file was modified last, as of when it was opened."},
}

func open(ctx context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	s, err := newSource(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// exclusive is the queue of notifications: a message goes to one reader, and the
// others find its objects by listing only.
func exclusive(o connectors.Options, _ string) (what, hint string) {
	if !o.Has("notifications") {
		return "", ""
	}
	queue, _, _, err := parseQueue(o.String("notifications"))
	if err != nil {
		return "", "" // opening the source says so
	}
	return "queue " + queue, "make a queue for each stream, which may both subscribe to one SNS topic, and a source that names the second"
}

// check finds out before a stream is made whether there is anything to read.
func check(ctx context.Context, cfg connectors.SourceConfig) (err error) {
	s, err := newSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	if s.messages != nil {
		if err := s.messages.check(ctx); err != nil {
			return err
		}
	}
	path, glob := s.store.path()
	var first []entry
	err = s.store.list(ctx, "", func(e entry) bool {
		first = append(first, e)
		return false
	})
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.store.immutable():
		return sqlerror.Userf(sqlerror.CodeBadOption, "path %s does not exist", path).About("source " + cfg.Name).
			WithHint("paths are those of the machine that Leat runs on; relative ones begin at its working directory")
	case errors.Is(err, fs.ErrPermission):
		return sqlerror.Userf(sqlerror.CodeAuth, "path %s may not be read: %w", path, err).About("source " + cfg.Name)
	case err != nil:
		return err
	case len(first) == 0 && s.once && (glob || s.store.immutable()):
		return sqlerror.Userf(sqlerror.CodeBadOption, "no file matches %s", path).About("source " + cfg.Name).
			WithHint("with mode = 'tail' the source waits for files; names that begin with . or _ or end in .tmp are skipped")
	case len(first) == 0:
		return nil
	}
	f, err := s.store.open(ctx, first[0])
	if err == nil {
		err = errors.Join(f.ready(ctx, 0), f.Close())
	}
	if err != nil && sqlerror.As(err) == nil {
		return sqlerror.Userf(sqlerror.CodeAuth, "%w", fmt.Errorf("open first file: %w", err)).About("source " + cfg.Name)
	}
	return err
}
