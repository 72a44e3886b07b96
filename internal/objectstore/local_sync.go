package objectstore

import (
	"errors"
	"hash/maphash"
	"os"
	"sync"
)

// folderSyncs lets those who wait for the same folder to be synced share the next
// sync of it: many partitions begin at once in one folder.
type folderSyncs struct {
	sync    func(dir string) error
	seed    maphash.Seed
	running [256]sync.Mutex // by hash of the folder

	mu      sync.Mutex
	waiting map[string]*folderSync // that have not begun
}

type folderSync struct {
	once sync.Once
	err  error
}

var folders = newFolderSyncs(func(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
})

func newFolderSyncs(f func(dir string) error) *folderSyncs {
	return &folderSyncs{sync: f, seed: maphash.MakeSeed(), waiting: map[string]*folderSync{}}
}

// syncFolder makes durable what happened in a folder before the call.
func syncFolder(dir string) error { return folders.wait(dir) }

// wait returns when a sync is done that began after the call.
func (s *folderSyncs) wait(dir string) error {
	s.mu.Lock()
	f := s.waiting[dir]
	if f == nil {
		f = &folderSync{}
		s.waiting[dir] = f
	}
	s.mu.Unlock()
	f.once.Do(func() {
		running := &s.running[maphash.String(s.seed, dir)%uint64(len(s.running))]
		running.Lock()
		defer running.Unlock()
		s.mu.Lock()
		delete(s.waiting, dir) // who comes from now on waits for the next one
		s.mu.Unlock()
		f.err = s.sync(dir)
	})
	return f.err
}
