//! The draft on which a command is decided: committed state, an overlay, the parts in the making.
//!
//! Nothing leaves a draft but through [`Draft::finish`], which checks every sum; a refused draft is
//! simply dropped. Within a batch, [`Draft::begin_line`] and [`Draft::end_line`] make each line all or
//! nothing.

use super::account::Account;
use super::change::{Done, Leg, Place, totals_of};
use super::clearing::{Closing, Complaint, Cycle, Instruction, Objection, Statement};
use super::dispute::Dispute;
use super::fees::Supply;
use super::name::Name;
use super::part::{Effects, PartKey, PartOut, Tag};
use super::record::{self, Record};
use super::sums::{account_changes, balance, check_sums, pair_total};
use crate::types::{
    AccountId, Asset, BrandId, CauseId, ComplaintId, ConsentId, Currency, DisputeId, Ident, InstructionId,
    MAX_INT, Money, ObjectionId, OfferId, ParticipantId, PaymentId, Refusal, Refused, Time, UnitCode,
};
use hashbrown::DefaultHashBuilder;
use indexmap::IndexMap;
use std::ops::Deref;
use std::sync::Arc;

/// What a source knows of a record.
pub enum Found {
    /// This is it.
    Known(Arc<Record>),
    /// There is none.
    Absent,
    /// The source must be asked to load it first.
    NotLoaded,
}

/// Committed state, as far as it is at hand.
pub trait Source {
    /// Looks a record up.
    fn find(&self, name: &Name) -> Found;
}

/// Why a decision stopped.
#[derive(Debug)]
pub enum Stop {
    /// A domain "no".
    Refused(Refused),
    /// These records must be loaded; then decide again from the start.
    Need(Vec<Name>),
    /// The same command took effect in this entry: give its answer again.
    Known(u64),
    /// A sum that should be zero is not, or the like: a defect, never a refusal.
    Bug(String),
}

impl From<Refusal> for Stop {
    fn from(code: Refusal) -> Self {
        Self::Refused(code.into())
    }
}

impl From<Refused> for Stop {
    fn from(no: Refused) -> Self {
        Self::Refused(no)
    }
}

struct Part {
    key: PartKey,
    tag: Option<Tag>,
    legs: Vec<Leg>,
    /// Records this part changed, with their value before it did.
    touched: Vec<(Name, Option<Arc<Record>>)>,
    done: Option<Done>,
}

enum Undo {
    Record(Name, Option<Option<Arc<Record>>>),
    /// What was added, and whether the draft had no such total before.
    Total(Name, i64, bool),
}

/// A record of a known shape.
pub struct Of<T: 'static> {
    record: Arc<Record>,
    shape: fn(&Record) -> Option<&T>,
}

impl<T> Deref for Of<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match (self.shape)(&self.record) {
            Some(shape) => shape,
            None => unreachable!("a record under another record's name"),
        }
    }
}

/// The draft of one entry.
pub struct Draft<'a> {
    source: &'a dyn Source,
    /// Log time of the entry: every deadline compares with it.
    pub at: Time,
    /// The entry's place, if it is appended.
    pub seq: u64,
    now: IndexMap<Name, Option<Arc<Record>>, DefaultHashBuilder>,
    parts: Vec<Part>,
    /// Where the part of the current line stands, and what to undo if the line is refused.
    line: Option<usize>,
    undo: Vec<Undo>,
    /// Units whose issuers are asked when the entry ends, and what is paid for their points.
    asked: Vec<(UnitCode, Currency, Money)>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $get:ident($($arg:ident: $kind:ty),*) = $name:expr, $shape:ty, $unknown:expr;)*) => {
        $($(#[$doc])* pub fn $get(&mut self, $($arg: $kind),*) -> Result<Of<$shape>, Stop> {
            match self.get(&$name)? {
                Some(record) => Ok(Of { record, shape: Record::$get }),
                None => Err($unknown.into()),
            }
        })*
    };
}

impl<'a> Draft<'a> {
    /// An empty draft over committed state.
    pub fn new(source: &'a dyn Source, seq: u64, at: Time) -> Self {
        let (now, parts, line, undo, asked) = (IndexMap::default(), vec![], None, vec![], vec![]);
        Self { source, at, seq, now, parts, line, undo, asked }
    }

    /// The record as of `at`: what is due on it is booked first.
    pub fn get(&mut self, name: &Name) -> Result<Option<Arc<Record>>, Stop> {
        let record = match self.now.get(name) {
            Some(record) => record.clone(),
            // Named after this entry's own place: no earlier one can have made it.
            None if name.seq() == Some(self.seq) => None,
            None => match self.source.find(name) {
                Found::Known(record) => Some(record),
                Found::Absent => None,
                Found::NotLoaded => return Err(Stop::Need(vec![name.clone()])),
            },
        };
        match (name, &record) {
            (Name::Account(id), Some(have)) if have.due().is_some_and(|due| due <= self.at) => {
                self.book_due(*id, name, have.clone())?;
                Ok(self.now.get(name).cloned().flatten())
            }
            _ => Ok(record),
        }
    }

    fn book_due(&mut self, id: AccountId, name: &Name, record: Arc<Record>) -> Result<(), Stop> {
        let at = self.at;
        let part = self.part_of(id);
        self.touch(part, name, Some(record));
        let Some(Record::Account(account)) = self.overlay(name) else {
            return Err(Stop::Bug(format!("{name} is not an account")));
        };
        let (unit, expired) = (account.head.unit, account.settle(at));
        if !expired.is_zero() {
            let shared = Place::Shared(unit, super::Shared::Expired);
            self.move_points(part, unit, Place::Holder(id), shared, expired.signed())?;
        }
        Ok(())
    }

    getters! {
        /// The network.
        network() = Name::Network, super::network::Network, Stop::Bug("no network".into());
        /// A participant.
        participant(id: &ParticipantId) = Name::Participant(id.clone()), super::network::Participant, Refused::about(Refusal::ParticipantUnknown, id);
        /// A brand.
        brand(id: &BrandId) = Name::Brand(id.clone()), record::Brand, Refused::about(Refusal::BrandUnknown, id);
        /// A key.
        key(kid: crate::types::Kid) = Name::Key(kid), record::KeyRecord, Refused::about(Refusal::KeyUnknown, kid);
        /// A budget.
        budget(kid: crate::types::Kid) = Name::Budget(kid), record::Budget, Refused::about(Refusal::BudgetMissing, kid);
        /// A unit.
        unit(code: UnitCode) = Name::Unit(code), record::Unit, Refused::about(Refusal::UnitUnknown, code);
        /// A unit's prices.
        prices(code: UnitCode) = Name::Prices(code), super::terms::Prices, Refused::about(Refusal::NoPrice, code);
        /// An account.
        account(id: AccountId) = Name::Account(id), Account, Refused::about(Refusal::AccountUnknown, id);
        /// A payment.
        payment(id: PaymentId) = Name::Payment(id), record::Payment, Refused::about(Refusal::PaymentUnknown, id);
        /// An offer.
        offer(id: OfferId) = Name::Offer(id), super::offer::Offer, Refused::about(Refusal::OfferUnknown, id);
        /// A unit's share of a payment.
        share(id: PaymentId, unit: UnitCode) = Name::Share(id, unit), record::Share, Stop::Bug(format!("{id} has no share of {unit}"));
        /// A consent that stays open.
        consent(id: ConsentId) = Name::Consent(id), record::Consent, Refused::about(Refusal::ConsentUnknown, id);
        /// Whose code opened a consent.
        shown(id: ConsentId) = Name::Shown(id), record::Shown, Stop::Bug(format!("{id} was opened by nobody"));
        /// Which cycles are open or under way.
        cycle() = Name::Cycle, Cycle, Stop::Bug("no cycle".into());
        /// A cycle.
        closing(cycle: u64) = Name::Closing(cycle), Closing, Refused::about(Refusal::CycleUnknown, cycle);
        /// An instruction.
        instruction(id: InstructionId) = Name::Instruction(id), Instruction, Refused::about(Refusal::InstructionUnknown, id);
        /// An objection.
        objection(id: ObjectionId) = Name::Objection(id), Objection, Refused::about(Refusal::ObjectionUnknown, id);
        /// A dispute.
        dispute(id: DisputeId) = Name::Dispute(id), Dispute, Refused::about(Refusal::DisputeUnknown, id);
        /// A complaint.
        complaint(id: ComplaintId) = Name::Complaint(id), Complaint, Refused::about(Refusal::ComplaintUnknown, id);
        /// A bank statement.
        statement(currency: Currency, id: &Ident) = Name::Statement(currency, id.clone()), Statement, Refused::about(Refusal::StatementUnknown, id);
    }

    /// Asks for all of these that are not at hand, at once: for decisions that read many records.
    pub fn want(&self, names: impl IntoIterator<Item = Name>) -> Result<(), Stop> {
        let away =
            |name: &Name| !self.now.contains_key(name) && matches!(self.source.find(name), Found::NotLoaded);
        let need: Vec<Name> = names.into_iter().filter(away).collect();
        if need.is_empty() { Ok(()) } else { Err(Stop::Need(need)) }
    }

    /// A total: 0 if nothing was booked.
    pub fn total(&mut self, name: &Name) -> Result<i64, Stop> {
        Ok(self.get(name)?.and_then(|record| record.total().copied()).unwrap_or(0))
    }

    /// A total as it was before this entry.
    pub fn total_before(&self, name: &Name) -> Result<i64, Stop> {
        match self.source.find(name) {
            Found::Known(record) => Ok(record.total().copied().unwrap_or(0)),
            Found::Absent => Ok(0),
            Found::NotLoaded => Err(Stop::Need(vec![name.clone()])),
        }
    }

    /// The units of which points moved in this entry, in order.
    pub fn moved_units(&self) -> Result<Vec<UnitCode>, Stop> {
        let mut units = vec![];
        for (name, record) in &self.now {
            let Name::Shared(unit, _) = name else { continue };
            let now = record.as_deref().and_then(Record::total).copied().unwrap_or(0);
            if now != self.total_before(name)? {
                units.push(*unit);
            }
        }
        units.sort_unstable();
        units.dedup();
        Ok(units)
    }

    /// Has a unit's issuer asked, when the entry ends, whether it may owe so much more for points of it, and what else they make
    /// it owe.
    pub fn ask_issuer(&mut self, unit: UnitCode, currency: Currency, amount: Money) {
        self.asked.push((unit, currency, amount));
    }

    /// Units whose issuers are asked, with what is paid for their points.
    pub fn asked_issuers(&self) -> Vec<(UnitCode, Currency, Money)> {
        self.asked.clone()
    }

    /// Stores a record's value after, in the part of those who may read it.
    pub fn put(&mut self, key: PartKey, name: Name, record: Option<Record>) -> Result<(), Stop> {
        let before = self.get(&name)?;
        let part = self.part(key);
        self.touch(part, &name, before);
        self.now.insert(name, record.map(Arc::new));
        Ok(())
    }

    /// Changes an account; the closure's refusal leaves the draft as good as dropped. It does not name the account: who is
    /// told may be a shop that knows a code only.
    pub fn change<R>(
        &mut self,
        id: AccountId,
        change: impl FnOnce(&mut Account) -> Result<R, Refusal>,
    ) -> Result<R, Stop> {
        let name = Name::Account(id);
        let before = self.get(&name)?;
        let part = self.part_of(id);
        self.touch(part, &name, before);
        match self.overlay(&name) {
            Some(Record::Account(account)) => change(account).map_err(Stop::from),
            _ => Err(Refused::about(Refusal::AccountUnknown, id).into()),
        }
    }

    /// Opens an account.
    pub fn open(&mut self, id: AccountId, account: Account) -> Result<(), Stop> {
        let key = self.line_key().unwrap_or(PartKey::Holder(id));
        self.put(key, Name::Account(id), Some(Record::Account(account)))
    }

    /// Moves points between a holder's account and a shared account of its unit: from the first place
    /// to the second, `amount` minor units (a negative amount moves the other way).
    pub fn transfer(
        &mut self,
        id: AccountId,
        unit: UnitCode,
        to: super::Shared,
        amount: i64,
    ) -> Result<(), Stop> {
        let part = self.part_of(id);
        self.move_points(part, unit, Place::Holder(id), Place::Shared(unit, to), amount)
    }

    /// Moves points between two shared accounts in an account's part.
    pub fn reroute(
        &mut self,
        id: AccountId,
        unit: UnitCode,
        from: super::Shared,
        to: super::Shared,
        amount: i64,
    ) -> Result<(), Stop> {
        let part = self.part_of(id);
        self.move_points(part, unit, Place::Shared(unit, from), Place::Shared(unit, to), amount)
    }

    fn move_points(
        &mut self,
        part: usize,
        unit: UnitCode,
        from: Place,
        to: Place,
        amount: i64,
    ) -> Result<(), Stop> {
        let minus = amount.checked_neg().ok_or(Refusal::AmountTooLarge)?;
        self.leg(part, from, Asset::Unit(unit), minus)?;
        self.leg(part, to, Asset::Unit(unit), amount)
    }

    /// Books what `debtor` owes `creditor`: `amount` more (less if negative), both legs. The one way in which an
    /// obligation comes about; it falls into the cycle that is open.
    pub fn owe(
        &mut self,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        currency: Currency,
        amount: i64,
        cause: CauseId,
    ) -> Result<(), Stop> {
        let tag = Tag { cause, cycle: self.cycle()?.open, supply: None };
        self.owe_in(debtor, creditor, currency, amount, tag)
    }

    /// Books what `debtor` owes `creditor` for a supply: net and tax, in the cycle that is open.
    pub fn owe_for(
        &mut self,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        currency: Currency,
        supply: Supply,
        cause: CauseId,
    ) -> Result<(), Stop> {
        let gross = supply.gross().ok_or(Refusal::AmountTooLarge)?;
        let tag = Tag { cause, cycle: self.cycle()?.open, supply: Some(supply) };
        self.owe_in(debtor, creditor, currency, gross, tag)
    }

    /// Books what `debtor` owes `creditor`, in the cycle that the tag names.
    pub fn owe_in(
        &mut self,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        currency: Currency,
        amount: i64,
        tag: Tag,
    ) -> Result<(), Stop> {
        let (first, second) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
        let part = self.part_tagged(PartKey::Pair(first.clone(), second.clone()), tag)?;
        let minus = amount.checked_neg().ok_or(Refusal::AmountTooLarge)?;
        let (has, owes) =
            (Place::Pair(creditor.clone(), debtor.clone()), Place::Pair(debtor.clone(), creditor.clone()));
        self.leg(part, has, Asset::Money(currency), amount)?;
        self.leg(part, owes, Asset::Money(currency), minus)
    }

    fn leg(&mut self, part: usize, place: Place, asset: Asset, amount: i64) -> Result<(), Stop> {
        // A leg of nothing is not recorded, so it must not make a total that a replay would not have.
        if amount == 0 {
            return Ok(());
        }
        let cycle = self.parts.get(part).and_then(|part| part.tag).map(|tag| tag.cycle);
        let leg = Leg { place, asset, amount, after: None };
        for name in totals_of(&leg, cycle).into_iter().flatten() {
            self.add(name, amount)?;
        }
        let legs = &mut self.parts.get_mut(part).ok_or_else(|| Stop::Bug("no such part".into()))?.legs;
        match legs.iter_mut().find(|have| have.place == leg.place && have.asset == leg.asset) {
            Some(have) => have.amount = have.amount.checked_add(amount).ok_or(Refusal::AmountTooLarge)?,
            None => legs.push(leg),
        }
        Ok(())
    }

    fn add(&mut self, name: Name, amount: i64) -> Result<(), Stop> {
        let after = self.total(&name)?.checked_add(amount).filter(|sum| sum.unsigned_abs() <= MAX_INT);
        let after = after.ok_or_else(|| Refused::about(Refusal::AmountTooLarge, &name))?;
        if self.line.is_some() {
            self.undo.push(Undo::Total(name.clone(), amount, !self.now.contains_key(&name)));
        }
        match self.now.get_mut(&name).and_then(Option::as_mut).and_then(Arc::get_mut) {
            Some(Record::Total(total)) => *total = after,
            _ => {
                self.now.insert(name, Some(Arc::new(Record::Total(after))));
            }
        }
        Ok(())
    }

    /// Begins line i of a batch: its effects stand in a part of their own.
    pub fn begin_line(&mut self, line: u16) {
        self.undo.clear();
        self.line = Some(self.parts.len());
        self.parts.push(Part {
            key: PartKey::Line(line),
            tag: None,
            legs: vec![],
            touched: vec![],
            done: None,
        });
    }

    /// Ends the line: closes its part, or undoes all that the line did.
    pub fn end_line(&mut self, keep: bool) -> Result<(), Stop> {
        let Some(at) = self.line.take() else {
            return Err(Stop::Bug("no line was begun".into()));
        };
        if keep {
            return self.close(at);
        }
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Record(name, Some(before)) => {
                    self.now.insert(name, before);
                }
                Undo::Record(name, None) => {
                    self.now.swap_remove(&name);
                }
                Undo::Total(name, _, true) => {
                    self.now.swap_remove(&name);
                }
                Undo::Total(name, amount, false) => {
                    if let Some(Some(record)) = self.now.get_mut(&name)
                        && let Record::Total(total) = Arc::make_mut(record)
                    {
                        *total = total
                            .checked_sub(amount)
                            .ok_or_else(|| Stop::Bug(format!("{name} overflows")))?;
                    }
                }
            }
        }
        if let Some(part) = self.parts.get_mut(at) {
            part.legs.clear();
            part.touched.clear();
            part.done = Some(Done::default());
        }
        Ok(())
    }

    /// The part of the current line, if there is one.
    pub fn line_key(&self) -> Option<PartKey> {
        self.line.and_then(|at| self.parts.get(at)).map(|part| part.key.clone())
    }

    fn part_of(&mut self, id: AccountId) -> usize {
        match self.line {
            Some(line) => line,
            None => self.part(PartKey::Holder(id)),
        }
    }

    fn part(&mut self, key: PartKey) -> usize {
        // Line parts are found by place only; of the others an entry has a handful, at the ends.
        let found = match (&key, self.line) {
            (PartKey::Line(_), Some(line)) => Some(line),
            _ => self.parts.iter().position(|part| part.key == key && part.tag.is_none()),
        };
        found.unwrap_or_else(|| self.new_part(key, None))
    }

    /// The part of an obligation; what is supplied is added up there.
    fn part_tagged(&mut self, key: PartKey, tag: Tag) -> Result<usize, Stop> {
        let same = |part: &Part| part.key == key && part.tag.is_some_and(|have| have.joins(&tag));
        let Some(at) = self.parts.iter().position(same) else { return Ok(self.new_part(key, Some(tag))) };
        if let (Some(have), Some(more)) =
            (self.parts.get_mut(at).and_then(|part| part.tag.as_mut()?.supply.as_mut()), tag.supply)
        {
            *have = have.plus(more).ok_or(Refusal::AmountTooLarge)?;
        }
        Ok(at)
    }

    fn new_part(&mut self, key: PartKey, tag: Option<Tag>) -> usize {
        self.parts.push(Part { key, tag, legs: vec![], touched: vec![], done: None });
        self.parts.len().saturating_sub(1)
    }

    fn touch(&mut self, part: usize, name: &Name, before: Option<Arc<Record>>) {
        if self.line.is_some() {
            self.undo.push(Undo::Record(name.clone(), self.now.get(name).cloned()));
        }
        if !self.now.contains_key(name) {
            self.now.insert(name.clone(), before.clone());
        }
        if let Some(open) = self.parts.get_mut(part)
            && !open.touched.iter().any(|(have, _)| have == name)
        {
            open.touched.push((name.clone(), before));
        }
    }

    fn overlay(&mut self, name: &Name) -> Option<&mut Record> {
        self.now.get_mut(name).and_then(Option::as_mut).map(Arc::make_mut)
    }

    fn close(&mut self, at: usize) -> Result<(), Stop> {
        let Some(part) = self.parts.get_mut(at) else {
            return Err(Stop::Bug("no such part".into()));
        };
        let mut done = Done::default();
        let mut moved: Vec<(AccountId, i64)> = vec![];
        for (name, before) in std::mem::take(&mut part.touched) {
            let after = self.now.get(&name).cloned().flatten();
            match (&name, before.as_deref(), after.as_deref()) {
                (_, before, after) if before == after => {}
                (Name::Account(id), before, Some(Record::Account(after))) => {
                    let before = before.and_then(Record::account);
                    account_changes(&mut done, *id, before, after);
                    let had = before.map_or(0, |account| account.total().signed());
                    moved.push((*id, after.total().signed().saturating_sub(had)));
                }
                _ => done.put(name, after),
            }
        }
        let cycle = part.tag.map(|tag| tag.cycle);
        done.legs = std::mem::take(&mut part.legs);
        done.legs.retain(|leg| leg.amount != 0);
        for leg in &mut done.legs {
            leg.after = match (&leg.place, leg.asset) {
                (Place::Holder(id), _) => balance(&self.now, *id),
                (Place::Pair(a, b), Asset::Money(currency)) => {
                    cycle.and_then(|cycle| pair_total(&self.now, cycle, a, b, currency))
                }
                _ => None,
            };
        }
        check_sums(&done, &moved)?;
        part.done = Some(done);
        Ok(())
    }

    /// Checks every sum and hands the effects over. The only way out of a draft.
    pub fn finish(mut self) -> Result<Effects, Stop> {
        if self.line.is_some() {
            return Err(Stop::Bug("a line is still open".into()));
        }
        for at in 0..self.parts.len() {
            if self.parts.get(at).is_some_and(|part| part.done.is_none()) {
                self.close(at)?;
            }
        }
        self.parts.sort_by_key(|part| match part.key {
            PartKey::Line(_) => 0,
            PartKey::Holder(_) => 1,
            PartKey::Pair(..) => 2,
            PartKey::Brand(_) => 3,
            PartKey::Participant(_) => 4,
            PartKey::Public => 5,
        });
        let keep = |part: &Part| {
            matches!(part.key, PartKey::Line(_)) || part.done.as_ref().is_some_and(|d| !d.is_empty())
        };
        let parts = self.parts.into_iter().filter(keep);
        let parts =
            parts.map(|part| PartOut { key: part.key, tag: part.tag, done: part.done.unwrap_or_default() });
        let records = changed(self.source, self.now);
        Ok(Effects { parts: parts.collect(), records })
    }
}

/// What is not as the source has it: a record that was touched, or came back to what it was, has not changed.
pub fn changed(
    source: &dyn Source,
    now: impl IntoIterator<Item = (Name, Option<Arc<Record>>)>,
) -> Vec<(Name, Option<Arc<Record>>)> {
    let same = |name: &Name, record: &Option<Arc<Record>>| match (source.find(name), record) {
        (Found::Known(before), Some(after)) => Arc::ptr_eq(&before, after) || before == *after,
        (Found::Absent, None) => true,
        _ => false,
    };
    now.into_iter().filter(|(name, record)| !same(name, record)).collect()
}
