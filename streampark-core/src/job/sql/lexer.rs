//! Cuts Flink SQL into words, quoted texts and marks, as Calcite's lexer does in Flink's setting
//! (`Lex.JAVA`): backticks quote names, a quote is escaped by doubling it, a backslash only
//! within `E'…'`, and `//` begins a comment like `--`.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or keyword without quotes, or a number.
    Word,
    /// `'…'`, with whatever prefix stood before it as a word of its own.
    Text,
    /// `` `…` ``.
    Name,
    /// `;`.
    End,
    /// Any other character, and the ends of a hint.
    Mark,
}

/// A token and its bytes. Comments and white space make none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

/// Something that is opened and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub(super) at: usize,
    /// What it is, for people.
    pub(super) what: &'static str,
    pub(super) kind: Option<TokenKind>,
}

/// The tokens of a text, one by one.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// In `SET a = hdfs://host/`, `//` is no comment.
    in_set: bool,
    fresh: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, in_set: false, fresh: true }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Steps over white space and comments. A hint (`/*+ … */`) is no comment.
    fn skip(&mut self) -> Result<(), Unclosed> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") || (trimmed.starts_with("//") && !self.in_set) {
                self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") && !trimmed.starts_with("/*+") {
                let end = trimmed.get(2..).and_then(|inner| inner.find("*/"));
                let Some(end) = end else {
                    return Err(Unclosed { at: self.at, what: "comment", kind: None });
                };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    /// Where the quoted text that begins with `quote` at the start of `text` ends.
    fn quoted(text: &str, quote: char, backslash: bool) -> Option<usize> {
        let mut chars = text.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if backslash && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    return Some(at + c.len_utf8());
                }
            }
        }
        None
    }

    fn token(&mut self, kind: TokenKind, length: usize) -> Option<Result<Token, Unclosed>> {
        let span = self.at..self.at + length;
        self.at = span.end;
        Some(Ok(Token { kind, span }))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(unclosed) = self.skip() {
            self.at = self.text.len();
            return Some(Err(unclosed));
        }
        let rest = self.rest();
        let first = rest.chars().next()?;
        let fresh = std::mem::replace(&mut self.fresh, first == ';');
        if first == ';' {
            self.in_set = false;
            return self.token(TokenKind::End, 1);
        }
        if first == '\'' || first == '`' {
            let escaped = first == '\'' && self.text.get(..self.at).is_some_and(after_e);
            let (kind, what) = match first {
                '`' => (TokenKind::Name, "quoted name (`)"),
                _ => (TokenKind::Text, "text (')"),
            };
            return match Self::quoted(rest, first, escaped) {
                Some(length) => self.token(kind, length),
                None => {
                    let at = std::mem::replace(&mut self.at, self.text.len());
                    Some(Err(Unclosed { at, what, kind: Some(kind) }))
                }
            };
        }
        if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if fresh {
                self.in_set = rest.get(..length).is_some_and(|word| word.eq_ignore_ascii_case("SET"));
            }
            return self.token(TokenKind::Word, length);
        }
        let length = if rest.starts_with("/*+") { 3 } else { first.len_utf8() };
        self.token(TokenKind::Mark, length)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// Whether the text ends in the prefix `E` of a text with backslashes (Flink 2; before, this is
/// never valid).
fn after_e(before: &str) -> bool {
    let mut chars = before.chars().rev();
    matches!(chars.next(), Some('e' | 'E')) && !chars.next().is_some_and(is_word)
}
