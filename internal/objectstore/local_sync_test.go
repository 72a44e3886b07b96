package objectstore

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// TestFolderSyncs_Share lets many wait for one folder while a sync of it is
// running: they share one more.
func TestFolderSyncs_Share(t *testing.T) {
	const waiting = 50
	errLast := errors.New("the last one fails")
	begun, proceed := make(chan struct{}), make(chan struct{})
	var syncs atomic.Int32
	s := newFolderSyncs(func(string) error {
		if syncs.Add(1) == 1 {
			close(begun)
			<-proceed
			return nil
		}
		return errLast
	})
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.wait("a"); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	<-begun
	var ready sync.WaitGroup
	for range waiting {
		ready.Add(1)
		group.Go(func() {
			s.mu.Lock()
			ready.Done()
			s.mu.Unlock()
			if err := s.wait("a"); !errors.Is(err, errLast) {
				t.Errorf("err=%v, want that of a sync that began later", err)
			}
		})
	}
	ready.Wait()
	close(proceed)
	group.Wait()
	// Those that were late for the second share a third, and so on.
	if n := syncs.Load(); n < 2 || n > waiting+1 {
		t.Errorf("%d syncs", n)
	}
}

// TestFolderSyncs_OrderKept finds what each caller did before its call done in
// the sync that it waited for.
func TestFolderSyncs_OrderKept(t *testing.T) {
	var made, synced atomic.Int64
	s := newFolderSyncs(func(string) error {
		n := made.Load()
		for old := synced.Load(); old < n && !synced.CompareAndSwap(old, n); old = synced.Load() {
		}
		return nil
	})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				mine := made.Add(1)
				if err := s.wait("a"); err != nil || synced.Load() < mine {
					t.Errorf("synced up to %d, want %d: %v", synced.Load(), mine, err)
				}
			}
		})
	}
	group.Wait()
}
