// Package accesslog decodes the logs that web servers and AWS write: lines of
// fields separated by spaces, with quotes or brackets around those that hold
// spaces themselves. A dash stands for a missing value. Fields that newer
// versions of a service have put behind the known ones are passed over.
package accesslog

import (
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// kind is a ready-made log format.
type kind struct {
	name, doc string
	columns   []column
	// least is how many fields a line has at least.
	least int
	// header is set where a file's first line may name the fields, by the names of
	// columns with - in place of _; there may be columns then that are no part of
	// the default fields, which are the first least ones.
	header bool
}

// column is made of a field of a line, or of a part of it.
type column struct {
	name  string
	typ   types.Type
	field int
	part  part
}

// part is what of a field becomes a column.
type part uint8

const (
	whole    part = iota
	method        // of a request line: "GET /index.html HTTP/1.1"
	path          // the same
	protocol      // the same
	host          // of an address with a port: "10.0.0.1:80"
	port          // the same
)

var (
	text   = types.Type{Kind: types.String, Name: "TEXT"}
	number = types.TypeInt64
	small  = types.Type{Kind: types.Int32}
	double = types.TypeFloat64
	clock  = types.Type{Kind: types.Timestamp, Fsp: 6}
	second = types.Type{Kind: types.Timestamp}
)

var kinds = []*kind{
	{
		name: "combined_log", doc: "Access logs of Apache and nginx: the combined format, and the common one without referer and user agent.",
		least: 7,
		columns: []column{
			{"remote_host", text, 0, whole}, {"ident", text, 1, whole}, {"remote_user", text, 2, whole}, {"time", second, 3, whole},
			{"request", text, 4, whole}, {"method", text, 4, method}, {"path", text, 4, path}, {"protocol", text, 4, protocol},
			{"status", small, 5, whole}, {"bytes", number, 6, whole}, {"referer", text, 7, whole}, {"user_agent", text, 8, whole},
		},
	},
	{
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
		name: "s3_access_log", doc: "Server access logs of Amazon S3.",
		least: 17,
		columns: []column{
			{"bucket_owner", text, 0, whole}, {"bucket", text, 1, whole}, {"time", second, 2, whole}, {"remote_ip", text, 3, whole},
			{"requester", text, 4, whole}, {"request_id", text, 5, whole}, {"operation", text, 6, whole}, {"object_key", text, 7, whole},
			{"request_uri", text, 8, whole}, {"method", text, 8, method}, {"path", text, 8, path}, {"protocol", text, 8, protocol},
			{"http_status", small, 9, whole}, {"error_code", text, 10, whole}, {"bytes_sent", number, 11, whole}, {"object_size", number, 12, whole},
			{"total_time", number, 13, whole}, {"turn_around_time", number, 14, whole}, {"referer", text, 15, whole}, {"user_agent", text, 16, whole},
			{"version_id", text, 17, whole}, {"host_id", text, 18, whole}, {"signature_version", text, 19, whole}, {"cipher_suite", text, 20, whole},
			{"authentication_type", text, 21, whole}, {"host_header", text, 22, whole}, {"tls_version", text, 23, whole},
			{"access_point_arn", text, 24, whole}, {"acl_required", text, 25, whole},
		},
	},
	{
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
		name: "alb_log", doc: "Access logs of AWS Application Load Balancers.",
		least: 17,
		columns: []column{
			{"type", text, 0, whole}, {"time", clock, 1, whole}, {"elb", text, 2, whole},
			{"client_ip", text, 3, host}, {"client_port", small, 3, port}, {"target_ip", text, 4, host}, {"target_port", small, 4, port},
			{"request_processing_time", double, 5, whole}, {"target_processing_time", double, 6, whole}, {"response_processing_time", double, 7, whole},
			{"elb_status_code", small, 8, whole}, {"target_status_code", small, 9, whole}, {"received_bytes", number, 10, whole}, {"sent_bytes", number, 11, whole},
			{"request", text, 12, whole}, {"request_verb", text, 12, method}, {"request_url", text, 12, path}, {"request_proto", text, 12, protocol},
			{"user_agent", text, 13, whole}, {"ssl_cipher", text, 14, whole}, {"ssl_protocol", text, 15, whole}, {"target_group_arn", text, 16, whole},
			{"trace_id", text, 17, whole}, {"domain_name", text, 18, whole}, {"chosen_cert_arn", text, 19, whole}, {"matched_rule_priority", number, 20, whole},
			{"request_creation_time", clock, 21, whole}, {"actions_executed", text, 22, whole}, {"redirect_url", text, 23, whole},
			{"error_reason", text, 24, whole}, {"target_port_list", text, 25, whole}, {"target_status_code_list", text, 26, whole},
			{"classification", text, 27, whole}, {"classification_reason", text, 28, whole}, {"conn_trace_id", text, 29, whole},
		},
	},
	{
		// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
		name: "vpc_flow_log", doc: "Flow logs of Amazon VPC: the default fields, or in files those that the first line names.",
		least: 14, header: true,
		columns: inOrder(
			column{name: "version", typ: small}, column{name: "account_id", typ: text}, column{name: "interface_id", typ: text},
			column{name: "srcaddr", typ: text}, column{name: "dstaddr", typ: text}, column{name: "srcport", typ: small}, column{name: "dstport", typ: small},
			column{name: "protocol", typ: small}, column{name: "packets", typ: number}, column{name: "bytes", typ: number},
			column{name: "start", typ: second}, column{name: "end", typ: second}, column{name: "action", typ: text}, column{name: "log_status", typ: text},
			column{name: "vpc_id", typ: text}, column{name: "subnet_id", typ: text}, column{name: "instance_id", typ: text}, column{name: "tcp_flags", typ: small},
			column{name: "type", typ: text}, column{name: "pkt_srcaddr", typ: text}, column{name: "pkt_dstaddr", typ: text},
			column{name: "region", typ: text}, column{name: "az_id", typ: text}, column{name: "sublocation_type", typ: text}, column{name: "sublocation_id", typ: text},
			column{name: "pkt_src_aws_service", typ: text}, column{name: "pkt_dst_aws_service", typ: text}, column{name: "flow_direction", typ: text},
			column{name: "traffic_path", typ: small}, column{name: "ecs_cluster_arn", typ: text}, column{name: "ecs_cluster_name", typ: text},
			column{name: "ecs_container_instance_arn", typ: text}, column{name: "ecs_container_instance_id", typ: text}, column{name: "ecs_container_id", typ: text},
			column{name: "ecs_second_container_id", typ: text}, column{name: "ecs_service_name", typ: text}, column{name: "ecs_task_definition_arn", typ: text},
			column{name: "ecs_task_arn", typ: text}, column{name: "ecs_task_id", typ: text}, column{name: "reject_reason", typ: text},
			column{name: "resource_id", typ: text}, column{name: "encryption_status", typ: text},
		),
	},
}

// inOrder numbers columns that are fields of their own.
func inOrder(columns ...column) []column {
	for i := range columns {
		columns[i].field = i
	}
	return columns
}

func init() {
	for _, k := range kinds {
		f := &connectors.Format{
			Name: k.name, Doc: k.doc,
			NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return newDecoder(k, c) },
			Infer: func(chunks []*connectors.Chunk, _ connectors.DecoderConfig) (types.Schema, error) {
				return k.schema(chunks), nil
			},
		}
		if k.header {
			f.Layout = func(connectors.Options) (connectors.Layout, error) { return layout{k}, nil }
		}
		connectors.RegisterFormat(f)
	}
}

// Is reports whether name is that of a format of this package.
func Is(name string) bool {
	for _, k := range kinds {
		if k.name == name {
			return true
		}
	}
	return false
}
