//go:build services

package services_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

func TestMySQLClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), services.MySQLClient(t), "--no-defaults", "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "MariaDB") {
		t.Errorf("mariadb --version: %v\n%s", err, out)
	}
}
