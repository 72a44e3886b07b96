// Package sql is Leat's language: tokens with positions, the statements of
// streams, and the spellings that the MySQL parser behind it does not know.
//
// A text takes this way:
//
//   - Split cuts a script into statements (split.go, over the Lexer of token.go).
//   - Parse reads one statement. What is Leat's own becomes a Statement
//     (statement.go, parser.go, control.go, clause.go); what belongs to the MySQL engine,
//     such as SELECT or CREATE VIEW, gives nil.
//   - Statement.Format prints it back for SHOW CREATE and Statement.Normal for
//     comparing definitions (format.go, normalize.go, diff.go).
//   - RewriteQuery turns a SELECT with UNNEST into one that the MySQL parser
//     reads, and remembers where everything came from (rewrite.go, position.go).
//
// Errors are *sqlerror.Error with the position in the user's text, what was
// expected there, and a hint.
package sql
