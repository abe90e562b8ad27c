//! The words of a message, put together in one place for every channel.
//!
//! Names of jobs and texts of exceptions come from people and from data: they are cleaned here of
//! what could deceive a reader, and each markup escapes them by its own rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Unit;

use super::alert::{Alert, AlertKind, Severity};
use super::channel::Message;

/// Characters of one value at most.
const VALUE: usize = 400;
/// Characters of the title at most.
const TITLE: usize = 160;

/// What a message says, before any markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The worst severity of its alerts.
    pub(super) severity: Severity,
    /// One line.
    pub(super) title: String,
    /// Named values, in the order in which people read them.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Named `http` and `https` addresses.
    pub(super) links: Vec<(String, String)>,
    /// What a digest holds, worst first.
    pub(super) groups: Vec<Group>,
}

/// The alerts of one kind in a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// For example `job failed (137)`.
    pub(super) heading: String,
    /// The jobs, or clusters, by name.
    pub(super) names: Vec<String>,
    /// How many names are left out.
    pub(super) more: usize,
    /// The commonest cause.
    pub(super) cause: Option<String>,
}

/// How values are written into a markup.
pub(super) type Escape = fn(&str) -> String;

impl Text {
    /// The words of `message`; a digest names at most `names` jobs and counts the others.
    pub(super) fn of(message: &Message, names: usize) -> Self {
        match message.alerts.as_slice() {
            [alert] => Self::of_alert(alert),
            alerts => Self::of_digest(alerts, names),
        }
    }

    fn of_alert(alert: &Alert) -> Self {
        let mut facts = Vec::new();
        let mut fact = |label, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                facts.push((label, clean(&value, VALUE)));
            }
        };
        fact("job", alert.job_name.clone().or_else(|| alert.job.map(|job| job.to_string())));
        fact("cause", alert.cause.as_ref().map(crate::job::Failure::one_line));
        fact("action", alert.action.clone());
        fact("owner", alert.owner.clone());
        fact("cluster", alert.cluster.clone());
        fact("run", alert.run.map(|run| run.generation.to_string()));
        fact("time", Some(seconds(alert.at)));
        Self {
            severity: alert.severity,
            title: clean(&alert.title, TITLE),
            facts,
            links: alert.links.iter().filter_map(|(name, url)| Some((clean(name, 60), web(url)?))).collect(),
            groups: Vec::new(),
        }
    }

    fn of_digest(alerts: &[Alert], names: usize) -> Self {
        let mut kinds: BTreeMap<(std::cmp::Reverse<Severity>, &'static str), Vec<&Alert>> = BTreeMap::new();
        for alert in alerts {
            kinds.entry((std::cmp::Reverse(alert.severity), alert.kind.as_str())).or_default().push(alert);
        }
        let mut left = names;
        let mut groups = Vec::new();
        let mut counts = Vec::new();
        for (kind, alerts) in kinds.values().map(|alerts| (alerts.first().map(|a| a.kind), alerts)) {
            let what = kind.map_or("alert", AlertKind::as_str).replace('_', " ");
            counts.push(format!("{} {what}", alerts.len()));
            let named: BTreeSet<String> = alerts.iter().map(|alert| subject(alert)).collect();
            let (count, total) = (named.len().min(left), named.len());
            left -= count;
            groups.push(Group {
                heading: if alerts.len() == 1 { what } else { format!("{what} ({})", alerts.len()) },
                names: named.into_iter().take(count).collect(),
                more: total - count,
                cause: commonest(alerts),
            });
        }
        let severity = alerts.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Info);
        let mut facts = Vec::new();
        if let (Some(first), Some(last)) = (alerts.iter().map(|a| a.at).min(), alerts.iter().map(|a| a.at).max()) {
            facts.push(("time", format!("{} to {}", seconds(first), seconds(last))));
        }
        let title = clean(&format!("{} alerts: {}", alerts.len(), counts.join(", ")), TITLE);
        Self { severity, title, facts, links: Vec::new(), groups }
    }

    /// Plain text, one line each.
    pub(super) fn plain(&self) -> String {
        let mut text = format!("[{}] {}", self.severity.as_str(), self.title);
        for (label, value) in &self.facts {
            let _ = write!(text, "\n{label}: {value}");
        }
        for group in &self.groups {
            let _ = write!(text, "\n{}: {}", group.heading, group.listed(str::to_owned));
            if let Some(cause) = &group.cause {
                let _ = write!(text, "\n  mostly: {cause}");
            }
        }
        for (name, url) in &self.links {
            let _ = write!(text, "\n{name}: {url}");
        }
        text
    }

    /// Markdown of headings, bold words, lists and links only: what every chat knows.
    pub(super) fn markdown(&self, escape: Escape) -> String {
        let mut text = format!("#### {} {}\n", mark(self.severity), escape(&self.title));
        for (label, value) in &self.facts {
            let _ = write!(text, "\n- **{label}**: {}", escape(value));
        }
        for group in &self.groups {
            let _ = write!(text, "\n- **{}**: {}", escape(&group.heading), group.listed(escape));
            if let Some(cause) = &group.cause {
                let _ = write!(text, "\n- mostly: {}", escape(cause));
            }
        }
        for (name, url) in &self.links {
            let _ = write!(text, "\n- [{}]({url})", escape(name));
        }
        text
    }
}

impl Group {
    fn listed(&self, escape: impl Fn(&str) -> String) -> String {
        let names = self.names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ");
        match (names.is_empty(), self.more) {
            (_, 0) => names,
            (true, more) => format!("{more} in all"),
            (false, more) => format!("{names} and {more} more"),
        }
    }
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "[OK]",
        Severity::Warning => "[WARNING]",
        Severity::Error => "[ERROR]",
        Severity::Critical => "[CRITICAL]",
    }
}

/// Whom an alert is about, by the name that people know.
pub(super) fn subject(alert: &Alert) -> String {
    let name = alert.job_name.clone().or_else(|| alert.job.map(|job| job.to_string()));
    clean(&name.or_else(|| alert.cluster.clone()).unwrap_or_else(|| alert.incident.clone()), 80)
}

fn commonest(alerts: &[&Alert]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for cause in alerts.iter().filter_map(|alert| alert.cause.as_ref()) {
        *counts.entry(cause.one_line()).or_default() += 1;
    }
    let (cause, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(format!("{} ({count} of {})", clean(&cause, VALUE), alerts.len()))
}

fn seconds(at: jiff::Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// One line of at most `limit` characters, without controls and without the invisible characters
/// that reorder or hide text.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let visible = |c: char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let spaced: String = text.chars().filter(|c| visible(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// A web address that cannot end a link early; None for any other scheme.
fn web(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let quote = |c: char| match c {
        '(' => "%28".to_owned(),
        ')' => "%29".to_owned(),
        '[' => "%5B".to_owned(),
        ']' => "%5D".to_owned(),
        c => c.to_string(),
    };
    Some(url.as_str().chars().map(quote).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertId, DeliveryId};
    use crate::job::Failure;
    use jiff::Timestamp;

    fn alert(kind: AlertKind, name: &str) -> Alert {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let mut alert = Alert::new(AlertId::from_u128(1), kind, name, format!("job '{name}' failed"), at);
        alert.job_name = Some(name.to_owned());
        alert
    }

    #[test]
    fn an_alert_says_what_why_and_what_was_done() {
        let mut alert = alert(AlertKind::JobFailed, "orders");
        alert.cause = Some(Failure::new("no route to\n  broker").with_class("java.io.IOException"));
        alert.action = Some("restarted from checkpoint 7".to_owned());
        alert.owner = Some("payments".to_owned());
        alert.links.insert("runbook".to_owned(), "https://wiki.test/a(b)".to_owned());
        alert.links.insert("bad".to_owned(), "javascript:alert(1)".to_owned());
        let text = Text::of(&Message::new(DeliveryId::from_u128(1), vec![alert]), 20);
        assert_eq!(
            text.plain(),
            "[error] job 'orders' failed\njob: orders\ncause: java.io.IOException: no route to broker\n\
             action: restarted from checkpoint 7\nowner: payments\ntime: 2023-11-14T22:13:20Z\n\
             runbook: https://wiki.test/a%28b%29"
        );
    }

    #[test]
    fn a_digest_names_every_job_or_counts_it() {
        let mut alerts: Vec<Alert> = (0..130).map(|n| alert(AlertKind::JobFailed, &format!("job-{n:03}"))).collect();
        alerts.push(alert(AlertKind::CrashLoop, "orders"));
        alerts[3].cause = Some(Failure::new("boom"));
        let text = Text::of(&Message::new(DeliveryId::from_u128(1), alerts), 10);
        assert_eq!(text.title, "131 alerts: 1 crash loop, 130 job failed");
        assert_eq!(text.groups[0].names, ["orders"]);
        let failed = &text.groups[1];
        assert_eq!((failed.names.len(), failed.more), (9, 121));
        assert!(text.plain().contains("\ncrash loop: orders\njob failed (130): job-000, "), "{}", text.plain());
        assert!(text.plain().contains("job-008 and 121 more\n  mostly: boom (1 of 130)"), "{}", text.plain());
    }

    #[test]
    fn nothing_invisible_and_no_second_line_gets_through() {
        assert_eq!(clean("a\u{202e}b\r\n\tc\u{0}d\u{200b}", 80), "ab c d");
        assert_eq!(clean("abcdef", 4), "abc…");
    }
}
