//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/sql/sqlerror"
)

// noRoutines are the triggers, stored procedures and events of a database that
// has none: clients list them, and DROP TABLE looks for triggers.
type noRoutines struct{ database string }

// GetTriggers implements gms.TriggerDatabase.
func (n noRoutines) GetTriggers(*gms.Context) ([]gms.TriggerDefinition, error) { return nil, nil }

// CreateTrigger implements gms.TriggerDatabase.
func (n noRoutines) CreateTrigger(*gms.Context, gms.TriggerDefinition) error {
	return gms.ErrTriggersNotSupported.New(n.database)
}

// DropTrigger implements gms.TriggerDatabase.
func (n noRoutines) DropTrigger(_ *gms.Context, name string) error {
	return gms.ErrTriggerDoesNotExist.New(name)
}

// GetStoredProcedure implements gms.StoredProcedureDatabase.
func (n noRoutines) GetStoredProcedure(*gms.Context, string) (gms.StoredProcedureDetails, bool, error) {
	return gms.StoredProcedureDetails{}, false, nil
}

// GetStoredProcedures implements gms.StoredProcedureDatabase.
func (n noRoutines) GetStoredProcedures(*gms.Context) ([]gms.StoredProcedureDetails, error) {
	return nil, nil
}

// SaveStoredProcedure implements gms.StoredProcedureDatabase.
func (n noRoutines) SaveStoredProcedure(*gms.Context, gms.StoredProcedureDetails) error {
	return gms.ErrStoredProceduresNotSupported.New(n.database)
}

// DropStoredProcedure implements gms.StoredProcedureDatabase.
func (n noRoutines) DropStoredProcedure(_ *gms.Context, name string) error {
	return gms.ErrStoredProcedureDoesNotExist.New(name)
}

// GetEvent implements gms.EventDatabase.
func (n noRoutines) GetEvent(*gms.Context, string) (gms.EventDefinition, bool, error) {
	return gms.EventDefinition{}, false, nil
}

// GetEvents implements gms.EventDatabase.
func (n noRoutines) GetEvents(*gms.Context) ([]gms.EventDefinition, any, error) {
	return nil, nil, nil
}

// SaveEvent implements gms.EventDatabase.
func (n noRoutines) SaveEvent(*gms.Context, gms.EventDefinition) (bool, error) {
	return false, gms.ErrEventsNotSupported.New(n.database)
}

// DropEvent implements gms.EventDatabase.
func (n noRoutines) DropEvent(_ *gms.Context, name string) error {
	return gms.ErrEventDoesNotExist.New(name)
}

// UpdateEvent implements gms.EventDatabase.
func (n noRoutines) UpdateEvent(*gms.Context, string, gms.EventDefinition) (bool, error) {
	return false, gms.ErrEventsNotSupported.New(n.database)
}

// UpdateLastExecuted implements gms.EventDatabase.
func (n noRoutines) UpdateLastExecuted(*gms.Context, string, time.Time) error { return nil }

// NeedsToReloadEvents implements gms.EventDatabase.
func (n noRoutines) NeedsToReloadEvents(*gms.Context, any) (bool, error) { return false, nil }

var (
	_ gms.TriggerDatabase         = (*lakeDB)(nil)
	_ gms.StoredProcedureDatabase = (*lakeDB)(nil)
	_ gms.EventDatabase           = (*lakeDB)(nil)
	_ gms.TriggerDatabase         = systemDB{}
	_ gms.StoredProcedureDatabase = systemDB{}
	_ gms.EventDatabase           = systemDB{}
)

// noViews is a database that has no views.
type noViews struct{ database string }

var _ gms.ViewDatabase = systemDB{}

// GetViewDefinition implements gms.ViewDatabase.
func (noViews) GetViewDefinition(*gms.Context, string) (gms.ViewDefinition, bool, error) {
	return gms.ViewDefinition{}, false, nil
}

// AllViews implements gms.ViewDatabase.
func (noViews) AllViews(*gms.Context) ([]gms.ViewDefinition, error) { return nil, nil }

// CreateView implements gms.ViewDatabase.
func (n noViews) CreateView(ctx *gms.Context, _, _, _ string) error {
	return edgeError(ctx, sqlerror.Userf(sqlerror.CodeUnsupported, "views cannot be created in database %s", n.database))
}

// DropView implements gms.ViewDatabase.
func (n noViews) DropView(_ *gms.Context, name string) error {
	return gms.ErrViewDoesNotExist.New(n.database, name)
}
