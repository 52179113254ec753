//! Exposure: what a participant owes on balance, what it may come to owe, and what stands behind it.
//!
//! Owns: position, exposure, how a participant stands, and the one check of voluntary debits.
//! Promises: a payment is authorised, and a firm offer made, only if afterwards its issuer's exposure is within its cap and
//! its cover, and what it owes the shop, or may come to, within the pair's cap; refunds and captures of what was
//! authorised, and what was firmly offered, are never refused. Where no participant has a cap, nothing is looked up. A
//! refusal tells amounts to whose they are, and to the operator: anybody else could ask for their competitors' headroom.
//! Refuses to know: what a debit is for.

use crate::book::{Closing, Draft, Funding, Line, MarginCall, Name, PartKey, Record, Stop, Way};
use crate::network::speaker;
use crate::types::{Currency, MAX_INT, Money, ParticipantId, Refusal, Refused, Time};
use serde::{Deserialize, Serialize};

/// Seconds of a bucket in which reserved headroom is counted: a reservation ends with the bucket of its deadline.
const BUCKET: u64 = 86_400;
/// The same of what is held for firm offers, which live a minute.
const FIRM_BUCKET: u64 = 10;
/// The part of a participant's limit that firm offers to one creditor may hold, where nothing else is set: a tenth.
const FIRM_PART: u64 = 10;

/// Amounts by bucket and creditor, in order.
type Held = Vec<(u64, ParticipantId, Money)>;

/// What is reserved for a debit that may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reserved {
    /// Something is.
    pub any: bool,
    /// It counts for the cap of the pair, too.
    pub paired: bool,
}

/// What a participant stands for in one currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exposure {
    /// Booked and not settled: + is owed to it.
    pub position: i64,
    /// What it owes for the purpose of caps: credits that a cycle is paying out do not count.
    pub debt: i64,
    /// Reserved for payments that were authorised and are not captured, held for firm offers, and charged back and not
    /// decided.
    pub reserved: u64,
    /// Most that debt and reserved may come to; `None`: no limit.
    pub limit: Option<u64>,
}

/// How a participant stands with what is behind it. Over its limit it is by forced debits only, and takes no voluntary
/// ones until that has changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What it owes and may come to owe is within its cap and its cover.
    Within,
    /// It is not, and nobody called upon it yet.
    Overrun,
    /// It was called upon to bring what is missing, and there is time.
    Called,
    /// The call's time has passed.
    Overdue,
}

/// How a participant stands at an instant, from its exposure and the call that was not met.
pub fn standing(stands: &Exposure, call: Option<&MarginCall>, at: Time) -> Standing {
    match call {
        _ if !stands.overrun() => Standing::Within,
        None => Standing::Overrun,
        Some(call) if at.seconds() < call.until => Standing::Called,
        Some(_) => Standing::Overdue,
    }
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

    /// What is missing: how far it is over its limit.
    pub fn missing(&self) -> Option<Money> {
        let over = i128::from(self.used()).checked_sub(i128::from(self.limit?))?;
        u64::try_from(over).ok().filter(|over| *over > 0).and_then(Money::new)
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

fn bucket(at: Time, seconds: u64) -> u64 {
    at.seconds().checked_div(seconds).unwrap_or(0)
}

/// What is reserved at an instant, firm offers included: buckets that are over do not count.
pub fn reserved(funding: &Funding, at: Time) -> u64 {
    let now = bucket(at, BUCKET);
    let of = funding.reserved.iter().filter(|(bucket, _)| *bucket >= now);
    let held = of.fold(0, |sum, (_, amount)| amount.get().saturating_add(sum));
    held.saturating_add(sum_of(&funding.firm, bucket(at, FIRM_BUCKET), None))
}

/// What a list holds from a bucket on, for one creditor or for all.
fn sum_of(held: &Held, now: u64, creditor: Option<&ParticipantId>) -> u64 {
    let counts = |(bucket, who, _): &&(u64, ParticipantId, Money)| {
        *bucket >= now && creditor.is_none_or(|creditor| creditor == who)
    };
    held.iter().filter(counts).fold(0, |sum, (_, _, amount)| amount.get().saturating_add(sum))
}

/// Adds to a bucket of a list, or takes away what is there at the most; buckets that are over are dropped.
fn change_held(
    held: &mut Held,
    now: u64,
    until: u64,
    creditor: &ParticipantId,
    amount: Money,
    way: Way,
) -> Result<(), Stop> {
    held.retain(|(bucket, ..)| *bucket >= now);
    let place = held.partition_point(|(bucket, who, _)| (*bucket, who) < (until, creditor));
    let found = held.get(place).filter(|(bucket, who, _)| *bucket == until && who == creditor);
    let before = found.map(|(.., amount)| *amount);
    let after = match way {
        Way::In => before.unwrap_or_default().plus(amount).ok_or(Refusal::AmountTooLarge)?,
        Way::Out => before.unwrap_or_default().minus(amount).unwrap_or_default(),
    };
    if before.is_some() {
        held.remove(place);
    }
    if !after.is_zero() {
        held.insert(place, (until, creditor.clone(), after));
    }
    Ok(())
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
    let disputed = draft.total(&Name::Disputed(who.clone(), currency))?.unsigned_abs();
    let reserved = reserved(&funding, draft.at).saturating_add(disputed);
    Ok(Exposure { position, debt, reserved, limit: limit(&funding) })
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
/// With a deadline it is reserved until then.
pub fn voluntary(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
    deadline: Option<Time>,
) -> Result<Reserved, Stop> {
    if debtor == creditor || amount.is_zero() || !draft.network()?.capped {
        return Ok(Reserved::default());
    }
    let Some(have) = funding(draft, debtor, currency)? else { return Ok(Reserved::default()) };
    ask(draft, &have, debtor, creditor, currency, amount)?;
    end_met_call(draft, debtor, currency)?;
    match deadline {
        Some(deadline) => reserve(draft, debtor, Some(creditor), currency, deadline, amount),
        None => Ok(Reserved::default()),
    }
}

/// Whether a debtor may of its own will come to owe so much more: nothing is booked for it, and nothing reserved.
pub fn may_owe(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
) -> Result<(), Stop> {
    if debtor == creditor || amount.is_zero() || !draft.network()?.capped {
        return Ok(());
    }
    match funding(draft, debtor, currency)? {
        Some(have) => ask(draft, &have, debtor, creditor, currency, amount),
        None => Ok(()),
    }
}

/// Whether what a debtor owes, and may come to owe, is within what stands behind it, and within the pair's cap.
pub(super) fn within(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
) -> Result<(), Stop> {
    match funding(draft, debtor, currency)? {
        Some(have) => ask(draft, &have, debtor, creditor, currency, Money::ZERO),
        None => Ok(()),
    }
}

/// Whether so much more is within what stands behind the debtor, and within the pair's cap; what may come to be owed
/// counts as owed, for a pair if its cap says so.
fn ask(
    draft: &mut Draft,
    have: &Funding,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
) -> Result<(), Stop> {
    let stands = exposure(draft, debtor, currency)?;
    if let Some(limit) = stands.limit {
        let after = i128::from(stands.used()).saturating_add(i128::from(amount.get()));
        if after > i128::from(limit) {
            let left = draft.network()?.told(currency, stands.headroom().unwrap_or(0));
            let about = format!("{debtor} may owe no more in {currency}: {}", asks(draft, debtor)?);
            let no = Refused::about(Refusal::ExposureExceeded, about);
            return Err(no.telling(debtor, format!("{left} are left")).into());
        }
    }
    if let Some((_, most)) = have.pairs.iter().find(|(who, _)| who == creditor) {
        let owed = owed_to(draft, debtor, creditor, currency)?;
        let firm = sum_of(&have.firm, bucket(draft.at, FIRM_BUCKET), Some(creditor));
        let held = sum_of(&have.paired, bucket(draft.at, BUCKET), Some(creditor)).saturating_add(firm);
        let held = if have.in_flight { held } else { 0 };
        let after =
            i128::from(owed).saturating_add(i128::from(held)).saturating_add(i128::from(amount.get()));
        if after > i128::from(most.get()) {
            let network = draft.network()?;
            let [owed, held, most] =
                [i128::from(owed), held.into(), most.get().into()].map(|n| network.told(currency, n));
            let all = format!("{owed} are owed, {held} may come to be, at most {most}");
            let about =
                format!("{debtor} may owe {creditor} no more in {currency}: {}", asks(draft, debtor)?);
            return Err(Refused::about(Refusal::PairCapExceeded, about).telling(debtor, all).into());
        }
    }
    Ok(())
}

/// Who can do something about it.
pub(super) fn asks(draft: &mut Draft, who: &ParticipantId) -> Result<String, Stop> {
    Ok(match speaker(draft, who)? {
        Some(brand) => format!("{brand} speaks for it, ask there"),
        None => "it has no brand, ask the operator".into(),
    })
}

/// Holds headroom for a firm offer until it can no longer be agreed to; says whether any is. Refused if firm offers to the
/// creditor hold as much as they may, or if there is none. In this order: who may hold a tenth at the most does not find out
/// by offers, one larger than the other, how much there is.
pub fn hold_firm(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
    until: Time,
) -> Result<bool, Stop> {
    if debtor == creditor || amount.is_zero() || !draft.network()?.capped {
        return Ok(false);
    }
    let Some(mut have) = funding(draft, debtor, currency)? else { return Ok(false) };
    let now = bucket(draft.at, FIRM_BUCKET);
    let part = limit(&have).map(|limit| limit.checked_div(FIRM_PART).unwrap_or(0));
    if let Some(most) = have.per_shop.map(Money::get).or(part) {
        let held = sum_of(&have.firm, now, Some(creditor));
        if held.saturating_add(amount.get()) > most {
            let network = draft.network()?;
            let [held, most] = [held, most].map(|n| network.told(currency, n));
            let all = format!("they hold {held}, at most {most}");
            let who = asks(draft, debtor)?;
            let about = format!(
                "firm offers to {creditor} may hold no more of what {debtor} may owe: wait until one ends; {who}"
            );
            return Err(Refused::about(Refusal::OfferLimitExceeded, about).telling(debtor, all).into());
        }
    }
    ask(draft, &have, debtor, creditor, currency, amount)?;
    change_held(&mut have.firm, now, bucket(until, FIRM_BUCKET), creditor, amount, Way::In)?;
    put(draft, debtor, currency, have)?;
    Ok(true)
}

/// Ends what is held for a firm offer: it was cancelled, or what was offered happens.
pub fn end_firm(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: &ParticipantId,
    currency: Currency,
    amount: Money,
    until: Time,
) -> Result<(), Stop> {
    let Some(mut have) = funding(draft, debtor, currency)? else { return Ok(()) };
    let now = bucket(draft.at, FIRM_BUCKET);
    change_held(&mut have.firm, now, bucket(until, FIRM_BUCKET), creditor, amount, Way::Out)?;
    put(draft, debtor, currency, have)
}

fn put(draft: &mut Draft, who: &ParticipantId, currency: Currency, have: Funding) -> Result<(), Stop> {
    let name = Name::Funding(who.clone(), currency);
    draft.put(PartKey::Participant(who.clone()), name, Some(Record::from(have)))
}

/// Ends a margin call once the participant is within its limit again.
pub fn end_met_call(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<(), Stop> {
    if !draft.network()?.capped {
        return Ok(());
    }
    let Some(have) = funding(draft, who, currency)?.filter(|have| have.call.is_some()) else {
        return Ok(());
    };
    if exposure(draft, who, currency)?.overrun() {
        return Ok(());
    }
    put(draft, who, currency, Funding { call: None, ..have })
}

/// What one participant owes another on balance, by the obligations that are not settled.
pub fn owed_to(
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

/// What is charged back against a participant and not decided changes by so much: it costs headroom, whatever that
/// leaves, and nobody gains any by it.
pub fn change_disputed(
    draft: &mut Draft,
    target: &ParticipantId,
    currency: Currency,
    change: i64,
) -> Result<(), Stop> {
    let name = Name::Disputed(target.clone(), currency);
    let after = add(draft.total(&name)?, change)?;
    draft.put(PartKey::Participant(target.clone()), name, Some(Record::Total(after)))
}

/// Takes headroom that a debtor may need until a deadline, without asking whether it has it; says what is counted for it.
/// A creditor whose cap counts what may come to be owed is named.
pub fn reserve(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: Option<&ParticipantId>,
    currency: Currency,
    deadline: Time,
    amount: Money,
) -> Result<Reserved, Stop> {
    let Some(have) = funding(draft, debtor, currency)? else { return Ok(Reserved::default()) };
    let capped =
        |creditor: &&ParticipantId| have.in_flight && have.pairs.iter().any(|(who, _)| who == *creditor);
    let creditor = creditor.filter(capped);
    change_reserved(draft, debtor, creditor, currency, deadline, amount, Way::In)?;
    Ok(Reserved { any: true, paired: creditor.is_some() })
}

/// Gives headroom back that was reserved until a deadline: what was captured is a debt now, what was voided nothing. The
/// creditor is named if it was counted for the pair.
pub fn release(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: Option<&ParticipantId>,
    currency: Currency,
    deadline: Time,
    amount: Money,
) -> Result<(), Stop> {
    change_reserved(draft, debtor, creditor, currency, deadline, amount, Way::Out)
}

fn change_reserved(
    draft: &mut Draft,
    debtor: &ParticipantId,
    creditor: Option<&ParticipantId>,
    currency: Currency,
    deadline: Time,
    amount: Money,
    way: Way,
) -> Result<(), Stop> {
    let Some(mut have) = funding(draft, debtor, currency)? else { return Ok(()) };
    let (now, until) = (bucket(draft.at, BUCKET), bucket(deadline, BUCKET));
    have.reserved.retain(|(of, _)| *of >= now);
    let place = have.reserved.partition_point(|(of, _)| *of < until);
    let before = have.reserved.get(place).filter(|(of, _)| *of == until).map(|(_, amount)| *amount);
    let after = match way {
        Way::In => before.unwrap_or_default().plus(amount).ok_or(Refusal::AmountTooLarge)?,
        Way::Out => before.unwrap_or_default().minus(amount).unwrap_or_default(),
    };
    if before.is_some() {
        have.reserved.remove(place);
    }
    if !after.is_zero() {
        have.reserved.insert(place, (until, after));
    }
    if let Some(creditor) = creditor {
        change_held(&mut have.paired, now, until, creditor, amount, way)?;
    }
    put(draft, debtor, currency, have)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debt, reserved, limit (`-`: none), the call's deadline (`-`: no call); at 100: how it stands, and what is missing.
    const STANDINGS: &str = "
        500 0 - - Within 0
        -500 0 0 - Within 0
        0 0 0 - Within 0
        400 100 500 - Within 0
        400 101 500 - Overrun 1
        -50 101 50 - Overrun 1
        501 0 500 - Overrun 1
        501 0 500 101 Called 1
        501 0 500 100 Overdue 1
        501 0 500 99 Overdue 1
        500 0 500 99 Within 0
        9007199254740991 9007199254740991 0 - Overrun none
    ";

    #[test]
    fn how_a_participant_stands() {
        let rows: Vec<&str> = STANDINGS.lines().map(str::trim).filter(|row| !row.is_empty()).collect();
        assert_eq!(rows.len(), 12);
        for row in rows {
            let words: Vec<&str> = row.split_whitespace().collect();
            let some = |word: &str| word.parse::<u64>().ok();
            let stands = Exposure {
                position: 0,
                debt: words[0].parse().expect("a debt"),
                reserved: words[1].parse().expect("reserved"),
                limit: some(words[2]),
            };
            let call = some(words[3]).map(|until| MarginCall { amount: Money::ZERO, until, seq: 1 });
            let at = Time::from_seconds(100).expect("an instant");
            assert_eq!(format!("{:?}", standing(&stands, call.as_ref(), at)), words[4], "{row}");
            // More than can be written is not called for in one sum.
            let missing = stands.missing().map(Money::get);
            assert_eq!(missing, some(words[5]).filter(|n| *n > 0), "{row}");
            assert_eq!(stands.overrun(), words[4] != "Within", "{row}");
        }
    }
}
