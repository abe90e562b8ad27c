//! Hides secrets in SQL that people are shown.

use std::ops::Range;

use super::lexer::{Lexer, TokenKind};
use crate::{REDACTED, is_sensitive_key};

/// `sql` in which the values of sensitive options are hidden: `'password' = 'x'` in a `WITH`
/// clause, a hint or a `SET`. Also works on text that was cut off.
pub(super) fn masked(sql: &str) -> String {
    let tokens: Vec<(TokenKind, Range<usize>)> = Lexer::new(sql)
        .map(|token| match token {
            Ok(token) => (token.kind, token.span),
            Err(unclosed) => (unclosed.kind.unwrap_or(TokenKind::Mark), unclosed.at..sql.len()),
        })
        .collect();
    let mut shown = String::with_capacity(sql.len());
    let mut copied = 0;
    for secret in tokens.split(|(kind, _)| *kind == TokenKind::End).flat_map(|statement| secrets(sql, statement)) {
        shown.push_str(sql.get(copied..secret.start).unwrap_or_default());
        shown.push_str(&format!("'{REDACTED}'"));
        copied = secret.end;
    }
    shown.push_str(sql.get(copied..).unwrap_or_default());
    shown
}

/// Where the secrets of one statement are, in order.
fn secrets(sql: &str, statement: &[(TokenKind, Range<usize>)]) -> Vec<Range<usize>> {
    let text = |span: &Range<usize>| sql.get(span.clone()).unwrap_or_default();
    if let [(TokenKind::Word, first), rest @ ..] = statement
        && text(first).eq_ignore_ascii_case("SET")
    {
        // The value may be without quotes, and so of several tokens.
        let mut sides = rest.splitn(2, |(_, span)| text(span) == "=");
        let key: String = sides.next().unwrap_or_default().iter().map(|(_, span)| text(span)).collect();
        let value = sides.next().unwrap_or_default();
        let hidden = value.first().filter(|_| is_sensitive_key(&key)).zip(value.last());
        return hidden.map(|((_, first), (_, last))| first.start..last.end).into_iter().collect();
    }
    let secret = |window: &[(TokenKind, Range<usize>)]| match window {
        [(TokenKind::Text, key), (TokenKind::Mark, equals), (TokenKind::Text, value)]
            if text(equals) == "=" && is_sensitive_key(text(key)) =>
        {
            Some(value.clone())
        }
        _ => None,
    };
    statement.windows(3).filter_map(secret).collect()
}

/// [`masked`], in one line of at most `limit` characters.
pub(super) fn one_line(sql: &str, limit: usize) -> String {
    let line = masked(sql).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_sensitive_options_are_hidden() {
        for (sql, shown) in [
            (
                "CREATE TABLE t (a INT) WITH ('connector' = 'jdbc', 'password' = 'can''ary', 'url' = 'x')",
                "CREATE TABLE t (a INT) WITH ('connector' = 'jdbc', 'password' = '******', 'url' = 'x')",
            ),
            ("SET 's3.secret-key'='canary'", "SET 's3.secret-key'='******'"),
            ("SET s3.secret-key = can-ary.x; SELECT 1", "SET s3.secret-key = '******'; SELECT 1"),
            (
                "SELECT * FROM t /*+ OPTIONS('api-key'='canary') */",
                "SELECT * FROM t /*+ OPTIONS('api-key'='******') */",
            ),
            ("WITH ('properties.sasl.jaas.config' = 'canary goes o", "WITH ('properties.sasl.jaas.config' = '******'"),
            ("SELECT a FROM t WHERE token_count = 3", "SELECT a FROM t WHERE token_count = 3"),
            ("SELECT 'password', 'b' = 'c'", "SELECT 'password', 'b' = 'c'"),
        ] {
            assert_eq!(masked(sql), shown);
        }
        assert_eq!(one_line("SELECT  1\n  FROM t", 12), "SELECT 1 FR…");
    }
}
