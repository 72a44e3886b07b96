package files

// SetMaxMessages bounds the messages that a source holds until the function that
// it returns is called.
func SetMaxMessages(n int) (restore func()) {
	old := maxMessages
	maxMessages = n
	return func() { maxMessages = old }
}
