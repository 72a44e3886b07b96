package kinesis_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A service that hands out credentials and cannot be reached has not said that there
// are none.
func TestExplain_CredentialsThatAreAskedFor(t *testing.T) {
	asked := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRoleWithWebIdentity", Err: syscall.ECONNREFUSED}
	f := func(cause error, want bool) {
		t.Helper()
		err := kinesis.Explain(&smithy.OperationError{ServiceID: "Kinesis", OperationName: "GetRecords",
			Err: fmt.Errorf("get identity: get credentials: failed to refresh cached credentials, failed to retrieve credentials, %w", cause)})
		if got := sqlerror.HasCode(err, sqlerror.CodeAuth); got != want {
			t.Errorf("missing credentials = %v, want %v: %v", got, want, err)
		}
	}
	f(asked, false)
	f(errors.New("no role is given"), true)
}
