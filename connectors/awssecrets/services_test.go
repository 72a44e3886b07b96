//go:build services

package awssecrets_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/services"
)

// TestReference_Moto reads secrets that the AWS SDK has stored in moto.
func TestReference_Moto(t *testing.T) {
	moto := services.StartMoto(t)
	client := secretsmanager.New(secretsmanager.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(moto.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	})
	out, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("leat/kafka"), SecretString: aws.String(`{"password":"hush"}`)})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto.Endpoint)
	t.Setenv("AWS_REGION", "us-east-1") // the ARN says where it is
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	for reference, want := range map[string]string{"${aws-secret:" + *out.ARN + "#password}": "hush", "${aws-secret:" + *out.ARN + "}": `{"password":"hush"}`} {
		if got, err := connectors.Expand(reference); err != nil || got != want {
			t.Errorf("%s = %q, %v", reference, got, err)
		}
	}
	if _, err := connectors.Expand("${aws-secret:none}"); err == nil {
		t.Error("a secret that does not exist was found")
	}
}
