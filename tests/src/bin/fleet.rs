//! The fleet as a process of its own: commands come in on stdin, one a line, answers go out as JSON lines.
//!
//! `fail FIRST LAST`, `hang INDEX on|off`, `refuse INDEX on|off`, `log`, `alive`, `requests`. The first
//! line out holds the addresses. Ends with its stdin.

use std::io::Write as _;

use serde_json::json;
use streampark_tests::fleet::Fleet;
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1);
    let fleet = Fleet::start(count).await?;
    say(&json!(fleet.addresses()))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
        let on = words.last() == Some(&"on");
        let answer = match words.first().copied() {
            Some("fail") => json!(fleet.fail(number(1)..=number(2))),
            Some("hang") => {
                fleet.hang(number(1), on);
                json!(true)
            }
            Some("refuse") => {
                fleet.refuse(number(1), on).await?;
                json!(true)
            }
            Some("log") => json!(fleet.log()),
            Some("alive") => json!(fleet.alive()),
            Some("requests") => json!(fleet.requests()),
            _ => json!(null),
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}
