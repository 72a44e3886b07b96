// Package query has the queries of Nexmark that keep no state.
package query

import (
	"fmt"

	"github.com/leatdb/leat/bench/nexmark/event"
)

// Query is one of Nexmark's, in Leat's SQL and in DuckDB's, both over the view
// bids.
type Query struct {
	Name, What   string
	Leat, DuckDB string
	// Partitioned is Leat's clause, Partition DuckDB's columns.
	Partitioned, Partition string
	// Sums are aggregates over the result, equal for equal rows.
	Sums string
	Note string
}

// Stream is the name of the stream that Job makes.
const Stream = "result"

// Job is the statements of Leat that run the query over a file of events, into a
// table or, with nothing, into a sink that drops all.
func (q Query) Job(file string, nothing bool) string {
	text := "CREATE SOURCE nexmark (" + event.Columns + ") WITH (connector = 'files', path = '" + file + "', format = 'json', mode = 'once');\n" + leatBid
	if nothing {
		return text + fmt.Sprintf("CREATE SINK nothing WITH (connector = 'blackhole');\nCREATE STREAM %s INTO nothing AS %s;\n", Stream, q.Leat)
	}
	return text + fmt.Sprintf("CREATE STREAM %s %s WITH (compression = 'zstd', compression_level = 1) AS %s;\n", Stream, q.Partitioned, q.Leat)
}

// leatBid is the view of the bids among the events.
const leatBid = `CREATE VIEW bids AS SELECT CAST(bid->>'$.auction' AS SIGNED) AS auction, CAST(bid->>'$.bidder' AS SIGNED) AS bidder,
  CAST(bid->>'$.price' AS SIGNED) AS price, bid->>'$.channel' AS channel, bid->>'$.url' AS url,
  CAST(bid->>'$.dateTime' AS DATETIME(3)) AS date_time, bid->>'$.extra' AS extra FROM nexmark WHERE event_type = 2;
`

// DuckDBBid is the same for DuckDB; %s is the file.
const DuckDBBid = `CREATE VIEW bids AS SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, bid.channel AS channel, bid.url AS url,
  bid."dateTime" AS date_time, bid.extra AS extra
FROM read_json('%s', format = 'newline_delimited', columns = {event_type: 'INTEGER',
  bid: 'STRUCT(auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, "dateTime" TIMESTAMP, extra VARCHAR)'})
WHERE event_type = 2`

// All are the queries in the order of their numbers.
var All = []Query{
	{
		Name: "q0", What: "pass through",
		Leat:   "SELECT auction, bidder, price, date_time, extra FROM bids",
		DuckDB: "SELECT auction, bidder, price, date_time, extra FROM bids",
		Sums:   "COUNT(*), SUM(auction), SUM(bidder), SUM(price), SUM(epoch_ms(date_time)), SUM(length(extra))",
	},
	{
		Name: "q1", What: "currency conversion",
		Leat:   "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bids",
		DuckDB: "SELECT auction, bidder, CAST(0.908 AS DECIMAL(4,3)) * price AS price, date_time, extra FROM bids",
		Sums:   "COUNT(*), SUM(bidder), SUM(CAST(price * 1000 AS BIGINT))",
	},
	{
		Name: "q2", What: "selection",
		Leat:   "SELECT auction, price FROM bids WHERE MOD(auction, 123) = 0",
		DuckDB: "SELECT auction, price FROM bids WHERE auction % 123 = 0",
		Sums:   "COUNT(*), SUM(auction), SUM(price)",
	},
	{
		Name: "q10", What: "log to a partitioned file system",
		Leat:        "SELECT auction, bidder, price, date_time, extra, DATE_FORMAT(date_time, '%Y-%m-%d') AS dt, DATE_FORMAT(date_time, '%H:%i') AS hm FROM bids",
		DuckDB:      "SELECT auction, bidder, price, date_time, extra, strftime(date_time, '%Y-%m-%d') AS dt, strftime(date_time, '%H:%M') AS hm FROM bids",
		Partitioned: "PARTITIONED BY (dt, hm)", Partition: "dt, hm",
		Sums: "COUNT(*), SUM(price), COUNT(DISTINCT dt), COUNT(DISTINCT hm), SUM(CAST(substr(CAST(hm AS VARCHAR), 4, 2) AS INTEGER))",
	},
	{
		Name: "q14", What: "calculation",
		Leat: `SELECT auction, bidder, 0.908 * price AS price, CASE WHEN HOUR(date_time) >= 8 AND HOUR(date_time) <= 18 THEN 'dayTime'
  WHEN HOUR(date_time) <= 6 OR HOUR(date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type, date_time, extra,
  CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', '')) AS c_counts
FROM bids WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
		DuckDB: `SELECT auction, bidder, CAST(0.908 AS DECIMAL(4,3)) * price AS price, CASE WHEN hour(date_time) >= 8 AND hour(date_time) <= 18 THEN 'dayTime'
  WHEN hour(date_time) <= 6 OR hour(date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type, date_time, extra,
  length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM bids WHERE CAST(0.908 AS DECIMAL(4,3)) * price > 1000000 AND CAST(0.908 AS DECIMAL(4,3)) * price < 50000000`,
		Sums: "COUNT(*), SUM(CAST(price * 1000 AS BIGINT)), SUM(c_counts), SUM(length(bid_time_type))",
		Note: "the benchmark's own function count_char is CHAR_LENGTH(extra) − CHAR_LENGTH(REPLACE(extra, 'c', ''))",
	},
	{
		Name: "q21", What: "add the channel's id",
		Leat: `SELECT auction, bidder, price, channel, CASE WHEN LOWER(channel) = 'apple' THEN '0' WHEN LOWER(channel) = 'google' THEN '1'
  WHEN LOWER(channel) = 'facebook' THEN '2' WHEN LOWER(channel) = 'baidu' THEN '3'
  ELSE SUBSTRING_INDEX(REGEXP_SUBSTR(url, '(&|^)channel_id=[^&]*'), '=', -1) END AS channel_id
FROM bids WHERE url REGEXP '(&|^)channel_id=[^&]*' OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
		DuckDB: `SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
  ELSE regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
FROM bids WHERE regexp_matches(url, '(&|^)channel_id=[^&]*') OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
		Sums: "COUNT(*), SUM(price), SUM(CAST(channel_id AS BIGINT))",
		Note: "MySQL has no REGEXP_EXTRACT with a group: the match of REGEXP_SUBSTR is cut at its ="},
	{
		Name: "q22", What: "the url's folders",
		Leat: `SELECT auction, bidder, price, channel, SUBSTRING_INDEX(SUBSTRING_INDEX(url, '/', 4), '/', -1) AS dir1,
  SUBSTRING_INDEX(SUBSTRING_INDEX(url, '/', 5), '/', -1) AS dir2, SUBSTRING_INDEX(SUBSTRING_INDEX(url, '/', 6), '/', -1) AS dir3 FROM bids`,
		DuckDB: "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bids",
		Sums:   "COUNT(*), SUM(price), SUM(hash(dir1 || dir2 || dir3) % 1000)",
		Note:   "SPLIT_INDEX is two SUBSTRING_INDEX in MySQL's SQL",
	},
}
