// Package kafka reads the records of one Kafka topic.
//
// A split is a partition; its id is the partition's number. There is no
// consumer group: positions are Leat's own and are committed with the rows that
// were made of the records. A position names the topic by its id, so that it is
// never applied to another topic of the same name.
package kafka

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'kafka'.
var Connector = &connectors.SourceConnector{
	Name:          "kafka",
	Doc:           "The records of one Kafka topic.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingDocument,
	FormatDefault: "json",
	Open:          open,
	Check:         check,
	Places: func(o connectors.Options) []string {
		if o.String("stop") == "latest" {
			return nil
		}
		return places(o, o.String("topic"))
	},
}

// places names a topic once by each of the brokers.
func places(o connectors.Options, topic string) []string {
	var names []string
	for _, broker := range o.List("brokers") {
		if _, _, err := net.SplitHostPort(broker); err != nil {
			broker = net.JoinHostPort(strings.Trim(broker, "[]"), "9092")
		}
		names = append(names, "kafka://"+strings.ToLower(broker)+"/"+topic)
	}
	return names
}

func init() { connectors.RegisterSource(Connector) }

var spec = connectors.Spec{
	{Name: "brokers", Kind: connectors.OptionList, Required: true, Doc: "Where to find the cluster: host:port, several separated by commas."},
	{Name: "topic", Required: true, Identity: true, Doc: "The topic."},
	{Name: "start", Default: "earliest", Doc: "Where a new stream begins: 'earliest', 'latest', or at the first record from a time on (ISO 8601, or milliseconds since 1970). Partitions that are added later begin at their beginning."},
	{Name: "stop", Default: "never", Choices: []string{"never", "latest"}, Doc: "Whether the source ends where the topic ended when the stream was started first."},
	{Name: "group", Doc: "A name to show beside the source; positions are not kept in a consumer group."},
	{Name: "security_protocol", Default: "plaintext", Choices: []string{"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"}, Doc: "Whether to use TLS and a login."},
	{Name: "sasl_mechanism", Default: "PLAIN", Choices: []string{loginPlain, loginScram256, loginScram512, loginOAuth, loginIAM}, Doc: "How to log in: AWS_MSK_IAM is for Amazon MSK, whose region is that of the brokers' names, or AWS_REGION."},
	{Name: "sasl_username", Doc: "The user of the login."},
	{Name: "sasl_password", Secret: true, Doc: "The password of the login."},
	{Name: "sasl_token", Secret: true, Doc: "The token of OAUTHBEARER, where no server is asked for one."},
	{Name: "oauth2_uri", Doc: "URL that gives tokens for OAUTHBEARER by OAuth2 client credentials."},
	{Name: "oauth2_client_id", Doc: "The OAuth2 client."},
	{Name: "oauth2_client_secret", Secret: true, Doc: "Secret of the OAuth2 client."},
	{Name: "oauth2_scope", Doc: "Scope of the OAuth2 token."},
	{Name: "access_key_id", Doc: "AWS access key of AWS_MSK_IAM; default are the credentials of the environment."},
	{Name: "secret_access_key", Secret: true, Doc: "The secret of access_key_id."},
	{Name: "session_token", Secret: true, Doc: "The session token of access_key_id, where it has one."},
	{Name: "tls_ca", Doc: "The certificates to trust instead of the system's: a PEM file, or its content."},
	{Name: "tls_cert", Doc: "The client's certificate: a PEM file, or its content."},
	{Name: "tls_key", Secret: true, Doc: "The client's private key: a PEM file, or its content."},
	{Name: "tls_server_name", Doc: "The name that the brokers' certificates must have, if not the host's."},
	{Name: "tls_skip_verify", Kind: connectors.OptionBool, Default: "false", Doc: "Whether to accept any certificate."},
	{Name: "isolation", Default: "read_committed", Choices: []string{"read_committed", "read_uncommitted"}, Doc: "Whether records of aborted and unfinished transactions are left out."},
	{Name: "client_id", Doc: "What to call ourselves in the brokers' logs and quotas; default leat-<stream>."},
	{Name: "rack", Doc: "The rack (availability zone) of this machine, to read from the nearest replica."},
	{Name: "fetch_max_wait", Kind: connectors.OptionDuration, Default: "500ms", Min: int64(10 * time.Millisecond), Max: int64(time.Minute), Doc: "How long a broker waits for fetch_min_bytes."},
	{Name: "fetch_min_bytes", Kind: connectors.OptionSize, Default: "1B", Min: 1, Max: 64 << 20, Doc: "How much a broker waits for."},
	{Name: "connect_timeout", Kind: connectors.OptionDuration, Default: "10s", Min: int64(100 * time.Millisecond), Max: int64(10 * time.Minute), Doc: "How long a broker may take to answer a connection or a question."},
}.With(connectors.SourceOptions)

const (
	hiddenKey       = "_key"
	hiddenKeyBytes  = "_key_bytes"
	hiddenTopic     = "_topic"
	hiddenPartition = "_partition"
	hiddenOffset    = "_offset"
	hiddenTimestamp = "_timestamp"
	hiddenHeaders   = "_headers"
)

var hidden = []connectors.Hidden{
	{Name: hiddenKey, Type: types.TypeText, Doc: "The record's key as text; bytes that are no UTF-8 become U+FFFD."},
	{Name: hiddenKeyBytes, Type: types.TypeBlob, Doc: "The record's key, exactly."},
	{Name: hiddenTopic, Type: types.TypeText, Doc: "The topic."},
	{Name: hiddenPartition, Type: types.Type{Kind: types.Int32}, Doc: "The partition."},
	{Name: hiddenOffset, Type: types.TypeInt64, Doc: "The record's offset in its partition."},
	{Name: hiddenTimestamp, Type: types.Type{Kind: types.Timestamp, Fsp: 3}, Doc: "The record's timestamp: when it was made or appended, as the topic is configured."},
	{Name: hiddenHeaders, Type: types.TypeJSON, Doc: `The record's headers as an object of strings; a name that repeats has an array, a value that is no UTF-8 is {"base64": "…"}.`},
}

func open(_ context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	s, err := newSource(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}
