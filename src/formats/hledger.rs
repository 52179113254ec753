//! Journals as hledger reads them (hledger manual, journal format).
//!
//! Owns: the form.
//! Promises: accounts and commodities are declared, so `hledger check --strict` holds; balances are asserted at the
//! end, so hledger itself compares them with ours.
//! Refuses to know: what is booked.

use super::journal::Journal;
use std::fmt::Write as _;

/// The journal as text.
pub fn write_hledger(journal: &Journal) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(journal, &mut out);
    out
}

fn write(journal: &Journal, out: &mut String) -> std::fmt::Result {
    let cut = &journal.cut;
    writeln!(out, "; {}: entries {} to {}", cut.origin, cut.from, cut.seq)?;
    writeln!(out, "; checkpoint: {}", cut.checkpoint_line())?;
    writeln!(out, "; batch: {}\n", cut.batch())?;
    for (commodity, scale) in &journal.commodities {
        // A commodity directive needs a decimal mark, also where there are no decimals.
        let places = "0".repeat(usize::from(*scale));
        writeln!(out, "commodity 1000.{places} \"{commodity}\"")?;
    }
    out.push('\n');
    for account in journal.accounts().keys() {
        writeln!(out, "account {account}")?;
    }
    if let Some(day) = journal.first_day()
        && !journal.opening.is_empty()
    {
        writeln!(out, "\n{day} * opening balances")?;
        for ((account, commodity), amount) in &journal.opening {
            writeln!(out, "    {account}  {} \"{commodity}\"", journal.amount(commodity, *amount))?;
        }
    }
    for document in &journal.documents {
        let (first, last) = document.entries;
        let code = format!("{}/{}", cut.batch(), document.number);
        let text = &document.text;
        writeln!(out, "\n{} * ({code}) {text}  ; entries {first} to {last}", document.date)?;
        for posting in &document.postings {
            let amount = journal.amount(&posting.commodity, posting.amount);
            writeln!(out, "    {}  {amount} \"{}\"", posting.account, posting.commodity)?;
        }
    }
    let Some(day) = journal.last_day() else { return Ok(()) };
    writeln!(out, "\n{day} * balances after entry {}", cut.seq)?;
    for ((account, commodity), amount) in &journal.closing {
        let (zero, amount) = (journal.amount(commodity, 0), journal.amount(commodity, *amount));
        writeln!(out, "    {account}  {zero} \"{commodity}\" = {amount} \"{commodity}\"")?;
    }
    Ok(())
}
