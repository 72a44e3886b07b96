//go:build services && minio

package services_test

import (
	"testing"

	"github.com/leatdb/leat/internal/services"
)

func TestMinIO(t *testing.T) { testS3(t, services.StartMinIO(t)) }
