//! Batches: rows become lines, lines become signed batches, batches are sent and answered.
//!
//! Owns: what a batch is called, what is on the way, and what became of each line.
//! Promises: a batch's id is made of its lines, so that the same file, imported again after whatever, makes
//! batches that the network recognises: what went in is told again, what was refused is tried anew, and no
//! line gives points twice. Memory holds the few batches that are on the way.
//! Refuses to know: files, and where rejects go.

use super::input::{Row, What};
use crate::app::{Network, Pen, id_of};
use crate::cli::CliError;
use crate::cli::demo::receipts::Receipt;
use crate::clock;
use crate::engine::{Failure, Ticket};
use crate::points::Verdict;
use crate::sign::{Award, OnLineError, PointBatch, Sale, SecretKey};
use crate::types::{AccountId, BrandId, Currency, Hash, Money, Points, Refusal, Time, UnitCode, encode, hex};
use crate::vault::Vault;
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches on the way: one is decided while the next is made.
const ON_THE_WAY: usize = 2;
/// How far ahead a till's clock may be, in seconds.
const AHEAD: u64 = 300;
/// The end of the year 9999, in Unix seconds: a batch that is imported again must be the same to the bit, so
/// its claims may not depend on when that is. Its id takes effect once anyway.
const NEVER: u64 = 253_402_300_799;

/// Who issues what.
pub(super) struct Issuer {
    pub(super) pen: Pen,
    pub(super) brand: BrandId,
    pub(super) unit: UnitCode,
    pub(super) key: SecretKey,
    pub(super) currency: Currency,
    /// The log's units of money in one of the receipts.
    pub(super) finer: u64,
}

/// A line on its way.
#[derive(Clone)]
struct Line {
    /// Where it stands in the file.
    number: u64,
    raw: Vec<String>,
    bytes: Arc<[u8]>,
    points: Points,
    occurred: Option<u64>,
}

struct Sent {
    lines: Vec<Line>,
    attempt: u32,
    ticket: Ticket,
}

/// What became of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub(super) struct Sums {
    /// Lines that gave points now.
    pub(super) awarded: u64,
    /// The points.
    pub(super) points: u64,
    /// Lines that had given points before.
    pub(super) already: u64,
    /// Batches that went in now.
    pub(super) batches: u64,
}

/// A line that was refused: its number, why, and what it was.
pub(super) type Refused = (u64, String, Vec<String>);

/// See the module.
pub(super) struct Batches<'a> {
    network: &'a Network,
    vault: &'a Vault,
    issuer: &'a Issuer,
    most: usize,
    rows: Vec<Row>,
    sent: VecDeque<Sent>,
    /// Entries that were there before this run.
    before: u64,
    /// In a driven network: how far its time is.
    time: Option<Time>,
    pub(super) sums: Sums,
    pub(super) refused: Vec<Refused>,
    /// Points of the rows that wait.
    total: Points,
    /// In a driven network: how far ahead of the rows before a row may lie, in seconds.
    pub(super) gap: u64,
}

impl<'a> Batches<'a> {
    /// Batches of at most so many lines. `before` is how many entries the log has; `time` is its time if it
    /// is driven.
    pub(super) fn new(
        network: &'a Network,
        vault: &'a Vault,
        issuer: &'a Issuer,
        most: usize,
        before: u64,
        time: Option<Time>,
    ) -> Self {
        let (rows, sent, refused) = (vec![], VecDeque::new(), vec![]);
        let (total, gap, sums) = (Points::ZERO, 0, Sums::default());
        Self { network, vault, issuer, most, rows, total, sent, before, time, gap, sums, refused }
    }

    /// One more row; a receipt or an award.
    pub(super) fn push(&mut self, row: Row) -> Result<(), CliError> {
        let points = match &row.what {
            What::Receipt(_, points) => *points,
            What::Award(award, _) => award.amount,
            What::OtherBrand(_) | What::TooSmall | What::Bad(_) => Points::ZERO,
        };
        // A batch states its total, which is bounded as every amount is.
        if self.total.plus(points).is_none() {
            self.send_rows()?;
        }
        self.total = self.total.plus(points).unwrap_or(points);
        self.rows.push(row);
        if self.rows.len() >= self.most { self.send_rows() } else { Ok(()) }
    }

    /// Sends what is left, and waits for all answers.
    pub(super) fn finish(&mut self) -> Result<(), CliError> {
        if !self.rows.is_empty() {
            self.send_rows()?;
        }
        while !self.sent.is_empty() {
            self.take()?;
        }
        Ok(())
    }

    fn send_rows(&mut self) -> Result<(), CliError> {
        let rows = std::mem::take(&mut self.rows);
        self.total = Points::ZERO;
        let mut accounts = self.accounts(&rows)?.into_iter();
        let mut lines = Vec::with_capacity(rows.len());
        for Row { line: number, raw, what } in rows {
            let (bytes, points, occurred) = match what {
                What::Receipt(receipt, points) => {
                    let account = accounts.next().ok_or_else(|| CliError::fault("an account is missing"))?;
                    let award = self.award(account, &receipt, points)?;
                    (encode(&award), points, award.occurred_at)
                }
                What::Award(award, text) => (text.into_bytes(), award.amount, award.occurred_at),
                What::OtherBrand(_) | What::TooSmall | What::Bad(_) => continue,
            };
            lines.push(Line { number, raw, bytes: bytes.into(), points, occurred });
        }
        let lines = self.timely(lines);
        self.send(lines, 0)
    }

    /// Rejects lines of the future, and in a driven network those that lie far ahead of the ones before: a
    /// mistyped year must not move the network's time, and let everybody's points expire.
    fn timely(&mut self, lines: Vec<Line>) -> Vec<Line> {
        let now = clock::now().seconds().saturating_add(AHEAD);
        let mut latest = self.time.map(|time| time.seconds());
        let mut kept = Vec::with_capacity(lines.len());
        for line in lines {
            let at = line.occurred.unwrap_or(0);
            let why = match latest {
                _ if at > now => "of the future",
                Some(latest) if at > latest.saturating_add(self.gap) => {
                    "far ahead of the rows before, see --gap"
                }
                _ => {
                    latest = latest.map(|latest| latest.max(at));
                    kept.push(line);
                    continue;
                }
            };
            self.refused.push((line.number, why.to_owned(), line.raw));
        }
        kept
    }

    /// The accounts of the receipts' members, made where there are none: two commits of the vault a batch.
    fn accounts(&self, rows: &[Row]) -> Result<Vec<AccountId>, CliError> {
        let members: Vec<&str> = rows
            .iter()
            .filter_map(|row| match &row.what {
                What::Receipt(receipt, _) => Some(receipt.member.as_str()),
                _ => None,
            })
            .collect();
        let mut wallets = Vec::with_capacity(members.len());
        let known = self.vault.wallets_of(&members).map_err(CliError::fault)?;
        if known.iter().all(Option::is_some) {
            wallets.extend(known.into_iter().flatten());
        } else {
            wallets = self.vault.create_wallets(&members).map_err(CliError::fault)?;
        }
        let wanted: Vec<_> = wallets.into_iter().map(|wallet| (wallet, self.issuer.unit)).collect();
        self.vault.ensure_accounts(&wanted).map_err(CliError::fault)
    }

    fn award(&self, sub: AccountId, receipt: &Receipt, amount: Points) -> Result<Award, CliError> {
        let money = receipt.amount.checked_mul(self.issuer.finer).and_then(Money::new);
        let sale = money.ok_or_else(|| CliError::fault("more money than 2^53 - 1"))?;
        Ok(Award {
            sub,
            amount,
            reference: Some(receipt.number.clone()),
            store: Some(receipt.store.clone()),
            till: Some(receipt.store.clone()),
            occurred_at: Some(receipt.at.seconds()),
            business_date: None,
            reason: None,
            campaign: None,
            until: None,
            from: None,
            lines: None,
            sale: Some(Sale { amount: sale, currency: self.issuer.currency }),
        })
    }

    /// Signs and sends lines. What a batch with the same lines was refused earlier is sent under the id of
    /// the next attempt, since the first one stands in the log.
    fn send(&mut self, lines: Vec<Line>, attempt: u32) -> Result<(), CliError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(lines.len() * 200);
        let mut total = Points::ZERO;
        for line in &lines {
            bytes.extend_from_slice(&line.bytes);
            bytes.push(b'\n');
            total = total
                .plus(line.points)
                .ok_or_else(|| CliError::fault("a batch of more points than 2^53 - 1"))?;
        }
        let issuer = self.issuer;
        let content = hex(blake3::hash(&bytes).as_bytes());
        let claims = PointBatch {
            aud: issuer.pen.net,
            iss: issuer.brand.clone(),
            jti: id_of(&["import", issuer.unit.as_str(), &content, &attempt.to_string()]),
            unit: issuer.unit,
            iat: None,
            exp: NEVER,
            count: 0,
            total,
            root: Hash::default(),
            on_line_error: OnLineError::Skip,
        };
        let request = issuer.pen.batch(&issuer.key, claims, bytes);
        let at = self.time(&lines);
        let command = self.network.engine.check(&request).map_err(|failure| stopped(&lines, &failure))?;
        let ticket = self.network.engine.submit(command, at);
        self.sent.push_back(Sent { lines, attempt, ticket });
        while self.sent.len() > ON_THE_WAY {
            self.take()?;
        }
        Ok(())
    }

    /// In a driven network the batch brings the time of its latest line, if that is ahead of the log's.
    fn time(&mut self, lines: &[Line]) -> Option<Time> {
        let latest = lines.iter().filter_map(|line| line.occurred).max().and_then(Time::from_seconds);
        self.time = self.time.map(|now| now.max(latest.unwrap_or(now)));
        self.time
    }

    fn take(&mut self) -> Result<(), CliError> {
        let Some(Sent { lines, attempt, ticket }) = self.sent.pop_front() else { return Ok(()) };
        let answer = match ticket.wait() {
            Ok(answer) => answer,
            // The id is made of the lines: another statement under it holds the same lines, signed with
            // another key. They went in with it.
            Err(Failure::Refused(no)) if no.code == Refusal::TokenConflict => {
                self.sums.already += count(lines.len());
                return Ok(());
            }
            Err(failure) => return Err(stopped(&lines, &failure)),
        };
        let before = answer.seq < self.before;
        let mut others = answer.others.iter().peekable();
        let mut again = vec![];
        for (line, number) in lines.into_iter().zip(1..) {
            let verdict =
                others.next_if(|other| other.line == number).map_or(Verdict::Ok, |other| other.verdict);
            match verdict {
                Verdict::Refused(_) if before => again.push(line),
                Verdict::Refused(code) => {
                    self.refused.push((line.number, format!("{code}: {}", code.text()), line.raw));
                }
                Verdict::Ok if !before => {
                    self.sums.awarded += 1;
                    self.sums.points += line.points.get();
                }
                Verdict::Ok | Verdict::AlreadyDone => self.sums.already += 1,
            }
        }
        self.sums.batches += u64::from(!before);
        self.send(again, attempt + 1)
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn stopped(lines: &[Line], failure: &Failure) -> CliError {
    let number = |line: Option<&Line>| line.map_or(0, |line| line.number);
    let why = format!(
        "lines {} to {} did not go in: {failure}\nWhat stands before them went in. Start the import again when \
         that is mended: it goes on from there.",
        number(lines.first()),
        number(lines.last())
    );
    match failure {
        Failure::Refused(_) => CliError::Refused(why),
        Failure::Deposed | Failure::Busy | Failure::Unavailable(_) => CliError::Fault(why),
    }
}
