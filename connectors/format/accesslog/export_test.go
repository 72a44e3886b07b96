package accesslog

// Split gives the fields of a line, for tests.
func Split(line []byte) (texts []string, problem string) {
	fields, problem := split(nil, line)
	for _, f := range fields {
		texts = append(texts, string(line[f.start:f.end]))
	}
	return texts, problem
}
