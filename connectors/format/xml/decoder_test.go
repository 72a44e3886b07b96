package xml_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/connectors/format/xml"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A measurement file as 3GPP TS 32.435 lays it out.
const measurements = `<?xml version="1.0" encoding="UTF-8"?>
<!-- of one granularity period -->
<measCollecFile xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec">
  <fileHeader fileFormatVersion="32.435 V10.0" vendorName="Company NN" dnPrefix="DC=a1.companyNN.com,SubNetwork=1,IRPAgent=1">
    <fileSender localDn="SubNetwork=CountryNN,MeContext=MEC-Gbg-1,ManagedElement=RNC-Gbg-1" elementType="RNC"/>
    <measCollec beginTime="2026-03-01T14:00:00+02:00"/>
  </fileHeader>
  <measData>
    <managedElement localDn="SubNetwork=CountryNN,MeContext=MEC-Gbg-1,ManagedElement=RNC-Gbg-1" userLabel="RNC Telecomville"/>
    <measInfo measInfoId="Category A">
      <job jobId="1231"/>
      <granPeriod duration="PT900S" endTime="2026-03-01T14:14:30+02:00"/>
      <repPeriod duration="PT1800S"/>
      <measTypes>attTCHSeizures succTCHSeizures attImmediateAssignProcs succImmediateAssignProcs</measTypes>
      <measValue measObjLdn="RncFunction=RF-1,UtranCell=Gbg-997"><measResults>234 345 567 789</measResults></measValue>
      <measValue measObjLdn="RncFunction=RF-1,UtranCell=Gbg-998"><measResults>890 901 123 234</measResults><suspect>true</suspect></measValue>
    </measInfo>
    <measInfo measInfoId="Category B">
      <granPeriod duration="PT900S" endTime="2026-03-01T14:14:30+02:00"/>
      <measType p="1">attTCHSeizures</measType><measType p="2">succTCHSeizures</measType>
      <measValue measObjLdn="RncFunction=RF-1,UtranCell=Gbg-999"><r p="1">456</r><r p="2">567</r></measValue>
    </measInfo>
  </measData>
  <fileFooter><measCollec endTime="2026-03-01T14:15:00+02:00"/></fileFooter>
</measCollecFile>`

func config(t testing.TB, columns []string, options ...string) connectors.DecoderConfig {
	return formattest.Config(t, "xml", formattest.Schema(t, columns...), options...)
}

var path3GPP = []string{"record_path", "measCollecFile/measData/measInfo", "array_elements", "measValue,r"}

func TestDecoder_3GPP(t *testing.T) {
	c := config(t, []string{"measInfoId TEXT", "measTypes TEXT", "measValue JSON", "granPeriod JSON", "parents JSON"}, path3GPP...)
	c.Fields[3].Path, c.Fields[3].Mode, c.Fields[3].Column = []string{"granPeriod", "@endTime"}, connectors.FieldUnquote, formattest.Schema(t, "end TEXT")[0]
	c.Fields[4].Path, c.Fields[4].Mode, c.Fields[4].Column = []string{"parents", "measData", "managedElement", "@userLabel"}, connectors.FieldUnquote, formattest.Schema(t, "label TEXT")[0]
	for _, rows := range []int{1, 10} {
		formattest.Check(t, formattest.Decode(t, "xml", c, rows, formattest.Messages(measurements)),
			`Category A|attTCHSeizures succTCHSeizures attImmediateAssignProcs succImmediateAssignProcs|`+
				`[{"@measObjLdn":"RncFunction=RF-1,UtranCell=Gbg-997","measResults":"234 345 567 789"},{"@measObjLdn":"RncFunction=RF-1,UtranCell=Gbg-998","measResults":"890 901 123 234","suspect":"true"}]|`+
				`2026-03-01T14:14:30+02:00|RNC Telecomville`,
			`Category B|(null)|[{"@measObjLdn":"RncFunction=RF-1,UtranCell=Gbg-999","r":[{"@p":"1","#text":"456"},{"@p":"2","#text":"567"}]}]|2026-03-01T14:14:30+02:00|RNC Telecomville`)
	}
	schema, err := xml.Infer([]*connectors.Chunk{formattest.Messages(measurements)}, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := formattest.Columns(schema), "measInfoId LONGTEXT, job JSON, granPeriod JSON, repPeriod JSON, measTypes LONGTEXT, measValue JSON, measType JSON, parents JSON"; got != want {
		t.Errorf("inferred %s", got)
	}
}

func TestDecoder_Values(t *testing.T) {
	c := config(t, []string{"id INT NOT NULL", "Name TEXT", "tag JSON", "n JSON", "at TIMESTAMP"}, "record_path", "/list/*")
	formattest.Check(t, formattest.Decode(t, "xml", c, 10, formattest.Messages(
		`<list><a id="1"><name> Z&#252;rich &amp; &lt;co&gt; </name><tag>x</tag><n>5</n></a><b><id>2</id><NAME><![CDATA[<raw>]]></NAME><tag>x</tag><tag><u v="w">t</u>mixed</tag><at>2026-01-02T03:04:05Z</at></b><c id="x"/><d/></list>`,
		`<other><a id="3"/></other>`, " ", "",
		`<x:list xmlns:x="urn:x"><x:a x:id="4"><at/></x:a><a id="5"></list>`,
	)),
		`1|Zürich & <co>|"x"|"5"|(null)`, `2|<raw>|["x",{"u":{"@v":"w","#text":"t"},"#text":"mixed"}]|(null)|2026-01-02T03:04:05Z`, `4|(null)|(null)|(null)|(null)`,
		`field "<c id=\"x\"/>": field id: expected INT, found x: not a number`, `field "<d/>": field id: expected INT NOT NULL, found nothing`,
		`decode "<a id=\"5\"></list>": not XML: element a is closed by </list>`, "3 empty")
}

// What a document declares is not expanded, and what it claims costs no more than
// its bytes.
func TestDecoder_Hostile(t *testing.T) {
	c := config(t, []string{"a TEXT", "parents JSON"}, "record_path", "r/i")
	for _, doc := range []string{
		`<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><r><i><a>&c;</a></i></r>`,
		`<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r><i><a>&x;</a></i></r>`,
		"<r>" + strings.Repeat("<i>", 100_000), "<r>" + strings.Repeat("<x/>", 100_000) + "<i><a>1</a></i></r>",
		"<r><i", "<r></i>", "</r>", "text", "<r/>text", "<r><i>\xff</i></r>", `<?xml version="1.0" encoding="UTF-16"?><r/>`, "<r><i a=1/></r>", "<r><i><a>1</a></r></i>",
	} {
		got := formattest.Decode(t, "xml", c, 10, formattest.Messages(doc))
		if len(got) != 1 || !strings.HasPrefix(got[0], "decode ") {
			t.Errorf("%.60q: %.200q", doc, got)
		}
	}
	// A system identifier is not opened, and does not hurt where it is not used.
	formattest.Check(t, formattest.Decode(t, "xml", c, 10, formattest.Messages(`<!DOCTYPE r SYSTEM "http://127.0.0.1:1/r.dtd"><r><i><a>1</a></i></r>`)), `1|{"r":{}}`)
	c.MaxRecordBytes = 40
	formattest.Check(t, formattest.Decode(t, "xml", c, 10, formattest.Messages(`<r><i><a>`+strings.Repeat("x", 21)+`</a></i></r>`)),
		`too_large "<r><i><a>xxxxxxxxxxxxxxxxxxxxx</a></i></r>": the value has 42 bytes, more than the limit of 40`)
}

func TestOptions(t *testing.T) {
	format, err := connectors.LookupFormat("xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/", "a//b", "a/@b", "x:a"} {
		if _, err := format.Check(format.Spec.MustOptions("record_path", path)); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// FuzzDecode gives any bytes to the decoder: it neither panics nor hangs, and
// gives the same whatever the size of its batches.
func FuzzDecode(f *testing.F) {
	f.Add(measurements)
	f.Add(`<measCollecFile><measData><measInfo measInfoId="1"><measTypes>a</measTypes></measInfo></measData></measCollecFile>`)
	f.Fuzz(func(t *testing.T, doc string) {
		c := config(t, []string{"measInfoId TEXT", "measTypes TEXT", "measValue JSON", "parents JSON"}, path3GPP...)
		one, all := formattest.Decode(t, "xml", c, 1, formattest.Messages(doc)), formattest.Decode(t, "xml", c, 1000, formattest.Messages(doc))
		if len(one) != len(all) {
			t.Errorf("%q, %q", one, all)
		}
	})
}

// BenchmarkDecode takes measurement files apart; MB/s are of XML.
func BenchmarkDecode(b *testing.B) {
	i := strings.Index(measurements, "<measInfo")
	j := strings.LastIndex(measurements, "</measData>")
	doc := measurements[:i] + strings.Repeat(measurements[i:j], 1000) + measurements[j:]
	fields := config(b, []string{"measInfoId TEXT", "measTypes TEXT", "measValue JSON"}, path3GPP...).Fields
	formattest.Benchmark(b, "xml", fields, formattest.Messages(doc), 2000, path3GPP...)
}
