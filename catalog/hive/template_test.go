package hive_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// The examples of Firehose's documentation of prefixes and of dynamic
// partitioning give the paths that it says, and the values can be taken from
// them again.
func TestTemplate_Firehose(t *testing.T) {
	at := time.Date(2018, 8, 27, 5, 6, 7, 89e6, time.UTC)
	f := func(template string, names, values []string, want string) {
		t.Helper()
		parsed, err := hive.ParseTemplate(template, names, hive.DataFiles)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			return
		}
		got := parsed.Folder(hive.Place{Values: values, At: at, Random: "5abf82daaa5ffff"})
		if got != want {
			t.Errorf("%s gives %s, want %s", template, got, want)
		}
		if back := parsed.Values(got); !slices.Equal(back, values) {
			t.Errorf("%s: values of %s are %q, want %q", template, got, back, values)
		}
	}
	f("myPrefix/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/", nil, nil, "myPrefix/year=2018/month=08/day=27/hour=05")
	f("!{timestamp:yyyy/MM/dd/HH}", nil, nil, "2018/08/27/05")
	f("myFirehose/DeliveredYear=!{timestamp:yyyy}/anyMonth/rand=!{firehose:random-string}", nil, nil, "myFirehose/DeliveredYear=2018/anyMonth/rand=5abf82daaa5")
	f("!{firehose:random-string}/", nil, nil, "5abf82daaa5")
	f("test_hose/dt=!{timestamp:yyyy'-'MM'-'dd}/h=!{timestamp:HH}/", nil, nil, "test_hose/dt=2018-08-27/h=05")
	f("customer_id=!{partitionKeyFromQuery:customer_id}/device=!{partitionKeyFromQuery:device}/year=!{partitionKeyFromQuery:year}/month=!{partitionKeyFromQuery:month}/day=!{partitionKeyFromQuery:day}/hour=!{partitionKeyFromQuery:hour}/",
		[]string{"customer_id", "device", "year", "month", "day", "hour"}, []string{"1234567890", "mobile", "2019", "08", "09", "20"},
		"customer_id=1234567890/device=mobile/year=2019/month=08/day=09/hour=20")
	f("prefix/!{timestamp:yyyy}-!{timestamp:MM}-!{timestamp:dd}/!{partitionKeyFromQuery:customer_id}/", []string{"customer_id"}, []string{"customer-1234"}, "prefix/2018-08-27/customer-1234")
	f("customer_id=!{partitionKeyFromLambda:customer_id}/year=!{timestamp:yyyy}/", []string{"customer_id"}, []string{"42"}, "customer_id=42/year=2018")
	f("!{partition:customer}/!{timestamp:yyyy/MM/dd}/!{random}", []string{"Customer"}, []string{"a/b=c"}, "a%2Fb%3Dc/2018/08/27/5abf82daaa5")
	f("c-!{partition:c}-!{timestamp:yyyyMMdd}/x", []string{"c"}, []string{"a-20180101"}, "c-a-20180101-20180827/x")
	f("!{partition:c}", []string{"c"}, []string{"_hidden"}, "%5Fhidden")
	f("!{partition:c}", []string{"c"}, []string{".."}, "%2E.")
	f("!{partition:c}/k=!{partition:d}", []string{"c", "d"}, []string{"", ""}, "%5F_HIVE_DEFAULT_PARTITION__/k=__HIVE_DEFAULT_PARTITION__")
	f("!{timestamp:yy-M-d-D-h-k-K-m-s-SSS-a-E-EEEE-MMM-MMMM-Q-QQQ}", nil, nil, "18-8-27-239-5-5-5-6-7-089-AM-Mon-Monday-Aug-August-3-Q3")

	for template, want := range map[string]string{
		"myFirehoseFailures/!{firehose:error-output-type}/":                                                                                 "myFirehoseFailures/processing-failed",
		"myFirehoseFailures/!{firehose:error-output-type}/!{timestamp:yyyy}/anyMonth/!{timestamp:dd}":                                       "myFirehoseFailures/processing-failed/2018/anyMonth/27",
		"myErrorPrefix/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/!{firehose:error-output-type}": "myErrorPrefix/year=2018/month=08/day=27/hour=05/processing-failed",
		"myFirehoseFailures/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}":                                                          "myFirehoseFailures/processing-failed/2018/08/27",
	} {
		errors, err := hive.ParseTemplate(template, nil, hive.ErrorFiles)
		if err != nil {
			t.Fatal(err)
		}
		if got := errors.Folder(hive.Place{At: at, ErrorType: "processing-failed"}); got != want {
			t.Errorf("%s gives %s, want %s", template, got, want)
		}
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	zoned, err := hive.ParseTemplate("!{timestamp:yyyy/MM/dd/HH}", nil, hive.DataFiles)
	if err != nil {
		t.Fatal(err)
	}
	if got := zoned.Folder(hive.Place{At: at.In(tokyo)}); got != "2018/08/27/14" {
		t.Errorf("in Tokyo %s", got)
	}
}

func TestTemplate_Refuses(t *testing.T) {
	f := func(template, want string, columns ...string) {
		t.Helper()
		_, err := hive.ParseTemplate(template, columns, hive.DataFiles)
		if !sqlerror.HasCode(err, sqlerror.CodeBadOption) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", template, err, want)
		}
	}
	f("", "it is empty")
	f("/x", "empty segment")
	f("x//y", "empty segment")
	f("x/_y", "leave such ones out")
	f("x/.y/!{random}", "leave such ones out")
	f("a/../b", "leave such ones out")
	f("x/!{timestamp:yyyy", "a } is missing")
	f("!{timestamp:YYYY}", "write yyyy")
	f("!{timestamp:yyyy-MM-ddTHH}", "write text in quotes")
	f("!{timestamp:yyyy-w}", "w is not known")
	f("!{timestamp:yyyy'x}", "a quote is missing")
	f("!{timestamp:}", "has no letters")
	f("!{time:yyyy}", "is not known (there are !{partition:name}")
	f("!{error-output-type}", "is for error_path")
	f("!{partition:custmer}", "did you mean customer?", "customer")
	f("!{partition:a}", "PARTITIONED BY (expression AS a)")
	f("x/!{timestamp:yyyy}", "partition column a is not in it", "a")
	f("!{partition:a}-!{partition:b}", "tell them apart", "a", "b")
	f("!{partition:a}-!{timestamp:M}", "tell them apart", "a")
	f("x%20y", "should not have")
	if err := hive.CheckTemplate("!{partition:any}/!{partition:other}", hive.DataFiles); err != nil {
		t.Errorf("a template for columns that are not known yet: %v", err)
	}
	if err := hive.CheckTemplate("!{partition:any}", hive.ErrorFiles); err == nil {
		t.Error("a partition of rejected records is accepted")
	}
}

// A partition that lies in one place can be registered there.
func TestTemplate_PartitionFolder(t *testing.T) {
	f := func(template, folders, want string, settled bool, columns ...string) {
		t.Helper()
		parsed, err := hive.ParseTemplate(template, columns, hive.DataFiles)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Settled() != settled {
			t.Errorf("%s: settled %v", template, parsed.Settled())
		}
		if got := parsed.PartitionFolder(folders); settled && got != want {
			t.Errorf("%s: %s, want %s", template, got, want)
		}
	}
	f("a/!{partition:k}/!{timestamp:yyyy}/!{random}", "a/v/2018/x", "a/v", true, "k")
	f("!{partition:k}", "v", "v", true, "k")
	f("a/!{partition:k}/b/!{partition:l}/c", "a/v/b/w/c", "a/v/b/w", true, "k", "l")
	f("!{timestamp:yyyy}/!{partition:k}", "", "", false, "k")
	f("!{partition:k}/!{random}/!{partition:l}", "", "", false, "k", "l")
	f("!{partition:k}-!{timestamp:yyyy}/x", "", "", false, "k")
	f("x/!{timestamp:yyyy}", "x/2018", "", true)
}

// Values that make a folder's name too long are found before they are written.
func TestPathCheck_Template(t *testing.T) {
	schema := types.Schema{{Name: "id", Type: types.TypeInt64}, {Name: "k", Type: types.NewVarchar(400)}}
	template, err := hive.ParseTemplate("customers/of-!{partition:k}-!{timestamp:yyyy}/!{random}", []string{"k"}, hive.DataFiles)
	if err != nil {
		t.Fatal(err)
	}
	check := hive.NewPathCheck(schema, []int{1}, 20, template)
	build := array.NewStringBuilder(memory.DefaultAllocator)
	defer build.Release()
	fits := 255 - len("of--2026") - 2
	for _, n := range []int{1, fits, fits + 1, 300} {
		build.Append(strings.Repeat("x", n))
	}
	build.AppendNull()
	column := build.NewArray()
	defer column.Release()
	var rejected []int32
	check.Check([]arrow.Array{nil, column}, 5, nil, func(row int32, err error) {
		rejected = append(rejected, row)
		if !sqlerror.HasCode(err, sqlerror.CodeOutOfRange) {
			t.Errorf("row %d: %v", row, err)
		}
	})
	if !slices.Equal(rejected, []int32{2, 3}) {
		t.Errorf("rejected rows %v", rejected)
	}
}
