//go:build !unix

package main

func terminalWidth(any) int { return defaultWidth }
