//! How what is owed is settled: from what an entry says of cycles, payments and cover to movements of money.
//!
//! Owns: which of a participant's accounts money leaves, and which it reaches.
//! Promises: from the entry on that asks payers to pay, what stands between two in a cycle is owed to and by the house, so
//! that what is left there is what is not settled, and less than the bank's smallest unit that is carried on. Every amount
//! is the difference of two records, so what comes back is booked back. What the house's bank has by the journal is what its
//! statements say, with what notifications told early and without what was withdrawn and has not left.
//! Refuses to know: how accounts are called, and whose books they stand in.

use super::journal::add;
use crate::book::{
    Assigned, Funding, Instruction, Leg, Line, Name, PROVISIONAL, Place, Record, Service, Statement, Tag, Way,
};
use crate::machine::{Event, Kind};
use crate::types::{Asset, CauseId, Currency, Ident, InstructionId, Malformed, ParticipantId, UnitCode};
use std::collections::{BTreeMap, BTreeSet};

/// One of a participant's accounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Book {
    /// What it has from another participant.
    Pair(ParticipantId),
    /// The tax within that.
    PairTax(ParticipantId),
    /// What it has from the house.
    House,
    /// Its bank, as far as it pays the house and is paid by it.
    Bank,
    /// What it left with the house as cover.
    Cover,
    /// Its share of the common fund.
    Fund,
    /// What it paid beyond what it was asked for, and nobody wrote off.
    Overpaid,
    /// What it bears for others and no statement says that it brought: the operator, of what is written off and of a default.
    Borne,
    /// What it left with the house as the reserve of a unit.
    Reserve(UnitCode),
    /// What it owed another for points that end unspent.
    Breakage(ParticipantId),
    /// What the bank charged for the house's account, less what it paid on it: the operator's expense.
    Charges,
    /// The house's: what lies on its account and is nobody's; below 0, what left and was nobody's.
    Unassigned,
    /// The house's: what was on its account before the first statement.
    Opening,
}

/// Money goes from one of a participant's accounts to another; below 0 it goes back. The house's own if it is nobody's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    pub(super) who: Option<ParticipantId>,
    pub(super) from: Book,
    pub(super) to: Book,
    pub(super) currency: Currency,
    pub(super) amount: i64,
}

/// What an instruction came to.
#[derive(Clone, Copy, Default)]
struct Paid {
    cycle: u64,
    /// Of its amount.
    counted: i64,
    /// Beyond that.
    above: i64,
    missing: i64,
    kept: i64,
    /// What came back after its cycle was settled.
    late: i64,
}

impl Paid {
    fn of(one: &Instruction) -> Self {
        let counted = one.confirmed.min(one.amount);
        Self {
            cycle: one.cycle,
            counted: counted.signed(),
            above: one.confirmed.minus(counted).unwrap_or_default().signed(),
            missing: one.written_off.signed(),
            kept: one.kept.signed(),
            late: one.late.signed(),
        }
    }
}

/// What a participant has from another by the obligations of a cycle: without tax, and the tax.
type Pairs = BTreeMap<(ParticipantId, ParticipantId, Currency), (i64, i64)>;

/// Takes events in, in order, and says what was settled by each.
#[derive(Default)]
pub(super) struct Settling {
    whose: Option<ParticipantId>,
    owed: BTreeMap<u64, Pairs>,
    /// The cycles whose obligations are the house's.
    novated: BTreeSet<u64>,
    paid: BTreeMap<InstructionId, Paid>,
    /// The cycles of which nothing moves any more, but what comes back.
    ended: BTreeSet<u64>,
    lost: BTreeMap<(u64, ParticipantId, Currency), i64>,
    /// Cover and share of the fund.
    behind: BTreeMap<(ParticipantId, Currency), (i64, i64)>,
    held: BTreeMap<UnitCode, i64>,
    /// Of statements of which something is nobody's: how much, and how many parts were assigned.
    lines: BTreeMap<(Currency, Ident), (i64, usize)>,
    /// Accounts of which a statement was accepted.
    opened: BTreeSet<Currency>,
    operator: Option<ParticipantId>,
    out: Vec<Moved>,
}

fn large() -> Malformed {
    Malformed("an amount above 63 bits".into())
}

fn less(after: i64, before: i64) -> Result<i64, Malformed> {
    after.checked_sub(before).ok_or_else(large)
}

/// The tax within a leg between two participants, by its sign.
pub(super) fn tax_within(amount: i64, tag: Option<Tag>) -> Result<i64, Malformed> {
    match tag.and_then(|tag| tag.supply) {
        // Both legs are as large; the one that goes the way of the supply is the supplier's.
        Some(supply) if supply.gross() == Some(amount) => Ok(supply.amount),
        Some(supply) => supply.amount.checked_neg().ok_or_else(large),
        None => Ok(0),
    }
}

/// Whether a leg is of what somebody bears in a shortfall: its debtor owes the house so much less.
fn borne(kind: Kind, tag: Option<Tag>) -> bool {
    kind == Kind::CycleMoved && tag.is_some_and(|tag| matches!(tag.cause, CauseId::Instruction(_)))
}

impl Settling {
    /// Whether a leg is of what the house stands between no longer: what somebody bears in a shortfall, or what came back after
    /// its cycle was settled, which is owed anew in the open one.
    pub(super) fn anew(&self, kind: Kind, tag: Option<Tag>) -> bool {
        let late = |tag: Tag| {
            let of = matches!(tag.cause, CauseId::Instruction(_)) && !self.novated.contains(&tag.cycle);
            kind == Kind::LineAssigned && of
        };
        borne(kind, tag) || tag.is_some_and(late)
    }

    /// Of all participants, or of one.
    pub(super) fn of(whose: Option<ParticipantId>) -> Self {
        Self { whose, ..Self::default() }
    }

    /// Takes an event in. `owner`: who answers for a unit's points.
    pub(super) fn take(
        &mut self,
        event: &Event,
        owner: impl Fn(UnitCode) -> Option<ParticipantId>,
    ) -> Result<Vec<Moved>, Malformed> {
        let mut bears: BTreeMap<(ParticipantId, Currency), i64> = BTreeMap::new();
        let mut keeper = None;
        for effect in &event.effects {
            for leg in &effect.done.legs {
                let Some((has, other, currency)) = between(leg) else { continue };
                if borne(event.kind, effect.tag) && leg.amount > 0 {
                    add(bears.entry((has.clone(), currency)).or_default(), leg.amount)?;
                }
                let service = effect.tag.and_then(|tag| tag.supply).map(|supply| supply.service);
                if service == Some(Service::Breakage) && leg.amount > 0 {
                    keeper = Some(has.clone());
                }
                self.owe(has, other, currency, leg.amount, effect.tag)?;
            }
        }
        for effect in &event.effects {
            for (name, record) in effect.done.puts() {
                match (name, record) {
                    (Name::Closing(cycle), Some(Record::Closing(closing))) => {
                        if closing.due.is_some() {
                            let of = closing.includes.iter().chain([cycle]);
                            of.copied().try_for_each(|cycle| self.novate(cycle))?;
                        }
                        if closing.settled.is_some() || closing.voided.is_some() {
                            self.paid.retain(|_, one| one.cycle != *cycle);
                            self.ended.insert(*cycle);
                            self.lost.retain(|(of, ..), _| of != cycle);
                        }
                    }
                    (Name::Instruction(id), Some(Record::Instruction(one))) => self.pay(*id, one)?,
                    (Name::Line(cycle, who, currency), Some(Record::Line(line))) => {
                        let lost = self.lose((*cycle, who.clone(), *currency), line)?;
                        if let Some(left) = bears.get_mut(&(who.clone(), *currency)) {
                            *left = less(*left, lost)?;
                        }
                    }
                    (Name::Funding(who, currency), Some(Record::Funding(funding))) => {
                        self.fund(event.kind, who, *currency, funding, keeper.as_ref())?;
                    }
                    (Name::Reserve(unit), Some(Record::Reserve(reserve))) if reserve.issuance.is_none() => {
                        let after = reserve.held.signed();
                        let before = self.held.insert(*unit, after).unwrap_or_default();
                        if let Some(who) = owner(*unit) {
                            let (from, to) = (Book::Bank, Book::Reserve(*unit));
                            self.go(&who, from, to, reserve.currency, less(after, before)?);
                        }
                    }
                    (Name::Network, Some(Record::Network(network))) => {
                        self.operator.clone_from(&network.operator);
                    }
                    (Name::Statement(currency, id), Some(Record::Statement(statement))) => {
                        self.bank(*currency, id, statement)?;
                    }
                    _ => {}
                }
            }
        }
        // What somebody bears and was not to be paid itself it is to bring: the operator's tranche.
        for ((who, currency), amount) in bears {
            self.go(&who, Book::Borne, Book::House, currency, amount);
        }
        Ok(std::mem::take(&mut self.out))
    }

    fn go(&mut self, who: &ParticipantId, from: Book, to: Book, currency: Currency, amount: i64) {
        if amount != 0 && self.whose.as_ref().is_none_or(|whose| whose == who) {
            self.out.push(Moved { who: Some(who.clone()), from, to, currency, amount });
        }
    }

    /// The same of the house's own.
    fn house(&mut self, from: Book, to: Book, currency: Currency, amount: i64) {
        if amount != 0 && self.whose.is_none() {
            self.out.push(Moved { who: None, from, to, currency, amount });
        }
    }

    /// What of a statement's lines is nobody's, and what of them became the bank's or the operator's.
    fn bank(&mut self, currency: Currency, id: &Ident, statement: &Statement) -> Result<(), Malformed> {
        let Some(opening) = statement.accepted.and(statement.opening) else { return Ok(()) };
        if self.opened.insert(currency) {
            self.house(Book::Opening, Book::Bank, currency, opening);
        }
        let key = (currency, id.clone());
        let (nobodys, parts) = self.lines.remove(&key).unwrap_or_default();
        let after = statement.nobodys();
        self.house(Book::Unassigned, Book::Bank, currency, less(after, nobodys)?);
        for part in statement.assigned.iter().skip(parts) {
            let line = statement.lines.get(usize::from(part.line));
            let way = line.map(|line| line.way).ok_or_else(|| Malformed(format!("{id}: no such line")))?;
            let came = match way {
                Way::In => part.amount.signed(),
                Way::Out => part.amount.signed().checked_neg().ok_or_else(large)?,
            };
            let Some(operator) = self.operator.clone() else { continue };
            match part.to {
                Assigned::Charge => self.go(&operator, Book::Charges, Book::Borne, currency, came),
                Assigned::Own => self.go(&operator, Book::Bank, Book::Borne, currency, came),
                Assigned::Instruction(_) | Assigned::Line(_) | Assigned::Withdrawal(_) => {}
            }
        }
        if (0u16..).zip(&statement.lines).any(|(line, _)| !statement.left(line).is_zero()) {
            self.lines.insert(key, (after, statement.assigned.len()));
        }
        Ok(())
    }

    /// One more obligation of a cycle.
    fn owe(
        &mut self,
        has: &ParticipantId,
        other: &ParticipantId,
        currency: Currency,
        amount: i64,
        tag: Option<Tag>,
    ) -> Result<(), Malformed> {
        let Some(cycle) = tag.map(|tag| tag.cycle).filter(|cycle| *cycle != PROVISIONAL) else {
            return Ok(());
        };
        if self.whose.as_ref().is_some_and(|whose| whose != has) {
            return Ok(());
        }
        let tax = tax_within(amount, tag)?;
        let net = less(amount, tax)?;
        if self.novated.contains(&cycle) {
            self.hand_over(has, other, currency, (net, tax));
            return Ok(());
        }
        let pairs = self.owed.entry(cycle).or_default();
        let sum = pairs.entry((has.clone(), other.clone(), currency)).or_default();
        add(&mut sum.0, net)?;
        add(&mut sum.1, tax)
    }

    /// What one has from another it has from the house.
    fn hand_over(
        &mut self,
        has: &ParticipantId,
        other: &ParticipantId,
        currency: Currency,
        (net, tax): (i64, i64),
    ) {
        self.go(has, Book::Pair(other.clone()), Book::House, currency, net);
        self.go(has, Book::PairTax(other.clone()), Book::House, currency, tax);
    }

    fn novate(&mut self, cycle: u64) -> Result<(), Malformed> {
        if self.novated.insert(cycle) {
            for ((has, other, currency), sums) in self.owed.remove(&cycle).unwrap_or_default() {
                self.hand_over(&has, &other, currency, sums);
            }
        }
        Ok(())
    }

    /// What banks said of an instruction, and what of it was written off.
    fn pay(&mut self, id: InstructionId, one: &Instruction) -> Result<(), Malformed> {
        let after = Paid::of(one);
        let ended = self.ended.contains(&one.cycle);
        let before = self.paid.insert(id, after);
        let before = before.unwrap_or(if ended { Paid { late: 0, ..after } } else { Paid::default() });
        let (who, currency) = (&one.participant, one.currency);
        let late = less(after.late, before.late)?;
        if late != 0 {
            let back = if one.way == Way::In { late } else { late.checked_neg().ok_or_else(large)? };
            self.go(who, Book::House, Book::Bank, currency, back);
            if let Some(operator) = self.operator.clone() {
                self.go(&operator, Book::Borne, Book::House, currency, back);
            }
        }
        let counted = less(after.counted, before.counted)?;
        match one.way {
            Way::In => self.go(who, Book::Bank, Book::House, currency, counted),
            Way::Out => self.go(who, Book::House, Book::Bank, currency, counted),
        }
        self.go(who, Book::Bank, Book::Overpaid, currency, less(after.above, before.above)?);
        let (missing, kept) = (less(after.missing, before.missing)?, less(after.kept, before.kept)?);
        self.go(who, Book::Overpaid, Book::House, currency, kept);
        if let Some(bearer) = &one.bearer {
            self.go(bearer, Book::Borne, Book::House, currency, less(missing, kept)?);
        }
        Ok(())
    }

    /// How much more a receiver does not get.
    fn lose(&mut self, place: (u64, ParticipantId, Currency), line: &Line) -> Result<i64, Malformed> {
        let after = line.lost.signed();
        let before = match after {
            0 => self.lost.remove(&place),
            _ => self.lost.insert(place, after),
        };
        less(after, before.unwrap_or_default())
    }

    /// Cover and a share of the fund are brought, taken back or drawn.
    fn fund(
        &mut self,
        kind: Kind,
        who: &ParticipantId,
        currency: Currency,
        funding: &Funding,
        keeper: Option<&ParticipantId>,
    ) -> Result<(), Malformed> {
        let after = (funding.cover.signed(), funding.fund.signed());
        let before = self.behind.insert((who.clone(), currency), after).unwrap_or_default();
        let (cover, fund) = (less(after.0, before.0)?, less(after.1, before.1)?);
        let (of_cover, of_fund) = match kind {
            Kind::CycleMoved => (Book::House, Book::House),
            Kind::CoverMoved => (Book::Bank, Book::Bank),
            // Points that end unspent make the fund larger, by what their issuer owes for that.
            _ => (Book::Bank, keeper.cloned().map_or(Book::Bank, Book::Breakage)),
        };
        self.go(who, of_cover, Book::Cover, currency, cover);
        self.go(who, of_fund, Book::Fund, currency, fund);
        Ok(())
    }
}

fn between(leg: &Leg) -> Option<(&ParticipantId, &ParticipantId, Currency)> {
    match (&leg.place, leg.asset) {
        (Place::Pair(has, other), Asset::Money(currency)) => Some((has, other, currency)),
        _ => None,
    }
}
