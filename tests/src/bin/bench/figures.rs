//! Printing and summing figures.

/// The value below which this share of `values` lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Figures under one title, printed as a Markdown table.
pub(crate) struct Table {
    title: String,
    rows: Vec<[String; 3]>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, what: impl Into<String>, measured: impl Into<String>, target: impl Into<String>) {
        self.rows.push([what.into(), measured.into(), target.into()]);
    }

    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        println!("\n### {}\n\n| what | measured | target |\n|---|---|---|", self.title);
        for [what, measured, target] in &self.rows {
            println!("| {what} | {measured} | {target} |");
        }
    }
}
