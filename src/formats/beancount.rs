//! Journals as beancount reads them (Beancount language syntax).
//!
//! Owns: the form.
//! Promises: accounts are opened with their commodities before they are used; balances are asserted at the end, so
//! `bean-check` compares them with ours.
//! Refuses to know: what is booked.

use super::journal::Journal;
use std::fmt::Write as _;

/// The journal as text.
pub fn write_beancount(journal: &Journal) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(journal, &mut out);
    out
}

fn write(journal: &Journal, out: &mut String) -> std::fmt::Result {
    let cut = &journal.cut;
    writeln!(out, "; {}: entries {} to {}", cut.origin, cut.from, cut.seq)?;
    writeln!(out, "; checkpoint: {}", cut.checkpoint_line())?;
    writeln!(out, "; batch: {}", cut.batch())?;
    writeln!(out, "option \"title\" \"{}\"", cut.batch())?;
    let (Some(first_day), Some(last_day)) = (journal.first_day(), journal.last_day()) else { return Ok(()) };
    out.push('\n');
    for commodity in journal.commodities.keys() {
        writeln!(out, "{first_day} commodity {commodity}")?;
    }
    for (account, commodities) in journal.accounts() {
        writeln!(out, "{first_day} open {account} {}", commodities.join(","))?;
    }
    if !journal.opening.is_empty() {
        writeln!(out, "\n{first_day} * \"opening balances\"")?;
        for ((account, commodity), amount) in &journal.opening {
            writeln!(out, "  {account}  {} {commodity}", journal.amount(commodity, *amount))?;
        }
    }
    for document in &journal.documents {
        let (first, last) = document.entries;
        writeln!(out, "\n{} * \"{}\"", document.date, document.text)?;
        writeln!(out, "  document-number: \"{}/{}\"", cut.batch(), document.number)?;
        writeln!(out, "  entries: \"{first} to {last}\"")?;
        for posting in &document.postings {
            let amount = journal.amount(&posting.commodity, posting.amount);
            writeln!(out, "  {}  {amount} {}", posting.account, posting.commodity)?;
        }
    }
    // A balance is of the beginning of its day.
    let day = last_day.plus_days(1);
    out.push('\n');
    for ((account, commodity), amount) in &journal.closing {
        writeln!(out, "{day} balance {account}  {} {commodity}", journal.amount(commodity, *amount))?;
    }
    Ok(())
}
