package engine_test

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/catalog/glue/gluetest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// serveGlue serves a Glue Data Catalog and gives the options that reach it.
func serveGlue(t *testing.T) (*gluetest.Server, string) {
	t.Helper()
	server := &gluetest.Server{}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return server, "catalog = 'glue', catalog_region = 'eu-central-1', access_key_id = 'id', secret_access_key = 'hush', catalog_endpoint = '" + web.URL + "'"
}

func glueColumns(pairs ...string) []any {
	var columns []any
	for i := 0; i < len(pairs); i += 2 {
		columns = append(columns, map[string]any{"Name": pairs[i], "Type": pairs[i+1]})
	}
	return columns
}

// glueTable is a table as a crawler or Athena would register it.
func glueTable(name, location, serde string, columns, keys []any, parameters map[string]any) map[string]any {
	return map[string]any{
		"Name": name, "TableType": "EXTERNAL_TABLE", "PartitionKeys": keys, "Parameters": parameters,
		"StorageDescriptor": map[string]any{
			"Location": location, "Columns": columns,
			"SerdeInfo": map[string]any{"SerializationLibrary": serde, "Parameters": map[string]any{"separatorChar": ","}},
		},
	}
}

// Streams land in Hive folders and Iceberg tables that are in the Glue Data
// Catalog, and tables that others have put there can be read beside them.
func TestGlue_Tables(t *testing.T) {
	dir := t.TempDir()
	server, options := serveGlue(t)
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1,"k":"a","d":"2026-07-01"}`+"\n"+`{"id":2,"k":"b","d":"2026-07-02"}`+"\n")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, `
		CREATE SOURCE f (id INT, k VARCHAR(10), d DATE) WITH (connector = 'files', path = '`+dir+`/in', mode = 'once');
		CREATE SINK Folders WITH (connector = 's3', path = '`+dir+`/folders', table_format = 'hive', commit_interval = '20ms', `+options+`);
		CREATE SINK ice WITH (connector = 's3', path = '`+dir+`/ice', commit_interval = '20ms', `+options+`);
		CREATE STREAM p INTO Folders.trips PARTITIONED BY (k) AS SELECT id, d, k FROM f;
		CREATE STREAM c INTO Folders.lines WITH (format = 'csv') AS SELECT id, d, k FROM f;
		CREATE STREAM j INTO Folders.docs WITH (format = 'json', compression = 'gzip') AS SELECT id, d, k FROM f;
		CREATE STREAM i INTO ice.Rides PARTITIONED BY (k) AS SELECT id, d, k FROM f`)
	for _, stream := range []string{"p", "c", "j", "i"} {
		await(t, db, stream, func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	}
	equal(t, "partitions", server.Partitions("folders", "trips"), "a", "b")
	equal(t, "tables", query(t, db, `SHOW TABLES FROM Folders`), "docs", "lines", "trips")
	equal(t, "tables of Iceberg", query(t, db, `SHOW TABLES FROM ice`), "rides")
	equal(t, "rides", query(t, db, `SELECT id, k FROM ice.Rides ORDER BY id`), "1|a", "2|b")
	if p := server.Table("ice", "rides")["Parameters"].(map[string]any); p["table_type"] != "ICEBERG" || !strings.Contains(p["metadata_location"].(string), "/ice/Rides/metadata/") {
		t.Errorf("parameters of an Iceberg table: %v", p)
	}

	const parquet = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
	folders := "file://" + dir + "/folders"
	for database, table := range map[string]string{"ice": "", "folders": "theirs_"} {
		server.Put(database, glueTable(table+"parquet", folders+"/trips/", parquet, glueColumns("id", "int", "d", "date"), glueColumns("k", "string"), nil),
			map[string]any{"Values": []any{"a"}, "StorageDescriptor": map[string]any{"Location": folders + "/trips/k=a/"}},
			map[string]any{"Values": []any{"b"}, "StorageDescriptor": map[string]any{"Location": folders + "/trips/k=b"}})
		server.Put(database, glueTable(table+"csv", folders+"/lines", "org.apache.hadoop.hive.serde2.OpenCSVSerde",
			glueColumns("id", "int", "d", "string", "k", "string"), nil, map[string]any{"skip.header.line.count": "1"}))
		server.Put(database, glueTable(table+"json", folders+"/docs", "org.openx.data.jsonserde.JsonSerDe", glueColumns("id", "bigint", "d", "date", "k", "varchar(10)"), nil, nil))
		server.Put(database, glueTable(table+"orc", folders+"/x", "org.apache.hadoop.hive.ql.io.orc.OrcSerde", glueColumns("id", "bigint"), nil, nil))
		server.Put(database, glueTable(table+"delta", folders+"/x", parquet, glueColumns("id", "bigint"), nil, map[string]any{"table_type": "delta"}))
		server.Put(database, glueTable(table+"nested", folders+"/x", parquet, glueColumns("id", "struct<a:int>"), nil, nil))
		server.Put(database, map[string]any{"Name": table + "view", "TableType": "VIRTUAL_VIEW"})
		from := database + "." + table
		equal(t, from+"parquet", query(t, db, `SELECT id, CAST(d AS CHAR), k FROM `+from+`parquet ORDER BY id`), "1|2026-07-01|a", "2|2026-07-02|b")
		equal(t, from+"parquet pruned", query(t, db, `SELECT SUM(id) FROM `+from+`parquet WHERE k = 'b'`), "2")
		equal(t, from+"csv", query(t, db, `SELECT id, d, k FROM `+from+`csv ORDER BY id`), "1|2026-07-01|a", "2|2026-07-02|b")
		equal(t, from+"json", query(t, db, `SELECT id, CAST(d AS CHAR), k FROM `+from+`json ORDER BY id`), "1|2026-07-01|a", "2|2026-07-02|b")
		for name, want := range map[string]string{"orc": "OrcSerde", "delta": "its format is delta", "nested": "column id: type struct<a:int> cannot be read", "view": "a view of another engine"} {
			_, err := db.Query(t.Context(), `SELECT * FROM `+from+name)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%s: %v, want %s", from, name, err, want)
			}
		}
	}
	// An Iceberg table of another database, and one that others have made here.
	theirs := server.Table("ice", "rides")
	copied := map[string]any{}
	for key, value := range theirs {
		copied[key] = value
	}
	copied["Name"] = "theirs"
	server.Put("folders", copied)
	equal(t, "Iceberg beside folders", query(t, db, `SELECT COUNT(*) FROM Folders.theirs`), "2")
	if got := strings.Join(query(t, db, `SHOW TABLES FROM Folders`), " "); got != "docs lines theirs theirs_csv theirs_delta theirs_json theirs_nested theirs_orc theirs_parquet theirs_view trips" {
		t.Errorf("SHOW TABLES: %s", got)
	}
	// What cannot be read does not hide the others.
	for _, table := range []string{"leat.commits", "leat.files", "leat.partitions"} {
		if rows := query(t, db, `SELECT COUNT(*) > 0 FROM `+table); len(rows) != 1 || rows[0] != "true" {
			t.Errorf("%s beside tables that cannot be read: %q", table, rows)
		}
	}
	equal(t, "tables of information_schema", query(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'Folders' AND table_name LIKE '%o%' ORDER BY table_name`),
		"docs", "theirs_json", "theirs_orc")
	if rows := query(t, db, `SELECT COALESCE(SUM(table_rows), 0), COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = 'Folders' AND table_name IN ('theirs_delta', 'theirs_nested', 'theirs_orc', 'theirs_view')`); len(rows) != 1 || rows[0] != "0|0" {
		t.Errorf("rows and bytes of tables that cannot be read: %q", rows)
	}
	equal(t, "columns of information_schema", query(t, db, `SELECT column_name FROM information_schema.columns WHERE table_schema = 'Folders' AND table_name = 'docs' ORDER BY ordinal_position`), "id", "d", "k")
	var status []string
	for _, row := range query(t, db, `SHOW TABLE STATUS FROM Folders`) {
		status = append(status, strings.Split(row, "|")[0])
	}
	slices.Sort(status)
	equal(t, "SHOW TABLE STATUS", status, query(t, db, `SHOW TABLES FROM Folders`)...)
	if err := db.Exec(t.Context(), `DROP TABLE Folders.theirs_csv`); err == nil || !strings.Contains(err.Error(), "not made by leat") {
		t.Errorf("DROP TABLE of theirs: %v", err)
	}
	mustExec(t, db, `DROP STREAM p; DROP TABLE Folders.trips`)
	if server.Versions("folders", "trips") != 0 {
		t.Error("a dropped table is still registered")
	}
}

// JSON and delimited text of others mean what Hive and Athena read in them: names
// of members in any case, \N, quotes that are text, other delimiters; what would
// be read otherwise is refused.
func TestGlue_TextOfOthers(t *testing.T) {
	dir := t.TempDir()
	server, options := serveGlue(t)
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, `CREATE SINK g WITH (connector = 's3', path = '`+dir+`/g', table_format = 'hive', `+options+`)`)
	const openx, lazy, csv = "org.openx.data.jsonserde.JsonSerDe", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "org.apache.hadoop.hive.serde2.OpenCSVSerde"
	columns := glueColumns("id", "int", "name", "string", "at", "timestamp")
	n := 0
	read := func(serde string, serdeParameters, parameters map[string]any, file, text string) ([]string, error) {
		t.Helper()
		n++
		folder, table := filepath.Join(dir, strconv.Itoa(n)), "t"+strconv.Itoa(n)
		writeFile(t, filepath.Join(folder, file), text)
		described := glueTable(table, "file://"+folder, serde, columns, nil, parameters)
		described["StorageDescriptor"].(map[string]any)["SerdeInfo"].(map[string]any)["Parameters"] = serdeParameters
		server.Put("g", described)
		if _, err := db.Query(t.Context(), "SELECT * FROM g."+table); err != nil {
			return nil, err
		}
		return query(t, db, "SELECT id, name, name IS NULL, CAST(at AS CHAR) FROM g."+table+" ORDER BY id"), nil
	}
	f := func(serde string, serdeParameters, parameters map[string]any, text string, want ...string) {
		t.Helper()
		got, err := read(serde, serdeParameters, parameters, "part-0", text)
		if err != nil {
			t.Error(err)
			return
		}
		equal(t, strings.Join(want, " "), got, want...)
	}
	type p = map[string]any
	json := `{"ID":1,"Name":"x","AT":"2024-01-01 10:00:00"}` + "\n" + `{"id":2,"name":{"a":1}}` + "\n" + `{"id":3,"NAME":null}` + "\n"
	f(openx, nil, nil, json, `1|x|false|2024-01-01 10:00:00.000000`, `2|{"a":1}|false|NULL`, `3|NULL|true|NULL`)
	f("org.apache.hive.hcatalog.data.JsonSerDe", nil, nil, `{"Id":1}`+"\n", `1|NULL|true|NULL`)
	f(openx, p{"case.insensitive": "false"}, nil, `{"id":1,"Name":"x"}`+"\n", `1|NULL|true|NULL`)
	delimited := "1,a b,2024-01-01 10:00:00\n2,\\N,\n3,\"q\",x,surplus\n4\n5,,\n"
	f(lazy, p{"field.delim": ",", "serialization.format": ","}, nil, delimited,
		`1|a b|false|2024-01-01 10:00:00.000000`, `2|NULL|true|NULL`, `3|"q"|false|NULL`, `4|NULL|true|NULL`, `5||false|NULL`)
	f(lazy, p{"serialization.format": "1"}, nil, "1\x01a,b\n", `1|a,b|false|NULL`)
	f(lazy, p{"field.delim": "\t"}, p{"skip.header.line.count": "2"}, "h\nid\tname\n1\ta\n", `1|a|false|NULL`)
	f(lazy, p{"field.delim": "|", "serialization.null.format": ""}, nil, "1|\n2|b\n", `1|NULL|true|NULL`, `2|b|false|NULL`)
	f(csv, p{"separatorChar": ",", "quoteChar": `"`, "escapeChar": `\`}, p{"skip.header.line.count": "1"}, "id,name,at\n1,\"a,b\",\n", `1|a,b|false|NULL`)

	for want, try := range map[string]func() ([]string, error){
		"mapping": func() ([]string, error) { return read(openx, p{"mapping.at": "time"}, nil, "a", "{}") },
		"escaped": func() ([]string, error) {
			return read(lazy, p{"field.delim": ",", "escape.delim": `\`}, nil, "a", "1\n")
		},
		"2 lines":         func() ([]string, error) { return read(csv, nil, p{"skip.header.line.count": "2"}, "a", "1\n") },
		"separated by":    func() ([]string, error) { return read(csv, p{"separatorChar": ";"}, nil, "a", "1\n") },
		"quoted by":       func() ([]string, error) { return read(csv, p{"quoteChar": "'"}, nil, "a", "1\n") },
		"compressed as b": func() ([]string, error) { return read(lazy, p{"field.delim": ","}, nil, "a.bz2", "1\n") },
	} {
		if rows, err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v, want an error about %s", rows, err, want)
		}
	}
}

// A catalog that refuses is told at CREATE SINK.
func TestGlue_Refused(t *testing.T) {
	dir := t.TempDir()
	server, options := serveGlue(t)
	server.Fault = func(string, int) gluetest.Fault { return gluetest.Denied }
	db := open(t, filepath.Join(dir, "data"))
	for _, format := range []string{"hive", "iceberg"} {
		err := db.Exec(t.Context(), `CREATE SINK s WITH (connector = 's3', path = '`+dir+`/lake', table_format = '`+format+`', `+options+`)`)
		if !sqlerror.HasCode(err, sqlerror.CodeAuth) || !strings.Contains(err.Error(), "glue:GetDatabase") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", format, err)
		}
	}
	for _, with := range []string{"catalog = 'glue', catalog_uri = 'x'", "catalog_endpoint = 'http://x'", "catalog = 'rest', catalog_uri = 'http://x', catalog_region = 'y'"} {
		if err := db.Exec(t.Context(), `CREATE SINK s WITH (connector = 's3', path = '`+dir+`/lake', `+with+`)`); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("%s: %v", with, err)
		}
	}
}
