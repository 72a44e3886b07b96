package awssecrets_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/connectors"
	_ "github.com/leatdb/leat/connectors/awssecrets"
	"github.com/leatdb/leat/sql/sqlerror"
)

// serve answers as Secrets Manager does.
func serve(t *testing.T, secrets map[string]string) *atomic.Int64 {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var in struct {
			SecretID string `json:"SecretId"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("request %s: %v", r.Header.Get("X-Amz-Target"), err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		text, ok := secrets[in.SecretID]
		if !ok {
			code := "ResourceNotFoundException"
			if in.SecretID == "forbidden" {
				code = "AccessDeniedException"
			}
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no"})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"Name": in.SecretID, "SecretString": text})
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	return &asked
}

// runs counts those of TestReference: what one has asked for is kept for the next, which
// therefore asks for others.
var runs atomic.Int64

func TestReference(t *testing.T) {
	run := fmt.Sprint(runs.Add(1))
	plain, object := "plain"+run, "object"+run
	asked := serve(t, map[string]string{plain: "hush", object: `{"user":"ada","password":"hush","port":5432}`})
	f := func(value, want string) {
		t.Helper()
		if got, err := connectors.Expand(value); err != nil || got != want {
			t.Errorf("Expand(%s) = %q, %v, want %q", value, got, err, want)
		}
	}
	f("${aws-secret:"+plain+"}", "hush")
	f(strings.ReplaceAll("${aws-secret:?#user}:${aws-secret:?#password}@db:${aws-secret:?#port}", "?", object), "ada:hush@db:5432")
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times for two secrets", n)
	}
	bad := func(value, want string, code sqlerror.Code) {
		t.Helper()
		_, err := connectors.Expand(value)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || !sqlerror.HasCode(err, code) {
			t.Errorf("Expand(%s): %v, want %s", value, err, want)
		}
	}
	bad("${aws-secret:"+object+"#no}", "AWS secret "+object+" has no key no", sqlerror.CodeBadOption)
	bad("${aws-secret:"+plain+"#user}", "AWS secret "+plain+" is no JSON object", sqlerror.CodeBadOption)
	bad("${aws-secret:none}", "there is no AWS secret none", sqlerror.CodeUnknownObject)
	bad("${aws-secret:forbidden}", "AccessDeniedException", sqlerror.CodeAuth)
	bad("${aws-secret:#user}", "names no secret", sqlerror.CodeBadOption)
}
