//! Formats of the outside world: what banks read and write, what accountants' programs read.
//!
//! Owns: pain.001, pain.008 and pay-in notices (written, out of a cycle's instructions), pain.002, camt.053, camt.054, CSV
//! statements (read); journals for hledger, beancount and CSV with a chart of accounts; the liability's roll-forward and
//! vintages, on both bases; the clearing house's reports as tables.
//! Promises: the same values give the same bytes; a file is either understood or refused with the place and the
//! reason; an amount is read as the decimal that it is, never as a float.
//! Refuses to know: files, networks, and what the values are used for.

mod amount;
mod beancount;
mod camt;
mod deferred;
mod hledger;
mod journal;
mod journal_csv;
mod ledger;
mod liability;
mod orders;
mod pain;
mod pain001;
mod pain002;
mod pain008;
mod periods;
mod settlement;
mod settling;
mod statement_csv;
mod tables;
mod vintages;
mod xml;

pub use amount::{decimal, minor_units};
pub use beancount::write_beancount;
pub use camt::read_camt;
pub use deferred::{Deferred, DeferredMonth, DeferredVintage};
pub use hledger::write_hledger;
pub use journal::{Balances, Cut, Document, Journal, Posting};
pub use journal_csv::{Chart, ChartRow, write_journal_csv};
pub use ledger::Ledger;
pub use liability::{Amounts, Change, ChangeLine, Liability, RollForward};
pub use orders::{
    Batch, FileOf, Ordered, PayInNotice, SettlementAccount, debit_day, last_day, message_id, pay_out_day,
    write_notices_csv,
};
pub use pain::{BankParty, Order};
pub use pain001::{CreditTransfers, Transfer, write_pain001};
pub use pain002::{Reported, StatusReport, Verdict, read_pain002};
pub use pain008::{Debit, DirectDebits, Mandate, Scheme, SequenceType, write_pain008};
pub use periods::Periods;
pub use settlement::{end_to_end, imports, line_name, of_end_to_end, open, reference, statement_names};
pub use statement_csv::{read_statement_csv, write_statement_csv};
pub use tables::{Table, aging_table, exposure_table, liability_table, what_if_table};
pub use vintages::{Vintage, Vintages};
