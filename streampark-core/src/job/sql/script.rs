//! A script, cut into statements and checked as far as that can be done without Flink.

use std::fmt;
use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};
use super::mask;
use crate::{Error, ErrorKind, Result};

/// What a statement does, by its leading keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatementKind {
    /// `SET 'key' = 'value'`.
    Set,
    /// `RESET`, `RESET 'key'`.
    Reset,
    /// `INSERT INTO`, `INSERT OVERWRITE`, also after `EXECUTE`.
    Insert,
    /// `EXECUTE STATEMENT SET BEGIN … END`, whole.
    StatementSet,
    /// `BEGIN STATEMENT SET`, as the SQL shell writes it.
    Begin,
    /// `END` of what [`Begin`](Self::Begin) began.
    End,
    /// `CREATE …` except of a table from a query.
    Create,
    /// `CREATE TABLE … AS`, `REPLACE TABLE … AS`: writes data, so it is a job.
    CreateTableAs,
    /// `ALTER …`.
    Alter,
    /// `DROP …`.
    Drop,
    /// `USE …`.
    Use,
    /// `LOAD MODULE`, `UNLOAD MODULE`.
    Module,
    /// `ADD JAR`, `REMOVE JAR`.
    Jar,
    /// `SELECT`, `WITH`, `VALUES`, `TABLE` or a parenthesis: its result has no place in a job.
    Query,
    /// `SHOW`, `DESCRIBE`, `EXPLAIN`: an answer for a person.
    Ask,
    /// `UPDATE`, `DELETE`, `TRUNCATE`, `ANALYZE`, `CALL`: a job of its own.
    Change,
    /// `EXECUTE PLAN`, `COMPILE AND EXECUTE PLAN`: a job of its own.
    Plan,
    /// `QUIT`, `CLEAR`, `HELP`, `STOP JOB` and the like: commands of the SQL shell.
    Shell,
    /// Anything else; Flink decides.
    Other,
}

impl StatementKind {
    /// Whether the statement starts a job by itself, or a part of one.
    pub fn starts_job(self) -> bool {
        matches!(self, Self::Insert | Self::StatementSet | Self::CreateTableAs | Self::Change | Self::Plan)
    }

    fn of(words: &[String], next: Option<&str>) -> Self {
        let word = |position: usize| words.get(position).map_or("", String::as_str);
        match (word(0), word(1)) {
            ("SET", _) => Self::Set,
            ("RESET", _) => Self::Reset,
            ("INSERT", _) | ("EXECUTE", "INSERT") => Self::Insert,
            ("EXECUTE", "STATEMENT") => Self::StatementSet,
            ("EXECUTE", "PLAN") => Self::Plan,
            ("EXECUTE", "SELECT" | "WITH" | "VALUES" | "") => Self::Query,
            ("COMPILE", "AND") => Self::Plan,
            ("BEGIN", "STATEMENT") => Self::Begin,
            ("END", _) => Self::End,
            ("CREATE" | "REPLACE", _) => {
                let head = words.iter().take(4).any(|word| word == "TABLE");
                if head && words.iter().any(|word| word == "AS") { Self::CreateTableAs } else { Self::Create }
            }
            ("ALTER", _) => Self::Alter,
            ("DROP", _) => Self::Drop,
            ("USE", _) => Self::Use,
            ("LOAD" | "UNLOAD", _) => Self::Module,
            ("ADD" | "REMOVE", "JAR") => Self::Jar,
            ("SELECT" | "WITH" | "VALUES" | "TABLE", _) => Self::Query,
            ("SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN", _) => Self::Ask,
            ("UPDATE" | "DELETE" | "TRUNCATE" | "ANALYZE" | "CALL", _) => Self::Change,
            ("QUIT" | "EXIT" | "CLEAR" | "HELP" | "SOURCE" | "STOP", _) => Self::Shell,
            ("", _) if next == Some("(") => Self::Query,
            _ => Self::Other,
        }
    }
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlStatement {
    /// Its place in the script, from 1.
    pub number: u32,
    /// The line on which it begins, from 1; `\n`, `\r\n` and `\r` end a line.
    pub line: u32,
    /// The column at which it begins, in characters from 1.
    pub column: u32,
    /// What it does.
    pub kind: StatementKind,
    /// Its text, without the semicolon and without comments before or behind it.
    pub text: String,
    /// The bytes of the script that `text` is.
    pub span: Range<usize>,
}

impl SqlStatement {
    /// The key and value of a `SET`; None for other statements, and for a `SET` that Flink's SQL
    /// shell would not take.
    pub fn assignment(&self) -> Option<(String, String)> {
        if self.kind != StatementKind::Set {
            return None;
        }
        let (key, rest) = side(self.text.get(3..)?.trim_start(), true)?;
        let (value, rest) = side(rest.trim_start().strip_prefix('=')?.trim_start(), false)?;
        rest.trim().is_empty().then_some((key, value))
    }
}

/// One side of a `SET`: quoted, or as it stands; and what follows it.
fn side(text: &str, key: bool) -> Option<(String, &str)> {
    if let Some(Ok(token)) = Lexer::new(text).next()
        && token.kind == TokenKind::Text
    {
        let quoted = text.get(token.span.clone())?;
        let inner = quoted.get(1..quoted.len() - 1)?.replace("''", "'");
        return Some((inner, text.get(token.span.end..)?));
    }
    let end = if key { text.find(|c: char| c.is_whitespace() || c == '=')? } else { text.len() };
    let value = text.get(..end)?.trim();
    (!value.is_empty() && !value.starts_with('\'')).then(|| (value.to_owned(), text.get(end..).unwrap_or_default()))
}

/// A script of Flink SQL, cut into its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlScript {
    statements: Vec<SqlStatement>,
}

impl SqlScript {
    /// Cuts `text` at the semicolons outside quotes, comments and statement sets. Empty statements
    /// are left out.
    ///
    /// # Errors
    /// [`Program`](ErrorKind::Program) naming line and column of a quote, comment or statement set
    /// that is not closed.
    pub fn parse(text: &str) -> Result<Self> {
        let places = Places::of(text);
        let mut tokens = Vec::new();
        for token in Lexer::new(text) {
            tokens.push(token.map_err(|unclosed| {
                let (line, column) = places.of_byte(text, unclosed.at);
                fault(format!("the {} at line {line}, column {column} is not closed", unclosed.what))
            })?);
        }
        let mut statements = Vec::new();
        let mut rest = tokens.as_slice();
        while let Some(first) = rest.first() {
            if first.kind == TokenKind::End {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let (line, column) = places.of_byte(text, first.span.start);
            let (own, set) = own_tokens(text, rest);
            if set == Set::Open {
                return Err(fault(format!(
                    "the statement set at line {line}, column {column} has no END; write BEGIN, INSERT statements that each end with a semicolon, then END"
                )));
            }
            rest = rest.get(own.len()..).unwrap_or_default();
            let span = first.span.start..own.last().map_or(first.span.end, |last| last.span.end);
            let (words, next) = leading(text, own);
            statements.push(SqlStatement {
                number: u32::try_from(statements.len() + 1).unwrap_or(u32::MAX),
                line,
                column,
                kind: StatementKind::of(&words, next),
                text: text.get(span.clone()).unwrap_or_default().to_owned(),
                span,
            });
        }
        Ok(Self { statements })
    }

    /// The statements, in order.
    pub fn statements(&self) -> &[SqlStatement] {
        &self.statements
    }

    /// What the script sets, in order; a key set twice appears twice.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.statements.iter().filter_map(SqlStatement::assignment).collect()
    }

    /// Checks what can be known without Flink: that the script makes one job, and that nothing in
    /// it is for the SQL shell only.
    ///
    /// # Errors
    /// [`Program`](ErrorKind::Program) naming the statement, its line and column, and the remedy.
    pub fn check(&self) -> Result<()> {
        let mut open: Option<&SqlStatement> = None;
        let mut job: Option<&SqlStatement> = None;
        for statement in &self.statements {
            match statement.kind {
                StatementKind::Query => {
                    return Err(statement
                        .fault("its result would go nowhere; a job writes to a table: use INSERT INTO … SELECT"));
                }
                StatementKind::Ask => {
                    return Err(statement.fault("it answers a person, and a job has nobody to tell; take it out"));
                }
                StatementKind::Shell => return Err(statement.fault("it is a command of the SQL shell; take it out")),
                StatementKind::Set if statement.assignment().is_none() => {
                    return Err(statement.fault("a setting is written SET 'key' = 'value'"));
                }
                StatementKind::Begin if open.is_some() => {
                    return Err(statement.fault("a statement set is open already; write END first"));
                }
                StatementKind::Begin => open = Some(statement),
                StatementKind::End if open.take().is_none() => {
                    return Err(statement.fault("there is no BEGIN STATEMENT SET before it"));
                }
                kind if open.is_some() && !matches!(kind, StatementKind::Insert | StatementKind::End) => {
                    return Err(statement.fault("a statement set holds INSERT statements only; write it before BEGIN"));
                }
                kind if kind.starts_job() => {
                    if let Some(first) = job
                        && !(kind == StatementKind::Insert && first.kind == StatementKind::Insert)
                    {
                        return Err(statement.fault(&format!(
                            "it would be a second job beside statement {}; a script is one job: write INSERT statements, which are gathered, or make two jobs",
                            first.number
                        )));
                    }
                    job.get_or_insert(statement);
                }
                _ => {}
            }
        }
        if let Some(open) = open {
            return Err(open.fault("the statement set has no END"));
        }
        match (self.statements.last(), job) {
            (None, _) => Err(fault("the script is empty; a job needs at least one INSERT INTO".to_owned())),
            (Some(last), None) => Err(fault(format!(
                "nothing to run: the script ends with statement {} at line {} and has no INSERT INTO; a job writes to a table",
                last.number, last.line
            ))),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

impl SqlStatement {
    fn fault(&self, reason: &str) -> Error {
        let Self { number, line, column, .. } = self;
        fault(format!(
            "statement {number} at line {line}, column {column}: {}: {reason}",
            mask::one_line(&self.text, 80)
        ))
    }
}

/// `SELECT  1 -- x` is shown as it stands; its text ends before the comment.
impl fmt::Display for SqlStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::one_line(&self.text, 160))
    }
}

fn fault(message: String) -> Error {
    Error::new(ErrorKind::Program, message)
}

/// How far a statement set around a statement has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    None,
    Open,
    Closed,
}

/// The tokens of the first statement: up to its semicolon, which is not part of it.
///
/// Within `… STATEMENT SET BEGIN`, semicolons part INSERTs, and `END` closes the set only where a
/// statement would begin: elsewhere it ends a `CASE`.
fn own_tokens<'a>(text: &str, tokens: &'a [Token]) -> (&'a [Token], Set) {
    let is = |token: Option<&Token>, word: &str| {
        token.is_some_and(|token| {
            token.kind == TokenKind::Word
                && text.get(token.span.clone()).is_some_and(|text| text.eq_ignore_ascii_case(word))
        })
    };
    let may_be_set = ["EXECUTE", "EXPLAIN", "COMPILE"].iter().any(|word| is(tokens.first(), word));
    let mut set = Set::None;
    for (position, token) in tokens.iter().enumerate() {
        let before = |back: usize| position.checked_sub(back).and_then(|position| tokens.get(position));
        if token.kind == TokenKind::End && set != Set::Open {
            return (tokens.get(..position).unwrap_or_default(), set);
        }
        if may_be_set
            && set == Set::None
            && is(Some(token), "BEGIN")
            && is(before(1), "SET")
            && is(before(2), "STATEMENT")
        {
            set = Set::Open;
        } else if set == Set::Open
            && is(Some(token), "END")
            && (before(1).is_some_and(|before| before.kind == TokenKind::End) || is(before(1), "BEGIN"))
        {
            set = Set::Closed;
        }
    }
    (tokens, set)
}

/// The words of a statement outside parentheses, in capitals, up to the first that matters no
/// more; and its first mark, where it begins with one.
fn leading<'a>(text: &'a str, tokens: &[Token]) -> (Vec<String>, Option<&'a str>) {
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let of = |token: &Token| text.get(token.span.clone()).unwrap_or_default();
    let next = tokens.first().filter(|token| token.kind == TokenKind::Mark).map(of);
    if next.is_some() {
        return (words, next);
    }
    for token in tokens {
        match (token.kind, of(token)) {
            (TokenKind::Mark, "(" | "<") => depth += 1,
            (TokenKind::Mark, ")" | ">") => depth = depth.saturating_sub(1),
            (TokenKind::Word, word) if depth == 0 => words.push(word.to_ascii_uppercase()),
            _ => {}
        }
    }
    (words, None)
}

/// Where lines begin.
struct Places(Vec<usize>);

impl Places {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    /// Line and column, from 1, of the character at a byte.
    fn of_byte(&self, text: &str, at: usize) -> (u32, u32) {
        let line = self.0.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.0.get(line)).copied().unwrap_or_default();
        let column = text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
