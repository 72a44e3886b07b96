package taxi

import "fmt"

// Job is the SQL of what the benchmarks ask for: trips of a file are decoded,
// filtered, and land as zstd Parquet in the stream trips_landed. partitioned is
// the PARTITIONED BY clause or nothing.
func Job(input, partitioned string) string {
	return fmt.Sprintf(`CREATE SOURCE trips (%s) WITH (connector = 'files', path = '%s', format = 'json', mode = 'once');
CREATE STREAM trips_landed %s WITH (compression = 'zstd') AS
SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id, rate_code,
  pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider->>'$.id' AS rider_id,
  CAST(rider->>'$.rating' AS DOUBLE) AS rider_rating, rider->>'$.os' AS rider_os, note
FROM trips WHERE fare > 0;
`, Columns, input, partitioned)
}
