//! Exposure: what a participant owes on balance, what it may come to owe, and what stands behind it.
//!
//! Owns: position, exposure, and the one check of voluntary debits.
//! Promises: a payment is authorised only if afterwards its issuer's exposure is within its cap and its cover, and what
//! it owes the shop within the pair's cap; refunds and captures of what was authorised are never refused. Where no
//! participant has a cap, nothing is looked up.
//! Refuses to know: what a debit is for.

use crate::book::{Closing, Draft, Funding, Line, Name, PartKey, Record, Stop, Way};
use crate::types::{Currency, MAX_INT, Money, ParticipantId, Refusal, Refused, Time};

/// Seconds of a bucket in which reserved headroom is counted: a reservation ends with the bucket of its deadline.
const BUCKET: u64 = 86_400;

/// What a participant stands for in one currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exposure {
    /// Booked and not settled: + is owed to it.
    pub position: i64,
    /// What it owes for the purpose of caps: credits that a cycle is paying out do not count.
    pub debt: i64,
    /// Reserved for payments that were authorised and are not captured.
    pub reserved: u64,
    /// Most that debt and reserved may come to; `None`: no limit.
    pub limit: Option<u64>,
}

impl Exposure {
    /// Debt and what is reserved.
    pub fn used(&self) -> i64 {
        self.debt.saturating_add_unsigned(self.reserved)
    }

    /// Whether it is over its limit: that happens by forced debits only.
    pub fn overrun(&self) -> bool {
        self.limit.is_some_and(|limit| i128::from(self.used()) > i128::from(limit))
    }

    /// What it may still come to owe; `None`: no limit.
    pub fn headroom(&self) -> Option<u64> {
        let left = i128::from(self.limit?).saturating_sub(i128::from(self.used()));
        Some(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
    }
}

/// What stands behind a participant's debts; `None` if nothing was set.
pub fn funding(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<Option<Funding>, Stop> {
    let record = draft.get(&Name::Funding(who.clone(), currency))?;
    Ok(record.as_deref().and_then(Record::funding).cloned())
}

/// The smaller of cap and cover.
pub fn limit(funding: &Funding) -> Option<u64> {
    let cover = funding.covered.then_some(funding.cover);
    [funding.cap, cover].into_iter().flatten().map(Money::get).min()
}

/// What is reserved at an instant: buckets that are over do not count.
pub fn reserved(funding: &Funding, at: Time) -> u64 {
    let now = at.seconds().checked_div(BUCKET).unwrap_or(0);
    let of = funding.reserved.iter().filter(|(bucket, _)| *bucket >= now);
    of.fold(0, |sum, (_, amount)| sum.saturating_add(amount.get()))
}

/// A participant's exposure.
pub fn exposure(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<Exposure, Stop> {
    let cycles = draft.cycle()?;
    let (mut position, mut debt) = (0i64, 0i64);
    for cycle in cycles.live.iter().copied().chain([cycles.open]) {
        let closing = draft.closing(cycle)?;
        let line = draft.get(&Name::Line(cycle, who.clone(), currency))?;
        let line = line.as_deref().and_then(Record::line).filter(|_| closing.approved.is_some());
        let left = match line {
            Some(line) => outstanding(line),
            None => booked(draft, cycle, &closing, who, currency)?,
        };
        position = add(position, left)?;
        // A credit that is being paid out is as good as gone.
        let counts = closing.due.is_none() || left < 0;
        debt = if counts { add(debt, left.saturating_neg())? } else { debt };
    }
    let funding = funding(draft, who, currency)?.unwrap_or_default();
    Ok(Exposure { position, debt, reserved: reserved(&funding, draft.at), limit: limit(&funding) })
}

/// What is left of a line once payments count.
fn outstanding(line: &Line) -> i64 {
    let open = i64::try_from(line.open()).unwrap_or(i64::MAX);
    let open = if line.amount < 0 { open.saturating_neg() } else { open };
    // What is carried is in the next cycle's line; until there is one it is under one of the bank's units.
    open
}

fn booked(
    draft: &mut Draft,
    cycle: u64,
    closing: &Closing,
    who: &ParticipantId,
    currency: Currency,
) -> Result<i64, Stop> {
    let mut sum = 0i64;
    for cycle in closing.includes.iter().copied().chain([cycle]) {
        sum = add(sum, draft.total(&Name::Net(cycle, who.clone(), currency))?)?;
    }
    Ok(sum)
}

fn add(a: i64, b: i64) -> Result<i64, Stop> {
    let sum = a.checked_add(b).filter(|sum| sum.unsigned_abs() <= MAX_INT);
    Ok(sum.ok_or(Refusal::AmountTooLarge)?)
}

/// A voluntary debit: `debtor` may come to owe `creditor` so much more. Refused if that is above what stands behind it.
/// With a deadline it is reserved until then; says whether it was.
pub fn voluntary(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
    deadline: Option<Time>,
) -> Result<bool, Stop> {
    if debtor == creditor || amount.is_zero() || !draft.network()?.capped {
        return Ok(false);
    }
    let Some(have) = funding(draft, debtor, currency)? else { return Ok(false) };
    let stands = exposure(draft, debtor, currency)?;
    if let Some(limit) = stands.limit {
        let after = i128::from(stands.used()).saturating_add(i128::from(amount.get()));
        if after > i128::from(limit) {
            let left = stands.headroom().unwrap_or(0);
            return Err(
                Refused::about(Refusal::ExposureExceeded, format!("{left} {currency} are left")).into()
            );
        }
    }
    if let Some((_, most)) = have.pairs.iter().find(|(who, _)| who == creditor) {
        let owed = pair(draft, debtor, creditor, currency)?;
        if i128::from(owed).saturating_add(i128::from(amount.get())) > i128::from(most.get()) {
            let about = format!("{owed} {currency} are owed, at most {most}");
            return Err(Refused::about(Refusal::PairCapExceeded, about).into());
        }
    }
    let Some(deadline) = deadline else { return Ok(false) };
    change_reserved(draft, debtor, currency, deadline, amount, Way::In)?;
    Ok(true)
}

/// What one participant owes another on balance, by the obligations that are not settled.
fn pair(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
) -> Result<i64, Stop> {
    let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
    let cycles = draft.cycle()?;
    let mut first_has = 0i64;
    for cycle in cycles.live.iter().copied().chain([cycles.open]) {
        let closing = draft.closing(cycle)?;
        if closing.approved.is_some() {
            // From approval on the settlement account stands between them.
            continue;
        }
        for cycle in closing.includes.iter().copied().chain([cycle]) {
            first_has = add(first_has, draft.total(&Name::Pair(cycle, a.clone(), b.clone(), currency))?)?;
        }
    }
    Ok(if a == creditor { first_has } else { first_has.saturating_neg() })
}

/// Takes headroom that a debtor may need until a deadline, without asking whether it has it; says whether any is
/// counted for it.
pub fn reserve(
    draft: &mut Draft,
    debtor: &ParticipantId,
    currency: Currency,
    deadline: Time,
    amount: Money,
) -> Result<bool, Stop> {
    let counted = funding(draft, debtor, currency)?.is_some();
    change_reserved(draft, debtor, currency, deadline, amount, Way::In)?;
    Ok(counted)
}

/// Gives headroom back that was reserved until a deadline: what was captured is a debt now, what was voided nothing.
pub fn release(
    draft: &mut Draft,
    debtor: &ParticipantId,
    currency: Currency,
    deadline: Time,
    amount: Money,
) -> Result<(), Stop> {
    change_reserved(draft, debtor, currency, deadline, amount, Way::Out)
}

fn change_reserved(
    draft: &mut Draft,
    debtor: &ParticipantId,
    currency: Currency,
    deadline: Time,
    amount: Money,
    way: Way,
) -> Result<(), Stop> {
    let Some(mut have) = funding(draft, debtor, currency)? else { return Ok(()) };
    let now = draft.at.seconds().checked_div(BUCKET).unwrap_or(0);
    let bucket = deadline.seconds().checked_div(BUCKET).unwrap_or(0);
    have.reserved.retain(|(of, _)| *of >= now);
    let place = have.reserved.partition_point(|(of, _)| *of < bucket);
    let before = have.reserved.get(place).filter(|(of, _)| *of == bucket).map(|(_, amount)| *amount);
    let after = match way {
        Way::In => before.unwrap_or_default().plus(amount).ok_or(Refusal::AmountTooLarge)?,
        Way::Out => before.unwrap_or_default().minus(amount).unwrap_or_default(),
    };
    if before.is_some() {
        have.reserved.remove(place);
    }
    if !after.is_zero() {
        have.reserved.insert(place, (bucket, after));
    }
    let name = Name::Funding(debtor.clone(), currency);
    draft.put(PartKey::Participant(debtor.clone()), name, Some(Record::Funding(have)))
}
