//! `journal`: what happened, for an accountant's program.

use super::context::{CliError, Context, Exit};
use super::cut::{cut, deliver, watched};
use super::folder::Folder;
use crate::book::Name;
use crate::formats::{Chart, Ledger, write_beancount, write_hledger, write_journal_csv};
use crate::reading::past;
use crate::types::ParticipantId;
use std::path::PathBuf;

/// Options of `journal`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse journal --format hledger --out books.journal && hledger -f books.journal check --strict
  tallyhouse journal --format beancount --out books.beancount && bean-check books.beancount
  tallyhouse journal --format csv --participant pa_harvest --chart chart.csv --out november.csv
  tallyhouse journal --format csv --from 5000 --to 9999

One document a day and kind of entry; its postings sum to zero in every unit and currency. The file names the log, the
last entry (the cut) and the checkpoint over the log through it, and ends by asserting the balances. Points of holders
are a liability of their brand; what one participant has from another is an asset. With --participant: its own units,
and what it is owed and owes, with counter-accounts in its income and expenses. Tax stands on accounts of its own, such
as Liabilities:Tax:Standard-190000: category, and rate in parts per million.

Once payers are asked to pay, what is owed in that cycle is owed to and by the clearing house: Assets:Clearing:House.
What banks confirm is at Assets:Bank:House, what was paid too much at Assets:Overpaid:House, what the operator bears of a
write-off or a default, and has to bring to the house's account, at Assets:Borne:House; what is left with the house
at Assets:Cover:House, Assets:Fund:House and Assets:Reserve:UNIT; what is paid between two at Assets:Bank:P-other.
What the bank charges for the house's account is the operator's expense, at Expenses:BankCharges. In the network's journal
what is on the house's account and nobody's is owed at Liabilities:Unassigned:House, and all accounts below
Assets:Bank:House come to the balance of its newest statement, with what was notified early and less what was withdrawn
and has not left.
So all accounts below Assets:Clearing come to what is not settled, and less than a cent that the last cycle carried on.

A chart is CSV with the columns ledger, account, cost_centre, tax_code: where postings of an account, and of all below
it, go; config/chart.csv has a row for every one. The same entries make the same batch and document numbers, however
often they are exported.")]
pub struct Args {
    /// For which program.
    #[arg(long, value_enum)]
    format: Format,
    /// One participant's own books instead of the network's.
    #[arg(long, value_name = "ID")]
    participant: Option<ParticipantId>,
    /// A company's chart of accounts, with --format csv.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// The first entry; what was before is in the opening balances.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last entry; without it, the newest.
    #[arg(long)]
    to: Option<u64>,
    /// Write to this file instead of standard output; it appears when it is whole.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// hledger's journal format.
    Hledger,
    /// Beancount's.
    Beancount,
    /// CSV, for everything else.
    Csv,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    if args.chart.is_some() && args.format != Format::Csv {
        return Err(CliError::usage("a chart of accounts goes with --format csv"));
    }
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))?;
        Chart::read(&bytes).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
    };
    let chart = args.chart.as_ref().map(read).transpose()?;
    let folder = Folder::open(context)?;
    if let Some(who) = &args.participant {
        folder.knows(&Name::Participant(who.clone()))?;
    }
    let cut = cut(&folder, args.from, args.to)?;
    let scales = folder.genesis.currencies.iter().map(|setting| (setting.code, setting.scale));
    let mut ledger = Ledger::new(args.participant, args.from, scales);
    watched(cut.seq, |read_to| past(&*folder.read, cut.seq, read_to, &mut |event| ledger.take(event)))?;
    let journal = ledger.journal(cut).map_err(|e| CliError::Refused(e.to_string()))?;
    let bytes = match args.format {
        Format::Hledger => write_hledger(&journal).into_bytes(),
        Format::Beancount => write_beancount(&journal).into_bytes(),
        Format::Csv => write_journal_csv(&journal, chart.as_ref()).map_err(CliError::usage)?,
    };
    deliver(&bytes, args.out.as_deref(), context)?;
    if let Some(path) = &args.out {
        let (documents, accounts) = (journal.documents.len(), journal.closing.len());
        let (path, batch) = (path.display(), journal.cut.batch());
        context.say(format!("{path}: {documents} documents, {accounts} balances, batch {batch}"))?;
        context.say(format!(
            "cut: entry {}, checkpoint {}",
            journal.cut.seq,
            journal.cut.checkpoint_line()
        ))?;
    }
    Ok(Exit::Ok)
}
