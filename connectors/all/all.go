// Package all registers every connector and format that Leat has, by importing
// them. The engine imports it, so that a program that embeds the engine gets
// them all.
package all

import (
	_ "github.com/leatdb/leat/connectors/datagen"
	_ "github.com/leatdb/leat/connectors/files"
	_ "github.com/leatdb/leat/connectors/format/json"
	_ "github.com/leatdb/leat/connectors/kafka"
	_ "github.com/leatdb/leat/connectors/lake"
	_ "github.com/leatdb/leat/connectors/push"
)
