package services

import (
	"context"
	"time"
)

// Command is a command for StartProcess.
type Command struct {
	Name, Program string
	Args          []string
	Ready         func(ctx context.Context, log []byte) error
}

// StartProcess starts a program that is no service of this package.
func StartProcess(t TB, c Command) *Process {
	return start(t, command{name: c.Name, program: c.Program, args: c.Args, ready: c.Ready})
}

// InstallWithPauses is Install with other pauses between the attempts.
func (s *Service) InstallWithPauses(ctx context.Context, cache string, pauses ...time.Duration) error {
	return s.install(ctx, cache, time.Minute, pauses)
}

// InstallWithin is Install with two attempts that are ended after limit.
func (s *Service) InstallWithin(ctx context.Context, cache string, limit time.Duration) error {
	return s.install(ctx, cache, limit, []time.Duration{0})
}
