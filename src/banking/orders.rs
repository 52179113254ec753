//! Files of orders and notices, out of the instructions of the log and the accounts of the vault.
//!
//! Owns: which instructions a file is of, and when it may leave.
//! Promises: see the folder. A file's payments are the cycle's own, as they were when it was let go: what was issued again
//! leaves in a file of its own.
//! Refuses to know: how the bank gets it.

use super::{Accounts, Fault};
use crate::book::{Closing, Instruction, Line, Name, Record, Way};
use crate::clearing::{BankDetails, DebitScheme, stage};
use crate::formats::{
    Batch, FileOf, Ordered, PayInNotice, debit_day, last_day, pay_out_day, write_pain001, write_pain008,
};
use crate::machine::{CurrencySetting, Genesis};
use crate::store::Read;
use crate::types::{Currency, Date, Hash, InstructionId, Money, ParticipantId, Time};
use crate::vault::Vault;
use serde::Serialize;

/// Most lines of a cycle.
const MOST_LINES: usize = 10_001;
/// For how many days after the earliest, and around today, an approved file's day is looked for.
const MOST_DAYS: u32 = 92;

/// For which day a file is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForDay {
    /// The day on which the bank carries it out, if somebody says so; else the usual one, or that for which it was approved.
    pub on: Option<Date>,
    /// The log's day: no file is made for a day that has passed, unless it was approved then.
    pub today: Date,
}

/// What stands behind every file: log, vault, the house's accounts.
pub struct Desk<'a> {
    /// State.
    pub read: &'a dyn Read,
    /// The accounts behind their commitments; files are made with it.
    pub vault: Option<&'a Vault>,
    /// Entry 0.
    pub genesis: &'a Genesis,
    /// The house's own.
    pub accounts: &'a Accounts,
}

/// One payment of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Paid {
    /// The instruction.
    pub instruction: InstructionId,
    /// To whom, or from whom.
    pub participant: ParticipantId,
    /// How much, in the network's smallest unit.
    pub amount: Money,
    /// The version of the participant's bank details.
    pub details: u64,
    /// The account's last four characters.
    #[schema(example = "…3000")]
    pub account: String,
}

/// A file that may not have left: what the approvers look at and sign.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The SHA-256 of the file.
    pub sha256: Hash,
    /// The day on which the bank carries it out.
    pub on: Date,
    /// Its payments, in their order.
    pub payments: Vec<Paid>,
    /// Whether people signed for the account that it is paid from.
    pub signed: bool,
    /// The hash of the file that the log lets leave, if it does.
    pub approved: Option<Hash>,
    bytes: Vec<u8>,
}

/// A file that the log lets leave.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The file.
    pub bytes: Vec<u8>,
}

impl Prepared {
    /// The file itself, if the log says that a file of this hash may leave.
    pub fn release(self) -> Result<Orders, Fault> {
        match self.approved {
            Some(approved) if approved == self.sha256 => Ok(Orders { bytes: self.bytes }),
            Some(approved) => Err(Fault::No(format!(
                "the file that was approved has the SHA-256 {approved}, this one {}: made with another account or another day (--on)?",
                self.sha256
            ))),
            None => Err(Fault::No(format!(
                "nothing may leave yet: two approvers sign for the file with the SHA-256 {}",
                self.sha256
            ))),
        }
    }

    /// What they come to, in the network's smallest unit.
    pub fn sum(&self) -> u64 {
        self.payments.iter().fold(0, |sum, one| sum.saturating_add(one.amount.get()))
    }
}

impl Desk<'_> {
    pub(super) fn record(&self, name: &Name) -> Result<Option<Record>, Fault> {
        let rows = self.read.load(&[name.to_string()])?.rows;
        let read = |row: &crate::store::Kept| {
            Record::decode(name, &row.value).map_err(|e| Fault::Damaged(format!("{name}: {e}")))
        };
        rows.first().map(read).transpose()
    }

    pub(super) fn setting(&self, currency: Currency) -> Result<CurrencySetting, Fault> {
        let found = self.genesis.currencies.iter().find(|one| one.code == currency).copied();
        found.ok_or_else(|| Fault::No(format!("{currency} is not a currency of the network")))
    }

    pub(super) fn closing(&self, cycle: u64) -> Result<Closing, Fault> {
        let record = self.record(&Name::Closing(cycle))?;
        let closing = record.as_ref().and_then(Record::closing).cloned();
        closing.ok_or_else(|| Fault::No(format!("there is no cycle {cycle}")))
    }

    pub(super) fn instruction(&self, id: InstructionId) -> Result<Instruction, Fault> {
        let record = self.record(&Name::Instruction(id))?;
        let one = record.as_ref().and_then(Record::instruction).cloned();
        one.ok_or_else(|| Fault::No(format!("there is no instruction {id}")))
    }

    /// The lines of a cycle, in the order of participants and currencies.
    pub(super) fn lines(&self, cycle: u64) -> Result<Vec<(ParticipantId, Currency, Line)>, Fault> {
        let prefix = format!("line/{cycle}/");
        let mut lines = vec![];
        let loaded = self.read.scan(&prefix, MOST_LINES)?;
        for row in loaded.rows.iter().take_while(|row| row.key.starts_with(&prefix)) {
            let damaged = |e: crate::types::Malformed| Fault::Damaged(format!("{}: {e}", row.key));
            let name: Name = row.key.parse().map_err(damaged)?;
            let record = Record::decode(&name, &row.value).map_err(damaged)?;
            if let (Name::Line(_, who, currency), Record::Line(line)) = (name, record) {
                lines.push((who, currency, line));
            }
        }
        Ok(lines)
    }

    /// The instructions of a cycle in one direction: with `first`, as they were issued first, else those in force.
    pub(super) fn instructions(
        &self,
        cycle: u64,
        currency: Currency,
        first: bool,
    ) -> Result<Vec<(InstructionId, Instruction)>, Fault> {
        let mut all = vec![];
        for (_, _, line) in self.lines(cycle)?.into_iter().filter(|(_, of, _)| *of == currency) {
            let Some(mut id) = line.instruction else { continue };
            let mut one = self.instruction(id)?;
            while let (true, Some(before)) = (first, one.replaces) {
                (id, one) = (before, self.instruction(before)?);
            }
            if !one.amount.is_zero() {
                all.push((id, one));
            }
        }
        Ok(all)
    }

    /// The account that an instruction is for: what its pinned version commits to, out of the vault.
    fn details(&self, id: InstructionId, one: &Instruction) -> Result<(u64, BankDetails), Fault> {
        let who = &one.participant;
        let none = || {
            let how = "it sets them, they are confirmed, and the cycle is computed again or the payment issued again";
            Fault::No(format!("{id}: {who} has no confirmed bank details in {}: {how}", one.currency))
        };
        let version = one.details.ok_or_else(none)?;
        let name = Name::DetailsVersion(who.clone(), one.currency, version);
        let record = self.record(&name)?;
        let known = record.as_ref().and_then(Record::details_version).filter(|v| v.confirmed.is_some());
        let commitment = known.ok_or_else(none)?.commitment;
        let vault =
            self.vault.ok_or_else(|| Fault::No("the vault is needed, and is not open here".into()))?;
        let salted = vault.details(commitment)?.ok_or_else(|| {
            let how = "send them again (POST /v1/bank-details:keep, or `tallyhouse bank keep`)";
            Fault::No(format!("the vault does not have version {version} of {who}'s bank details: {how}"))
        })?;
        let details = salted.details;
        if (&details.participant, details.currency) != (who, one.currency) {
            return Err(Fault::No(format!("version {version} of {who}'s bank details is of somebody else")));
        }
        Ok((version, details))
    }

    fn batch(&self, cycle: u64, closing: &Closing, currency: Currency) -> Result<Batch, Fault> {
        let setting = self.setting(currency)?;
        let (house, signed) = self.house(cycle, currency)?;
        let approved = closing
            .approved
            .ok_or_else(|| Fault::No(format!("cycle {cycle} is {}: it is approved first", stage(closing))))?;
        Ok(Batch {
            net: self.genesis.net(),
            cycle,
            version: closing.version,
            currency,
            digits: setting.minor,
            unit: setting.bank_unit(),
            created: approved.at,
            house,
            signed,
        })
    }

    fn due(&self, cycle: u64, closing: &Closing) -> Result<u64, Fault> {
        closing.due.ok_or_else(|| Fault::No(format!("cycle {cycle} asks nobody to pay yet (pay_in)")))
    }

    fn ordered(&self, all: Vec<(InstructionId, Instruction)>) -> Result<(Vec<Ordered>, Vec<Paid>), Fault> {
        let (mut ordered, mut paid) = (vec![], vec![]);
        for (id, instruction) in all {
            let (version, details) = self.details(id, &instruction)?;
            let iban = details.iban.as_str();
            let tail = iban.get(iban.len().saturating_sub(4)..).unwrap_or_default();
            paid.push(Paid {
                instruction: id,
                participant: instruction.participant.clone(),
                amount: instruction.amount,
                details: version,
                account: format!("…{tail}"),
            });
            ordered.push(Ordered { id, instruction, details });
        }
        paid.sort_by_key(|one| one.instruction);
        Ok((ordered, paid))
    }

    /// The file of a cycle's pay-outs (pain.001).
    pub fn pay_outs(&self, cycle: u64, currency: Currency, day: ForDay) -> Result<Prepared, Fault> {
        let closing = self.closing(cycle)?;
        let batch = self.batch(cycle, &closing, currency)?;
        let mut all = self.instructions(cycle, currency, true)?;
        all.retain(|(_, one)| one.way == Way::Out);
        let sums = closing.sums.iter().find(|sums| sums.currency == currency);
        if all.is_empty() {
            return Err(Fault::No(format!("cycle {cycle} pays nobody in {currency}")));
        }
        let (due, approved) = (self.due(cycle, &closing)?, sums.and_then(|sums| sums.file));
        self.prepared(&batch, FileOf::PayOuts, all, approved, (due, day))
    }

    /// A file of orders: of the day that is asked for; else of that for which it was approved, so that it is the same
    /// whenever it is made; else of the usual one.
    fn prepared(
        &self,
        batch: &Batch,
        of: FileOf,
        all: Vec<(InstructionId, Instruction)>,
        approved: Option<Hash>,
        (due, day): (u64, ForDay),
    ) -> Result<Prepared, Fault> {
        let (ordered, payments) = self.ordered(all)?;
        let made = |on: Date| -> Result<(Date, Hash, Vec<u8>), Fault> {
            let bytes = write_pain001(&batch.transfers(of, on, &ordered)?)?;
            Ok((on, Hash::sha256(&bytes), bytes))
        };
        let mut file = made(day.on.unwrap_or_else(|| pay_out_day(due, day.today)))?;
        if let (None, Some(hash)) = (day.on, approved) {
            let earliest = pay_out_day(due, last_day(due));
            let before = day.today.number().saturating_sub(u64::from(MOST_DAYS)).saturating_mul(86_400);
            let before = Time::from_seconds(before).unwrap_or_default().date(0);
            let after = (0..=MOST_DAYS).map(|n| earliest.plus_days(n));
            let mut days = after.chain((0..=MOST_DAYS.saturating_mul(2)).map(|n| before.plus_days(n)));
            while file.1 != hash
                && let Some(on) = days.next()
            {
                let other = made(on)?;
                if other.1 == hash {
                    file = other;
                }
            }
        }
        let (on, sha256, bytes) = file;
        Ok(Prepared { sha256, on, payments, signed: batch.signed, approved, bytes })
    }

    /// The file of one pay-out that was issued again.
    pub fn again(&self, id: InstructionId, day: ForDay) -> Result<Prepared, Fault> {
        let one = self.instruction(id)?;
        if one.way == Way::In || one.replaces.is_none() {
            let how = "payments of a cycle leave together: name the cycle";
            return Err(Fault::No(format!("{id} is no pay-out that was issued again; {how}")));
        }
        let closing = self.closing(one.cycle)?;
        let batch = self.batch(one.cycle, &closing, one.currency)?;
        let (due, approved) = (self.due(one.cycle, &closing)?, one.file);
        self.prepared(&batch, FileOf::Again(id), vec![(id, one)], approved, (due, day))
    }

    /// The pay-ins of a cycle of which something is open still, each with what that is as its amount: who has paid is not
    /// asked again, and no debit takes the money twice.
    fn pay_ins(
        &self,
        cycle: u64,
        closing: &Closing,
        currency: Currency,
    ) -> Result<Vec<(InstructionId, Instruction)>, Fault> {
        if stage(closing).is_final() {
            let at = stage(closing);
            return Err(Fault::No(format!("cycle {cycle} is {at}: it asks nobody to pay any more")));
        }
        let mut all = self.instructions(cycle, currency, false)?;
        all.retain(|(_, one)| one.way == Way::In && one.fate.is_none());
        for (_, one) in &mut all {
            let open = one.amount.minus(one.confirmed).and_then(|open| open.minus(one.written_off));
            one.amount = open.unwrap_or_default();
        }
        all.retain(|(_, one)| !one.amount.is_zero());
        Ok(all)
    }

    /// What payers are asked for and is open still; `of`: one participant's only.
    pub fn notices(
        &self,
        cycle: u64,
        currency: Currency,
        of: Option<&ParticipantId>,
    ) -> Result<Vec<PayInNotice>, Fault> {
        let closing = self.closing(cycle)?;
        let (batch, due) = (self.batch(cycle, &closing, currency)?, self.due(cycle, &closing)?);
        let mut notices = vec![];
        for (id, one) in self.pay_ins(cycle, &closing, currency)? {
            if of.is_some_and(|of| *of != one.participant) {
                continue;
            }
            let by_debit = one.details.is_some()
                && batch.house.creditor_id.is_some()
                && self.details(id, &one)?.1.mandate.is_some();
            notices.push(batch.notice(id, &one, due, by_debit)?);
        }
        notices.sort_by_key(|one| one.instruction);
        Ok(notices)
    }

    /// The file of direct debits under mandates of a scheme (pain.008) for what is open, once payers were asked; `None` if
    /// nobody has one of whom something is open.
    pub fn debits(
        &self,
        cycle: u64,
        currency: Currency,
        scheme: DebitScheme,
        day: ForDay,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let closing = self.closing(cycle)?;
        let (batch, due) = (self.batch(cycle, &closing, currency)?, self.due(cycle, &closing)?);
        let mut all = vec![];
        for (id, instruction) in self.pay_ins(cycle, &closing, currency)? {
            if instruction.details.is_some() {
                let (_, details) = self.details(id, &instruction)?;
                all.push(Ordered { id, instruction, details });
            }
        }
        let debits = batch.debits(scheme, day.on.unwrap_or_else(|| debit_day(due, day.today)), &all)?;
        Ok(debits.map(|debits| write_pain008(&debits)).transpose()?)
    }
}
