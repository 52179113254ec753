//! Two columns of figures side by side: the same work on files and in a database, measured in one run.
//!
//! Owns: which figures belong together.
//! Promises: a ratio is of figures of one run; what was measured on one side only is not shown.
//! Refuses to know: how anything was measured.

use super::Figures;
use serde::Serialize;
use std::fmt;

/// See the module.
#[derive(Serialize)]
pub(super) struct Beside {
    /// What each is measured on.
    pub(super) names: [&'static str; 2],
    /// The figures.
    pub(super) columns: [Figures; 2],
}

/// A figure of either side.
struct Row {
    what: String,
    unit: &'static str,
    each: [f64; 2],
}

impl Beside {
    fn rows(&self) -> Vec<Row> {
        let [one, other] = &self.columns;
        let mut rows = vec![];
        let mut add = |what: String, unit, each| rows.push(Row { what, unit, each });
        for (a, b) in one.payments.iter().zip(&other.payments) {
            let what = |figure: &str| format!("payments, {} callers{figure}", a.callers);
            add(what(""), "per s", [a.per_second, b.per_second]);
            add(what(", p50"), "ms", [a.p50_ms, b.p50_ms]);
            add(what(", p99"), "ms", [a.p99_ms, b.p99_ms]);
        }
        for (a, b) in one.http.iter().zip(&other.http) {
            let what = |figure: &str| format!("{} over HTTP, {} connections{figure}", a.work, a.connections);
            let each = |row: &super::http::Figure| row.lines_per_second.unwrap_or(row.accepted_per_second);
            add(what(""), "per s", [each(a), each(b)]);
            add(what(", p50"), "ms", [a.p50_ms, b.p50_ms]);
            add(what(", p99"), "ms", [a.p99_ms, b.p99_ms]);
        }
        if let (Some(a), Some(b)) = (&one.awards, &other.awards) {
            add("awards in batches".into(), "per s", [a.per_second, b.per_second]);
            for (at, which) in [(Some(0), "first"), (a.tenths.len().checked_sub(1), "last")] {
                let rate = |row: &super::awards::Figure| at.and_then(|at| row.tenths.get(at)).copied();
                if let (Some(a), Some(b)) = (rate(a), rate(b)) {
                    add(format!("awards in batches, the {which} tenth"), "per s", [a, b]);
                }
            }
            add("storage of an award".into(), "bytes", [a.bytes_per_award, b.bytes_per_award]);
        }
        for (a, b) in one.starts.iter().zip(&other.starts) {
            add(format!("start, {}: {} entries", a.what, a.entries), "s", [a.seconds, b.seconds]);
        }
        for (a, b) in one.verify.iter().zip(&other.verify) {
            let with = if a.signatures { "with" } else { "without" };
            let what = format!("verify {}, {with} signatures", a.what);
            add(what, "parts/s", [a.parts_per_second, b.parts_per_second]);
        }
        let [one, other] = [&one.memory_mib, &other.memory_mib];
        let phases = [
            ("payments", one.payments, other.payments),
            ("awards", one.awards, other.awards),
            ("over HTTP", one.http, other.http),
        ];
        for (phase, one, other) in phases.into_iter().filter(|(_, one, _)| *one > 0) {
            add(format!("memory, {phase}, load included"), "MiB", [one as f64, other as f64]);
        }
        rows
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.names;
        let [files, database] = &self.columns;
        writeln!(f, "tallyhouse {} on {}", files.version, files.machine)?;
        writeln!(f, "{one}: {}\n{other}: {}\n", files.durability, database.durability)?;
        writeln!(f, "{:<46} {:>8} {:>12} {:>20} {:>7}", "", "", one, other, "ratio")?;
        for Row { what, unit, each: [a, b] } in self.rows() {
            let ratio = if a > 0.0 { b / a } else { 0.0 };
            let digits = usize::from(matches!(unit, "ms" | "s")) * 2;
            writeln!(f, "{what:<46} {unit:>8} {a:>12.digits$} {b:>20.digits$} {ratio:>7.2}")?;
        }
        for (name, column) in self.names.iter().zip(&self.columns) {
            for row in column.http.iter().filter(|row| !row.errors.is_empty()) {
                writeln!(f, "{name}: {} failed: {:?}", row.work, row.errors)?;
            }
        }
        Ok(())
    }
}
