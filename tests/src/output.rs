//! What the counting job wrote: the judge of "no state lost" and of "one copy".

use std::collections::BTreeMap;
use std::path::Path;

/// One element that a job put out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which JobID.
    pub flink_job: String,
    /// Its place in the sequence.
    pub sequence: u64,
    /// The count in the operator's state.
    pub count: u64,
    /// Whether the attempt started from state.
    pub restored: bool,
}

/// Everything in `folder`, in order of time.
pub fn elements(folder: &Path) -> Vec<Element> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let mut all: Vec<Element> = texts.flat_map(|text| text.lines().filter_map(element).collect::<Vec<_>>()).collect();
    all.sort_by_key(|element| (element.at_ms, element.sequence));
    all
}

fn element(line: &str) -> Option<Element> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [at, job, _attempt, _subtask, sequence, _key, count, start] = words.as_slice() else { return None };
    Some(Element {
        at_ms: at.parse().ok()?,
        flink_job: (*job).to_owned(),
        sequence: sequence.parse().ok()?,
        count: count.parse().ok()?,
        restored: *start == "restored",
    })
}

/// What is wrong with the output of a job with one key; empty where nothing is.
pub fn faults(elements: &[Element]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut spans = BTreeMap::<&str, (u64, u64, u64, u64)>::new();
    for element in elements {
        if element.count != element.sequence + 1 {
            faults.push(format!("element {} was counted as {}", element.sequence, element.count));
        }
        let span = spans.entry(&element.flink_job).or_insert((
            element.at_ms,
            element.at_ms,
            element.sequence,
            element.sequence,
        ));
        span.1 = element.at_ms;
        span.3 = element.sequence;
    }
    let mut spans: Vec<_> = spans.into_iter().collect();
    spans.sort_by_key(|(_, span)| span.0);
    for pair in spans.windows(2) {
        let ((first, a), (second, b)) = (pair[0], pair[1]);
        if a.1 >= b.0 {
            faults.push(format!("{first} was still writing at {} when {second} began at {}", a.1, b.0));
        }
        if b.2 > a.3 + 1 {
            faults.push(format!("{second} began at element {}, and {first} had come to {}", b.2, a.3));
        }
    }
    faults
}
