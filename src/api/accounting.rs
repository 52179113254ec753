//! Accounting: what brands owe for points, and the journal of what happened.
//!
//! Owns: the forms of both over HTTP.
//! Promises: a brand gets what is its own units' and its participant's, whatever it asks for; each report names the last
//! entry that it counts and the checkpoint over the log through it.
//! Refuses to know: what is booked where; `formats` does.

use super::banking::CSV;
use super::call::{Caller, Whom, service};
use super::cycles::sight;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{SEQ, json, min_seq};
use super::reports::{is_csv, turn};
use super::service::Service;
use super::write::Incoming;
use crate::book::Name;
use crate::formats::{
    self, Balances, Chart, ChartRow, Journal, Ledger, liability_table, write_beancount, write_hledger,
    write_journal_csv,
};
use crate::machine::Reader;
use crate::reading::{LiabilityOf, LiabilityReport, cut, liability, past};
use crate::types::{Currency, Date, Malformed, ParticipantId, UnitCode};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

const TEXT: &str = "text/plain; charset=utf-8";

/// Which liability.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfLiability {
    /// Of this unit alone; a brand's own units, or all, if absent.
    unit: Option<UnitCode>,
    /// In this currency; the network's first if absent.
    currency: Option<Currency>,
    /// Whether points are told by the month in which they were earned, too.
    vintages: Option<bool>,
    /// Whether it is told as deferred revenue (IFRS 15), too.
    deferred: Option<bool>,
    /// The last entry that counts; the newest if absent.
    to: Option<u64>,
}

/// Which journal.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfJournal {
    /// One participant's own books instead of the network's. A brand gets its own participant's.
    participant: Option<ParticipantId>,
    /// The first entry that is told; what was before is in the opening balances. 0 if absent.
    from: Option<u64>,
    /// The last entry that is told; the newest if absent.
    to: Option<u64>,
    /// As which program reads it, instead of as JSON or CSV.
    #[serde(rename = "for")]
    #[param(inline)]
    program: Option<Program>,
}

/// A program for accountants that reads journals as text.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// hledger's journal format.
    Hledger,
    /// Beancount's.
    Beancount,
}

/// An amount on an account: + debit, − credit.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JournalAmount {
    /// The account.
    #[schema(example = "Liabilities:Points:HARVEST")]
    account: String,
    /// A unit or a currency.
    #[schema(example = "HARVEST")]
    commodity: String,
    /// In the smallest part of it.
    amount: i64,
}

/// Amounts that sum to zero in each commodity.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JournalDocument {
    /// Its number in the journal, from 1, without gaps.
    number: u64,
    /// The day on which it happened.
    date: Date,
    /// What it is.
    #[schema(example = "payment.captured")]
    text: String,
    /// The first entry that it sums up.
    first_entry: u64,
    /// The last entry that it sums up.
    last_entry: u64,
    /// In the order of accounts.
    postings: Vec<JournalAmount>,
}

/// How many decimal places amounts of a commodity have.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Commodity {
    /// A unit or a currency.
    commodity: String,
    /// Decimal places.
    scale: u8,
}

/// A journal: what happened, for an accountant's program.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JournalShown {
    /// The same entries of the same log have the same name, so that whoever imports twice sees it.
    #[schema(example = "TH-0-15740-1f2e3d4c")]
    batch: String,
    /// The first entry that is told.
    from: u64,
    /// The last entry that is told.
    seq: u64,
    /// The checkpoint over the log through it, in one line: origin, size, root.
    checkpoint: String,
    /// Units and currencies.
    commodities: Vec<Commodity>,
    /// Balances before the first document.
    opening: Vec<JournalAmount>,
    /// One for each day and kind of entry, in the order of days.
    documents: Vec<JournalDocument>,
    /// Balances after the last document.
    closing: Vec<JournalAmount>,
}

/// Which journal, and whose accounts it is written with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalWanted {
    /// One participant's own books instead of the network's. A brand gets its own participant's.
    #[serde(default)]
    participant: Option<ParticipantId>,
    /// The first entry that is told. 0 if absent.
    #[serde(default)]
    from: Option<u64>,
    /// The last entry that is told; the newest if absent.
    #[serde(default)]
    to: Option<u64>,
    /// Where the postings of an account, and of all below it, go: a row for each account that the journal has, or for one
    /// above it.
    #[schema(max_items = 10_000)]
    chart: Vec<ChartRow>,
}

fn amounts(balances: Balances) -> Vec<JournalAmount> {
    let one = |((account, commodity), amount)| JournalAmount { account, commodity, amount };
    balances.into_iter().map(one).collect()
}

impl From<Journal> for JournalShown {
    fn from(journal: Journal) -> Self {
        let (batch, checkpoint) = (journal.cut.batch(), journal.cut.checkpoint_line());
        let document = |one: formats::Document| JournalDocument {
            number: one.number,
            date: one.date,
            text: one.text,
            first_entry: one.entries.0,
            last_entry: one.entries.1,
            postings: one
                .postings
                .into_iter()
                .map(|one| JournalAmount {
                    account: one.account,
                    commodity: one.commodity,
                    amount: one.amount,
                })
                .collect(),
        };
        let commodity = |(commodity, scale)| Commodity { commodity, scale };
        Self {
            batch,
            from: journal.cut.from,
            seq: journal.cut.seq,
            checkpoint,
            commodities: journal.commodities.into_iter().map(commodity).collect(),
            opening: amounts(journal.opening),
            documents: journal.documents.into_iter().map(document).collect(),
            closing: amounts(journal.closing),
        }
    }
}

impl Service {
    /// The cut of a report that counts the entries up to `to`.
    fn cut(&self, from: u64, to: Option<u64>) -> Result<formats::Cut, Problem> {
        let engine = self.engine();
        let found = cut(&**engine.read(), &self.hashes, &self.genesis.origin, from, to)?;
        found.ok_or_else(|| Problem::about(Code::QueryInvalid, "from, to: two entries of the log, in order"))
    }

    /// Whether there is a record of this name.
    fn known(&self, name: &Name, what: &str) -> Result<(), Problem> {
        match self.record(name)? {
            Some(_) => Ok(()),
            None => Err(Problem::about(Code::NotFound, format!("there is no such {what}"))),
        }
    }
}

/// As a file of its own.
fn file(seq: u64, content: &str, name: &str, bytes: Vec<u8>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((SEQ, seq));
    answer.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer.content_type(content).body(bytes)
}

/// Report what brands owe for points
///
/// Month by month of each unit's own days: opening, what happened, price changes, closing; in points, and in money at the
/// settle price in force when it happened. A brand gets its own units. With `Accept: text/csv` as a table: a row for each
/// line of a month, with its `basis` (`settlement`, `deferred`, `vintage`), `unit`, `month`, for a vintage the month in
/// which points were `earned`, the `line`, `points`, `currency`, `amount`, the `cut` and its `checkpoint`.
#[utoipa::path(get, path = "/v1/reports/liability", tag = "clearing", operation_id = "reportLiability",
    params(OfLiability),
    responses((status = 200, description = "The report.", content(
        (LiabilityReport = "application/json"), (String = "text/csv")))))]
pub async fn owed(
    caller: Caller,
    request: HttpRequest,
    query: Query<OfLiability>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = match (&caller.whom, service.reader(&caller.whom)?) {
        (Whom::Operator, _) => None,
        (Whom::Brand(_), Reader::Brand { units, .. }) => Some(units),
        _ => return Err(Code::NotYours.into()),
    };
    let units = match (query.unit, own) {
        (Some(unit), Some(own)) if !own.contains(&unit) => return Err(Code::NotYours.into()),
        (Some(unit), _) => {
            service.known(&Name::Unit(unit), "unit")?;
            Some(vec![unit])
        }
        (None, own) => own,
    };
    let currencies = &service.genesis.currencies;
    let setting = currencies.iter().find(|one| query.currency.is_none_or(|wanted| wanted == one.code));
    let setting = setting.ok_or_else(|| {
        let known = currencies.iter().map(|one| one.code.to_string()).collect::<Vec<_>>().join(", ");
        Problem::about(Code::QueryInvalid, format!("currency: one of the network's, {known}"))
    })?;
    let wanted = LiabilityOf {
        units,
        currency: (setting.code, setting.scale),
        vintages: query.vintages.unwrap_or(false),
        deferred: query.deferred.unwrap_or(false),
    };
    let (to, _turn) = (query.to, turn().await?);
    let from = service.clone();
    let made = web::block(move || {
        let cut = from.cut(0, to)?;
        let engine = from.engine();
        Ok::<_, Problem>(liability(&**engine.read(), &cut, &wanted, &mut |_| {})?)
    });
    let report = made.await.map_err(Problem::fault)??;
    if is_csv(&request) {
        let (months, scale) = (&report.months, report.currency_scale);
        let (deferred, vintages) = (report.deferred.as_deref(), report.vintages.as_deref());
        let table = liability_table(months, deferred, vintages, report.currency, scale);
        let bytes = table.csv(report.seq, &report.checkpoint).map_err(Problem::fault)?;
        return Ok(file(report.seq, CSV, &format!("liability-{}.csv", report.seq), bytes));
    }
    Ok(json(Some(report.seq), &report))
}

/// Export the journal
///
/// What happened, for an accountant's program: a document for each day and kind of entry, whose amounts sum to zero in each
/// unit and currency. Points of holders are a liability of their brand; what a participant has from others, and from the
/// clearing house once payers are asked to pay, is an asset. With `participant`, its own books, with counter-accounts in
/// its income and expenses; a brand gets its own participant's. With `Accept: text/csv` as a table: a row for each amount,
/// with its `batch`, `document`, `line`, `document_date`, `posting_date`, `account`, `cost_centre`, `tax_code`, `debit`,
/// `credit`, `commodity`, `text`, `ledger`, `first_entry`, `last_entry`, `cut` and `checkpoint`. With `for`, as hledger or
/// beancount read it.
#[utoipa::path(get, path = "/v1/reports/journal", tag = "clearing", operation_id = "exportJournal",
    params(OfJournal),
    responses((status = 200, description = "The journal.", content(
        (JournalShown = "application/json"), (String = "text/csv"), (String = "text/plain")))))]
pub async fn journal(
    caller: Caller,
    request: HttpRequest,
    query: Query<OfJournal>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let whose = whose(&service, &caller, query.participant.as_ref())?;
    let journal = told(service, whose, query.from, query.to).await?;
    let (seq, batch) = (journal.cut.seq, journal.cut.batch());
    Ok(match query.program {
        Some(Program::Hledger) => {
            file(seq, TEXT, &format!("{batch}.journal"), write_hledger(&journal).into_bytes())
        }
        Some(Program::Beancount) => {
            file(seq, TEXT, &format!("{batch}.beancount"), write_beancount(&journal).into_bytes())
        }
        None if is_csv(&request) => {
            let bytes = write_journal_csv(&journal, None).map_err(Problem::fault)?;
            file(seq, CSV, &format!("{batch}.csv"), bytes)
        }
        None => json(Some(seq), &JournalShown::from(journal)),
    })
}

/// Export the journal in a chart of accounts
///
/// The journal as a table, as `GET /v1/reports/journal` gives it, with `account`, `cost_centre` and `tax_code` out of the
/// company's own chart; `ledger` is the journal's own account. An account that the chart lacks is refused and named.
/// Nothing is written.
#[utoipa::path(post, path = "/v1/reports/journal", tag = "clearing", operation_id = "exportJournalInChart",
    request_body = JournalWanted,
    responses((status = 200, description = "The journal.", body = String, content_type = "text/csv")))]
pub async fn charted(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let wanted: JournalWanted = incoming.json()?;
    let wrong = |e: Malformed| Problem::about(Code::BodyInvalid, e);
    let chart = Chart::of_rows(wanted.chart).map_err(wrong)?;
    let service = incoming.service.clone();
    service.wait_for(min_seq(incoming.request.headers())?).await?;
    let whose = whose(&service, &caller, wanted.participant.as_ref())?;
    let journal = told(service, whose, wanted.from, wanted.to).await?;
    let bytes = write_journal_csv(&journal, Some(&chart)).map_err(wrong)?;
    Ok(file(journal.cut.seq, CSV, &format!("{}.csv", journal.cut.batch()), bytes))
}

/// Whose journal a caller gets: a brand its own participant's, whoever works for the operator the network's or the one that
/// is asked for.
fn whose(
    service: &Service,
    caller: &Caller,
    wanted: Option<&ParticipantId>,
) -> Result<Option<ParticipantId>, Problem> {
    let own = sight(service, caller)?;
    if let (Some(own), Some(wanted)) = (&own, wanted)
        && own != wanted
    {
        return Err(Code::NotYours.into());
    }
    let whose = own.or_else(|| wanted.cloned());
    if let Some(whose) = &whose {
        service.known(&Name::Participant(whose.clone()), "participant")?;
    }
    Ok(whose)
}

/// Makes a journal, on a thread that may wait.
async fn told(
    service: web::Data<Service>,
    whose: Option<ParticipantId>,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<Journal, Problem> {
    let (first, _turn) = (from.unwrap_or(0), turn().await?);
    let made = web::block(move || {
        let cut = service.cut(first, to)?;
        let scales = service.genesis.currencies.iter().map(|one| (one.code, one.scale));
        let mut ledger = Ledger::new(whose, first, scales);
        let engine = service.engine();
        past(&**engine.read(), cut.seq, &mut |_| {}, &mut |event| ledger.take(event))?;
        ledger.journal(cut).map_err(Problem::fault)
    });
    made.await.map_err(Problem::fault)?
}
