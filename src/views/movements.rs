//! The view of movements: an account's history with the balance after each step.
//!
//! Owns: the tables `movements`, appended in the order of the log, and `heads`, which says where each
//! account's history begins and ends, and whose points it holds.
//! Promises: every leg on a holder's account is here, split by where the points came from or went; the
//! amounts add up to the leg, and the balance after the last of them is the leg's.
//! Refuses to know: holds, which move nothing, and awards that expire the moment they are given, which
//! reach no account.
//!
//! A movement points at its account's previous one, so a history needs no second index: it is a walk from
//! the head backwards. Before a run is written its movements are sorted by account; then each account's
//! head is looked up and written once, in the order of accounts.

use super::follow::{Entry, payment_of};
use super::reader::{Reader, Shown, time};
use super::walks::{Back, InOneArray, InOneText, Since, Walk};
use super::{concerns, payments, units};
use crate::book::{Leg, Place, Shared};
use crate::machine::{Effect, Kind};
use crate::store::Fault;
use crate::store::base::{Link, insert, on};
use crate::store::named::Named;
use crate::store::page::at_most;
use crate::store::rows::{Cells, Tuple};
use crate::types::{AccountId, Asset, PaymentId, Time};
use diesel::prelude::*;

diesel::table! {
    movements (id) {
        id -> BigInt,
        account -> BigInt,
        prev -> Nullable<BigInt>,
        kind -> BigInt,
        other -> BigInt,
        amount -> BigInt,
        balance -> BigInt,
        at -> BigInt,
        payment -> Nullable<BigInt>,
    }
}

diesel::table! {
    heads (account) {
        account -> Binary,
        first -> BigInt,
        last -> BigInt,
        brand -> BigInt,
    }
}

/// What came to an account, or left it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Movement {
    /// Its number: later movements of an account have higher ones.
    pub id: u64,
    /// The entry.
    pub seq: u64,
    /// The entry's time.
    pub at: Time,
    /// The entry's kind.
    pub kind: Kind,
    /// Where the points came from or went to.
    pub other: Shared,
    /// How many, in the unit's smallest: + came, − left.
    pub amount: i64,
    /// Available, held and pending points after it.
    pub balance: i64,
    /// The payment they were spent in, or given back from.
    pub payment: Option<PaymentId>,
}

/// As of when a balance is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// After everything that happened up to and at this instant.
    Time(Time),
    /// After this entry.
    Seq(u64),
}

/// Movements that an entry's ids have room for. A batch has at most 10,000 lines; a line makes three
/// movements at the most (given, taken for what is owed, expired).
pub(super) const ROOM: i64 = 32_768;
/// So many accounts are looked up, and then written while their pages are at hand.
const ACCOUNTS: usize = 4_000;

fn first_id(seq: u64) -> Option<i64> {
    i64::try_from(seq).ok()?.checked_mul(ROOM)
}

/// Kinds as integers, for ever.
fn kind_code(kind: Kind) -> i64 {
    match kind {
        Kind::Genesis => 1,
        Kind::Term => 2,
        Kind::ParticipantRegistered => 3,
        Kind::BrandRegistered => 4,
        Kind::BrandFrozen => 5,
        Kind::NetworkFrozen => 6,
        Kind::KeyCertified => 7,
        Kind::KeyRevoked => 8,
        Kind::BudgetSet => 9,
        Kind::UnitDefined => 10,
        Kind::UnitFrozen => 11,
        Kind::PricesPublished => 12,
        Kind::AcceptancePublished => 13,
        Kind::Snapshot => 14,
        Kind::AccountOpened => 15,
        Kind::AccountFrozen => 16,
        Kind::AccountKeyRevoked => 17,
        Kind::PointsIssued => 18,
        Kind::PointsBatch => 19,
        Kind::PaymentAuthorised => 20,
        Kind::PaymentCaptured => 21,
        Kind::PaymentVoided => 22,
        Kind::PaymentRefunded => 23,
        Kind::Tick => 24,
        Kind::Refused => 25,
        Kind::ConsentOpened => 26,
        Kind::EvidenceErased => 27,
        Kind::OfferMade => 28,
        Kind::OfferCancelled => 29,
        Kind::ExchangeMade => 30,
        Kind::BreakagePublished => 31,
        Kind::FeesPublished => 65,
        Kind::TaxPublished => 66,
        Kind::AccountTierSet => 67,
        Kind::CycleSealed => 40,
        Kind::CycleComputed => 41,
        Kind::CycleMoved => 42,
        Kind::ObjectionFiled => 43,
        Kind::ObjectionAnswered => 44,
        Kind::StatementImported => 45,
        Kind::StatementAccepted => 46,
        Kind::InstructionMoved => 47,
        Kind::FundingSet => 48,
        Kind::DetailsSet => 60,
        Kind::DetailsConfirmed => 61,
        Kind::ScheduleSet => 62,
        Kind::CycleDue => 63,
        Kind::NettingSet => 70,
        Kind::CycleSetOff => 71,
        Kind::DueConfirmed => 72,
        Kind::DueClaimed => 73,
        Kind::LineAssigned => 74,
        Kind::StatementRejected => 75,
        Kind::PeriodClosed => 64,
        Kind::DisputeFiled => 49,
        Kind::DisputeMoved => 50,
        Kind::ComplaintFiled => 51,
        Kind::ComplaintMoved => 52,
        Kind::ReserveSet => 53,
        Kind::CoverMoved => 54,
        Kind::MarginCalled => 55,
        Kind::PointsClawedBack => 76,
    }
}

/// Shared accounts as integers, for ever.
fn shared_code(shared: Shared) -> i64 {
    match shared {
        Shared::Issuance => 0,
        Shared::Redeemed => 1,
        Shared::Exchanged => 2,
        Shared::Transit => 3,
        Shared::Expired => 4,
        Shared::ClawedBack => 5,
        Shared::Forfeited => 6,
    }
}

/// The movements of a run, in the order of the log.
#[derive(Default)]
pub(super) struct Run {
    rows: Vec<Row>,
    /// Whose each row is, and its place among the rows.
    owners: Vec<(AccountId, usize)>,
}

struct Row {
    id: i64,
    account: i64,
    prev: Option<i64>,
    kind: i64,
    other: i64,
    amount: i64,
    balance: i64,
    at: i64,
    payment: Option<i64>,
    /// Whose points they are; kept with the account.
    brand: i64,
}

impl Run {
    pub(super) fn take(
        &mut self,
        entry: &Entry,
        units: &units::Run,
        brands: &mut concerns::Run,
    ) -> Result<(), String> {
        let mut next = first_id(entry.event.seq).ok_or("its number is too large")?;
        let end = next.checked_add(ROOM).ok_or("its number is too large")?;
        for effect in &entry.event.effects {
            let Some((account, leg)) = holder_leg(effect)? else { continue };
            let Asset::Unit(unit) = leg.asset else { return Err("an account that holds money".into()) };
            let brand = brands.number(&units.unit(unit)?.brand);
            let mut balance = balance_before(leg)?;
            for part in split(effect, leg)? {
                balance = balance.checked_add(part.amount).ok_or("a balance overflows")?;
                let spent = part.other == Shared::Redeemed;
                let payment = spent.then(|| payment_of(effect)).flatten();
                self.owners.push((account, self.rows.len()));
                self.rows.push(Row {
                    id: next,
                    account: next,
                    prev: None,
                    kind: kind_code(entry.event.kind),
                    other: shared_code(part.other),
                    amount: part.amount,
                    balance,
                    at: entry.event.at.micros(),
                    payment: payment.map(payments::number).transpose()?,
                    brand,
                });
                next = next.checked_add(1).filter(|next| *next < end).ok_or("too many movements")?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, connection: &mut Link<'_>) -> QueryResult<()> {
        // Rows of one account stay in the order of the log.
        self.owners.sort_unstable();
        let mut histories: Vec<(AccountId, &[(AccountId, usize)])> = vec![];
        for rows in self.owners.chunk_by(|a, b| a.0 == b.0) {
            histories.extend(rows.first().map(|(account, _)| (*account, rows)));
        }
        for some in histories.chunks(ACCOUNTS) {
            let mut heads: Vec<Head> = some.iter().map(|(account, _)| Head::new(*account)).collect();
            look_up(connection, &mut heads)?;
            for (head, (_, rows)) in heads.iter_mut().zip(some) {
                for (_, place) in *rows {
                    if let Some(row) = self.rows.get_mut(*place) {
                        head.append(row);
                    }
                }
            }
            insert(connection, &heads)?;
        }
        insert(connection, &self.rows)
    }
}

/// The one leg on a holder's account in a part, if it moves any.
fn holder_leg(effect: &Effect) -> Result<Option<(AccountId, &Leg)>, String> {
    let mut legs = effect.done.legs.iter().filter_map(|leg| match leg.place {
        Place::Holder(account) => Some((account, leg)),
        _ => None,
    });
    let first = legs.next();
    if legs.next().is_some() { Err("a part moves two accounts".into()) } else { Ok(first) }
}

fn balance_before(leg: &Leg) -> Result<i64, String> {
    let after = leg.after.ok_or("an account's leg without the balance after")?;
    after.checked_sub(leg.amount).ok_or_else(|| "a balance overflows".into())
}

/// What moved between an account and one shared account.
struct Moved {
    other: Shared,
    amount: i64,
}

/// Splits a holder's leg by the shared accounts on the other side. What came stands before what left, so
/// that no balance in between is below zero.
fn split(effect: &Effect, leg: &Leg) -> Result<Vec<Moved>, String> {
    let mut moved = Vec::with_capacity(1);
    let mut sum = leg.amount;
    for other in effect.done.legs.iter().filter(|other| other.asset == leg.asset) {
        if let Place::Shared(_, shared) = other.place {
            sum = sum.checked_add(other.amount).ok_or("a sum overflows")?;
            let amount = other.amount.checked_neg().ok_or("an amount overflows")?;
            moved.push(Moved { other: shared, amount });
        }
    }
    if sum != 0 {
        return Err(format!("the legs of a part sum to {sum}"));
    }
    moved.sort_by_key(|moved| moved.amount < 0);
    Ok(moved)
}

impl Tuple for Row {
    type Id = Self;
    const INTO: &'static str = "movements (id, account, prev, kind, other, amount, balance, at, payment)";
    const AFTER: &'static str = "";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.int(&self.id)?;
        out.int(&self.account)?;
        out.maybe_int(&self.prev)?;
        for number in [&self.kind, &self.other, &self.amount, &self.balance, &self.at] {
            out.int(number)?;
        }
        out.maybe_int(&self.payment)
    }
}

/// An account's history: its first and last movement, the latter once there is one.
struct Head {
    account: [u8; 16],
    first: Option<i64>,
    last: Option<i64>,
    brand: i64,
}

impl Head {
    fn new(account: AccountId) -> Self {
        Self { account: account.0.to_be_bytes(), first: None, last: None, brand: 0 }
    }

    fn append(&mut self, row: &mut Row) {
        self.brand = row.brand;
        row.account = *self.first.get_or_insert(row.id);
        row.prev = self.last.replace(row.id);
    }
}

impl Tuple for Head {
    type Id = Self;
    const INTO: &'static str = "heads (account, first, last, brand)";
    const AFTER: &'static str = " ON CONFLICT (account) DO UPDATE SET last = excluded.last";

    fn cells<'b>(&'b self, out: &mut impl Cells<'b>) -> QueryResult<()> {
        out.bytes(&self.account[..])?;
        out.maybe_int(&self.first)?;
        out.maybe_int(&self.last)?;
        out.int(&self.brand)
    }
}

/// Fills in what the table knows of these accounts.
fn look_up(connection: &mut Link<'_>, heads: &mut [Head]) -> QueryResult<()> {
    let found: Vec<(i64, i64, i64)> = match connection {
        Link::Sqlite(connection) => {
            let keys: Vec<u8> = heads.iter().flat_map(|head| head.account).collect();
            let last = i64::try_from(heads.len()).unwrap_or(i64::MAX).saturating_sub(1);
            InOneText { keys, last }.load(*connection)?
        }
        Link::Postgres(connection) => {
            InOneArray { keys: heads.iter().map(|head| &head.account[..]).collect() }.load(*connection)?
        }
    };
    for (at, first, last) in found {
        if let Some(head) = usize::try_from(at).ok().and_then(|at| heads.get_mut(at)) {
            (head.first, head.last) = (Some(first), Some(last));
        }
    }
    Ok(())
}

type Kept = (i64, i64, i64, i64, i64, i64, Option<i64>);

fn listed(file: &Named, row: Kept) -> Result<Movement, Fault> {
    let (id, kind, other, amount, balance, at, payment) = row;
    let place = format!("movements, {id}");
    let seq = file.seq(id.div_euclid(ROOM))?;
    let kind = Kind::ALL.iter().find(|have| kind_code(**have) == kind);
    let other = Shared::ALL.into_iter().find(|have| shared_code(*have) == other);
    Ok(Movement {
        id: file.seq(id)?,
        seq,
        at: time(file, &place, at)?,
        kind: *kind.ok_or_else(|| file.damaged(&place, "no such kind"))?,
        other: other.ok_or_else(|| file.damaged(&place, "no such shared account"))?,
        amount,
        balance,
        payment: payment.map(|number| payments::id_of(file, number)).transpose()?,
    })
}

fn head(connection: &mut Link<'_>, account: AccountId) -> QueryResult<Option<(i64, i64)>> {
    let key = account.0.to_be_bytes();
    let head = heads::table.find(&key[..]).select((heads::first, heads::last));
    on!(connection, c => head.first(c)).optional()
}

/// The number of the brand whose points an account holds, and the entry from which on that is known: the first that moved
/// anything on it.
pub(super) fn brand_of(connection: &mut Link<'_>, account: AccountId) -> QueryResult<Option<(i64, i64)>> {
    let key = account.0.to_be_bytes();
    let brand = heads::table.find(&key[..]).select((heads::brand, heads::first));
    let found: Option<(i64, i64)> = on!(connection, c => brand.first(c)).optional()?;
    Ok(found.map(|(brand, first)| (brand, first / ROOM)))
}

/// Where a page begins: at the account's last movement, or at the one before `before`, which must be a
/// movement of this account: another account's leads nowhere.
fn page_start(
    connection: &mut Link<'_>,
    account: AccountId,
    before: Option<i64>,
) -> QueryResult<Option<i64>> {
    let Some((first, last)) = head(connection, account)? else { return Ok(None) };
    let Some(before) = before else { return Ok(Some(last)) };
    let own = movements::table.find(before).filter(movements::account.eq(first));
    let own = own.select(movements::prev);
    let prev: Option<Option<i64>> = on!(connection, c => own.first(c)).optional()?;
    Ok(prev.flatten())
}

pub(super) fn wipe(connection: &mut Link<'_>) -> QueryResult<()> {
    on!(connection, c => {
        diesel::delete(movements::table).execute(c)?;
        diesel::delete(heads::table).execute(c).map(|_| ())
    })
}

impl Reader {
    /// What moved on an account, newest first, at most `limit`; with `before`, the id of the last movement
    /// of the page before, what is older. An id that is not this account's finds nothing.
    pub fn history(
        &self,
        account: AccountId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Shown<Vec<Movement>>, Fault> {
        let before = before.map(|id| i64::try_from(id).unwrap_or(i64::MAX));
        let query = |connection: &mut Link<'_>| match page_start(connection, account, before)? {
            Some(from) => {
                let walk = Walk { from, limit: at_most(limit) };
                on!(connection, c => walk.load(c))
            }
            None => Ok(vec![]),
        };
        self.show("read an account's history", query, |file, rows: Vec<Kept>| {
            rows.into_iter().map(|row| listed(file, row)).collect()
        })
    }

    /// The entries that moved something on an account, after `after` (`None`: from the first), in order, at
    /// most `limit`. It walks over all that moved since, so it is for catching up.
    pub fn moving(
        &self,
        account: AccountId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Shown<Vec<u64>>, Fault> {
        let id = after.map_or(Some(0), |after| first_id(after.saturating_add(1))).unwrap_or(i64::MAX);
        let query = |connection: &mut Link<'_>| match head(connection, account)? {
            Some((_, from)) => {
                let since = Since { from, id, limit: at_most(limit) };
                on!(connection, c => since.load::<i64>(c))
            }
            None => Ok(vec![]),
        };
        self.show("list an account's entries", query, |file, rows| {
            rows.into_iter().map(|seq| file.seq(seq)).collect()
        })
    }

    /// The balance of an account (available, held and pending points) as of a moment; `None` if nothing
    /// had moved on it by then. It says nothing about moments after `as_of`.
    pub fn balance_as_of(&self, account: AccountId, moment: Moment) -> Result<Shown<Option<i64>>, Fault> {
        let (at, id) = match moment {
            Moment::Time(at) => (at.micros(), i64::MAX),
            Moment::Seq(seq) => (i64::MAX, first_id(seq.saturating_add(1)).unwrap_or(i64::MAX)),
        };
        let query = |connection: &mut Link<'_>| match head(connection, account)? {
            Some((_, from)) => on!(connection, c => Back { from, at, id }.load::<i64>(c)),
            None => Ok(vec![]),
        };
        self.show("read an account's balance", query, |_, rows| Ok(rows.first().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_two_kinds_have_the_same_code() {
        let mut have = BTreeMap::new();
        for kind in Kind::ALL {
            let before = have.insert(kind_code(*kind), *kind);
            assert_eq!(before, None, "{kind:?} is read back as what has its code");
        }
    }
}
