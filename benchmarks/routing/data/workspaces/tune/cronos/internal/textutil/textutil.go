// Package textutil has small helpers for text.
package textutil

import "strings"

// Ellipsis cuts a text to at most n runes.
func Ellipsis(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// OneLine joins the lines of a text.
func OneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
