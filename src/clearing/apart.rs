//! Apart: participants that do not accept the clearing house as their counterparty.
//!
//! Owns: who declares that, and from which cycle on; how what they owe and are owed leaves a cycle before that is computed:
//! set off as far as it goes, the rest owed between the same two in the open cycle; what creditors say they were paid.
//! Promises: set-off changes nobody's net and gives nobody a new debtor; of all set-offs over what is owed pair by pair it
//! leaves the least, which its levels show in one pass. What is left stays on the pair until its creditor was paid, and
//! nobody else ever bears any of it.
//! Refuses to know: how they pay each other.
//!
//! What is set off is what two owe each other on balance, by the obligations of the cycle: what stands between them is one
//! running account. The result is a function of these balances. Whoever asks brings its digest, since a statement has no room
//! for thousands of lines; it is found again here, and checked by its certificate, for so many pairs that nobody waits long.

use super::cycle::{now, participants, store};
use super::details::own_brand;
use super::instruct::remaining;
use super::netting::Matrix;
use super::people::{analyst, speaks_for, two_people};
use super::setoff::{SetOff, check_set_off, set_off};
use super::stage::{Step, allowed};
use super::wrong::Unsound;
use crate::book::{
    Closing, Declared, Draft, Due, Name, Netting, NettingMode, PartKey, Principal, Record, SetOffSums, Stop,
    Tag, TakenApart,
};
use crate::network::{Asked, signer};
use crate::sign::Purpose;
use crate::types::{Currency, Hash, Ident, Money, ParticipantId, Refusal, Refused, SetOffId, encode};
use serde::{Deserialize, Serialize};

/// Most participants that ever declared a mode: each is looked at with each other one.
const MOST_DECLARED: usize = 300;
/// Most pairs that are set off at once: each has three parts, of which an entry has 10,010.
const MOST_PAIRS: usize = 3_300;

/// `netting.set`, signed by the root of the participant's brand and approved by two of its approvers; for a participant
/// whose brand never did, a franchisee without a brand say, by an analyst and two of the operator's approvers. It counts from
/// the cycle after the open one on.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetNetting {
    /// Whose.
    pub participant: ParticipantId,
    /// One more than the newest version; 1 at first.
    pub version: u64,
    /// How what it owes and is owed is settled.
    pub mode: NettingMode,
}

/// `cycle.set_off`, signed by an analyst: takes what stands apart out of a sealed cycle, before it is computed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOffCycle {
    /// The cycle.
    pub cycle: u64,
    /// The version that is about to be computed.
    pub version: u32,
    /// BLAKE3 of the set-off as whoever asks found it: of the JSON `[[currency, debtor, creditor, owed, set off], …]` without
    /// spaces, in this order, a line for each pair of which one is set off and that owes something on balance.
    pub digest: Hash,
}

/// `due.confirm`, signed by a key of the creditor's brand: it was paid. For a creditor without a brand by an analyst, with
/// the approvals of two of the operator's approvers.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmDue {
    /// Who paid.
    pub debtor: ParticipantId,
    /// Who got it.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much: a whole number of the bank's units, at most what is due still.
    pub amount: Money,
    /// The creditor's own reference of the payment, such as its bank's.
    pub reference: Ident,
}

fn netting(draft: &mut Draft) -> Result<Netting, Stop> {
    let record = draft.get(&Name::Netting)?;
    Ok(record.as_deref().and_then(Record::netting).cloned().unwrap_or_default())
}

/// Declares how a participant is settled, from the next cycle on.
pub fn set_netting(draft: &mut Draft, asked: &Asked, args: &SetNetting) -> Result<(), Stop> {
    let who = &args.participant;
    draft.participant(who)?;
    let own = own_brand(draft, asked, who)?;
    let mut netting = netting(draft)?;
    let place = netting.declared.partition_point(|one| one.participant < *who);
    let before = netting.declared.get(place).filter(|one| one.participant == *who).cloned();
    if !own && before.as_ref().is_some_and(|before| !before.house) {
        let about = format!("{who} declares it itself: two approvers of its brand sign");
        return Err(Refused::about(Refusal::KeyOwner, about).into());
    }
    let next = before.as_ref().map_or(0, |before| before.version).saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let cycles = draft.cycle()?;
    let (from, oldest) = (cycles.open.saturating_add(1), cycles.live.first().copied().unwrap_or(cycles.open));
    let mut since = before.as_ref().map_or(vec![], |before| before.from.clone());
    since.retain(|(of, _)| *of < from);
    since.push((from, args.mode));
    // What was replaced before the oldest cycle under way counts for none any more.
    let kept = since.iter().rposition(|(of, _)| *of <= oldest).unwrap_or(0);
    let since = since.split_off(kept);
    let one = Declared { participant: who.clone(), version: next, house: !own, from: since };
    match netting.declared.get_mut(place).filter(|_| before.is_some()) {
        Some(slot) => *slot = one,
        None => netting.declared.insert(place, one),
    }
    if netting.declared.len() > MOST_DECLARED {
        return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_DECLARED} participants")).into());
    }
    draft.put(PartKey::Public, Name::Netting, Some(Record::Netting(netting)))
}

/// Whether a cycle's next version can be computed: nobody stands apart in it, or what does was taken out for it.
pub(super) fn taken_out(draft: &mut Draft, cycle: u64, closing: &Closing) -> Result<(), Stop> {
    let next = closing.version.saturating_add(1);
    let done = closing.apart.as_ref().is_some_and(|apart| apart.version == next);
    if done || netting(draft)?.apart(cycle).next().is_none() {
        return Ok(());
    }
    let about = format!("some in cycle {cycle} are set off: that comes first");
    Err(Refused::about(Refusal::CycleOpenWork, about).into())
}

/// The digest of a set-off: BLAKE3 of the canonical JSON of its lines, `[[currency, debtor, creditor, owed, set off], …]`.
pub fn set_off_digest(lines: &[(Currency, ParticipantId, ParticipantId, Money, Money)]) -> Hash {
    Hash::blake3(&encode(&lines))
}

/// The lines of a set-off, as its digest is over them: a line for each pair of the matrix.
pub fn set_off_lines(
    currency: Currency,
    matrix: &Matrix,
    off: &SetOff,
) -> Vec<(Currency, ParticipantId, ParticipantId, Money, Money)> {
    let mut lines = off.lines.iter().peekable();
    let line = |debt: super::netting::Debt| {
        let of = lines.next_if(|line| (&line.debtor, &line.creditor) == (&debt.debtor, &debt.creditor));
        let amount = of.map_or(Money::ZERO, |line| line.amount);
        (currency, debt.debtor, debt.creditor, debt.amount, amount)
    };
    matrix.debts().map(line).collect()
}

fn bug(wrong: &Unsound) -> Stop {
    Stop::Bug(wrong.to_string())
}

/// Takes what stands apart out of a sealed cycle.
pub fn set_off_cycle(draft: &mut Draft, asked: &Asked, args: &SetOffCycle) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let cycle = args.cycle;
    let mut closing = (*draft.closing(cycle)?).clone();
    allowed(cycle, &closing, Step::SetOff)?;
    let next = closing.version.saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    if closing.apart.as_ref().is_some_and(|apart| apart.version == next) {
        let about = format!("version {next} of cycle {cycle} was set off");
        return Err(Refused::about(Refusal::CycleStage, about).into());
    }
    let apart: Vec<ParticipantId> = netting(draft)?.apart(cycle).cloned().collect();
    if apart.is_empty() {
        let about = format!("nobody in cycle {cycle} is set off");
        return Err(Refused::about(Refusal::CycleStage, about).into());
    }
    let who = participants(draft)?;
    let network = draft.network()?;
    let units: Vec<_> = network.currencies.iter().copied().zip(network.bank_units.iter().copied()).collect();
    let of: Vec<u64> = std::iter::once(cycle).chain(closing.includes.iter().copied()).collect();
    let pairs = pairs(&apart, &who);
    let each = pairs.iter().flat_map(|pair| units.iter().map(move |(currency, _)| (pair, *currency)));
    // All that is read or booked below, at once: a decision begins again for each thing that it lacks.
    let open = draft.cycle()?.open;
    let between = each.flat_map(|((a, b), currency)| {
        let cycles = of.iter().copied().chain([open]);
        let balances = cycles.map(move |cycle| Name::Pair(cycle, a.clone(), b.clone(), currency));
        balances.chain([Name::Due(a.clone(), b.clone(), currency)])
    });
    let nets = units.iter().flat_map(|(currency, _)| {
        who.iter().flat_map(|one| [cycle, open].map(|cycle| Name::Net(cycle, one.clone(), *currency)))
    });
    draft.want(between.chain(nets))?;
    let id = SetOffId { seq: draft.seq, part: 0 };
    let (mut all, mut sums) = (vec![], vec![]);
    for (currency, unit) in units {
        let matrix = balances(draft, &pairs, currency, &of)?;
        let off = set_off(&matrix).map_err(|wrong| bug(&wrong))?;
        check_set_off(&matrix, &off).map_err(|wrong| bug(&wrong))?;
        let lines = set_off_lines(currency, &matrix, &off);
        all.extend_from_slice(&lines);
        if all.len() > MOST_PAIRS {
            return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_PAIRS} pairs")).into());
        }
        let mut taking = Taking { cycle, id, currency, unit, sums: blank(currency) };
        for (a, b) in &pairs {
            taking.clear(draft, a, b)?;
        }
        for (_, debtor, creditor, owed, off) in lines {
            taking.take(draft, &debtor, &creditor, owed, off)?;
        }
        // What bilateral payments are left is what the function over the whole says, too.
        let left = remaining(&matrix, &off, unit).map_err(|wrong| bug(&wrong))?;
        if u64::try_from(left.iter().filter(|one| !one.pays.is_zero()).count()).ok()
            != Some(taking.sums.payments)
        {
            return Err(Stop::Bug("what is left is not what was left".into()));
        }
        if taking.sums.pairs > 0 {
            sums.push(taking.sums);
        }
    }
    let right = set_off_digest(&all);
    if right != args.digest {
        return Err(Refused::about(Refusal::CycleDigest, format!("it is {right}")).into());
    }
    closing.apart = Some(TakenApart { version: next, mark: now(draft), digest: right, sums });
    store(draft, cycle, closing)
}

/// The pairs of which one stands apart, each once, in the order of ids.
fn pairs(apart: &[ParticipantId], who: &[ParticipantId]) -> Vec<(ParticipantId, ParticipantId)> {
    let ordered = |a: &ParticipantId, b: &ParticipantId| match a < b {
        true => (a.clone(), b.clone()),
        false => (b.clone(), a.clone()),
    };
    let each =
        apart.iter().flat_map(|one| who.iter().filter(move |other| *other != one).map(move |o| (one, o)));
    let mut pairs: Vec<_> = each.map(|(one, other)| ordered(one, other)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// What these pairs owe each other on balance, by the obligations of these cycles.
fn balances(
    draft: &mut Draft,
    pairs: &[(ParticipantId, ParticipantId)],
    currency: Currency,
    of: &[u64],
) -> Result<Matrix, Stop> {
    let mut debts = vec![];
    for (a, b) in pairs {
        let mut has = 0i64;
        for cycle in of {
            let more = draft.total(&Name::Pair(*cycle, a.clone(), b.clone(), currency))?;
            has = has.checked_add(more).ok_or_else(|| Refused::about(Refusal::AmountTooLarge, a))?;
        }
        // What the first has from the second, the second owes.
        debts.push((b, a, has));
    }
    Matrix::of(debts).map_err(|wrong| match wrong {
        Unsound::TooLarge(who) => Refused::about(Refusal::AmountTooLarge, who).into(),
        wrong => bug(&wrong),
    })
}

fn blank(currency: Currency) -> SetOffSums {
    let (owed, set_off, left) = Default::default();
    SetOffSums { currency, pairs: 0, owed, set_off, payments: 0, left }
}

/// What leaves the cycle in one currency.
struct Taking {
    cycle: u64,
    id: SetOffId,
    currency: Currency,
    /// So many of the network's smallest units are one of the bank's.
    unit: u64,
    sums: SetOffSums,
}

fn more(have: Money, amount: Money) -> Result<Money, Stop> {
    Ok(have.plus(amount).ok_or(Refusal::AmountTooLarge)?)
}

impl Taking {
    /// What was due before is owed in this cycle, and so is due anew or not at all.
    fn clear(&self, draft: &mut Draft, a: &ParticipantId, b: &ParticipantId) -> Result<(), Stop> {
        let name = Name::Due(a.clone(), b.clone(), self.currency);
        if draft.get(&name)?.is_some() {
            draft.put(PartKey::Pair(a.clone(), b.clone()), name, None)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        draft: &mut Draft,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        owed: Money,
        off: Money,
    ) -> Result<(), Stop> {
        let left = owed.minus(off).ok_or_else(|| Stop::Bug("more was set off than was owed".into()))?;
        let open = draft.cycle()?.open;
        let tag = |cycle| Tag { cause: self.id.into(), cycle, supply: None };
        draft.owe_in(debtor, creditor, self.currency, owed.signed().saturating_neg(), tag(self.cycle))?;
        if !left.is_zero() {
            draft.owe_in(debtor, creditor, self.currency, left.signed(), tag(open))?;
        }
        let rest = left.get().checked_rem(self.unit).ok_or_else(|| bug(&Unsound::Unit))?;
        let amount = left.get().checked_sub(rest).and_then(Money::new).unwrap_or_default();
        let sums = &mut self.sums;
        sums.pairs = sums.pairs.saturating_add(1);
        (sums.owed, sums.set_off) = (more(sums.owed, owed)?, more(sums.set_off, off)?);
        sums.left = more(sums.left, left)?;
        if amount.is_zero() {
            return Ok(());
        }
        sums.payments = sums.payments.saturating_add(1);
        let due = Due { debtor: debtor.clone(), of: self.id, cycle: open, amount, paid: Money::ZERO };
        let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
        let name = Name::Due(a.clone(), b.clone(), self.currency);
        draft.put(PartKey::Pair(a.clone(), b.clone()), name, Some(Record::Due(due)))
    }
}

/// Takes what a creditor was paid off what is owed to it.
pub fn confirm_due(draft: &mut Draft, asked: &Asked, args: &ConfirmDue) -> Result<(), Stop> {
    let (debtor, creditor, currency) = (&args.debtor, &args.creditor, args.currency);
    let key = signer(
        draft,
        asked.kid,
        &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot, Purpose::Operations],
    )?;
    let by = match &key.owner {
        Principal::Operator => {
            analyst(draft, asked.kid)?;
            two_people(draft, asked)?;
            creditor.clone()
        }
        _ => speaks_for(draft, asked.kid)?,
    };
    if by != *creditor {
        return Err(Refused::about(Refusal::KeyOwner, format!("{by} is not paid")).into());
    }
    let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
    let name = Name::Due(a.clone(), b.clone(), currency);
    let record = draft.get(&name)?;
    let due = record.as_deref().and_then(Record::due_between).filter(|due| due.debtor == *debtor);
    let nothing = || Refused::about(Refusal::InstructionUnknown, format!("{debtor} owes {creditor} nothing"));
    let mut due = due.cloned().ok_or_else(nothing)?;
    if due.cycle != draft.cycle()?.open {
        let about = format!("cycle {} was sealed: it is set off first, then something is due", due.cycle);
        return Err(Refused::about(Refusal::CycleOpenWork, about).into());
    }
    let unit = draft.network()?.bank_unit(currency).ok_or_else(|| bug(&Unsound::Unit))?;
    let open = due.amount.minus(due.paid).unwrap_or_default();
    let whole = args.amount.get().checked_rem(unit) == Some(0);
    if args.amount.is_zero() || args.amount > open || !whole {
        let about = format!("amount: {unit} to {open}, in whole units of the bank's");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    let less = args.amount.signed().saturating_neg();
    draft.owe(debtor, creditor, currency, less, due.of.into())?;
    due.paid = more(due.paid, args.amount)?;
    draft.put(PartKey::Pair(a.clone(), b.clone()), name, Some(Record::Due(due)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pa(name: &str) -> ParticipantId {
        format!("pa_{name}").parse().expect("an id")
    }

    #[test]
    fn a_mode_counts_from_its_cycle_on() {
        let declared = Declared {
            participant: pa("a"),
            version: 3,
            house: false,
            from: vec![(3, NettingMode::SetOff), (5, NettingMode::Novated), (8, NettingMode::SetOff)],
        };
        let netting = Netting { declared: vec![declared] };
        let apart: Vec<u64> = (1..10).filter(|cycle| netting.apart(*cycle).next().is_some()).collect();
        assert_eq!(apart, [3, 4, 8, 9]);
    }

    #[test]
    fn each_pair_stands_once() {
        let who = ["a", "b", "c", "d"].map(pa);
        let found = pairs(&[pa("b"), pa("c")], &who);
        let wanted = [("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(found, wanted.map(|(a, b)| (pa(a), pa(b))));
    }

    #[test]
    fn the_digest_is_of_text_that_anybody_can_write() {
        let (a, b, c) = (pa("a"), pa("b"), pa("c"));
        // A loop of 30, and 20 more from one to the next.
        let matrix = Matrix::of([(&a, &b, 50), (&b, &c, 30), (&c, &a, 30)]).expect("sound");
        let off = set_off(&matrix).expect("solved");
        let lines = set_off_lines("EUR".parse().expect("EUR"), &matrix, &off);
        let text = r#"[["EUR","pa_a","pa_b",50,30],["EUR","pa_b","pa_c",30,30],["EUR","pa_c","pa_a",30,30]]"#;
        assert_eq!(set_off_digest(&lines), Hash::blake3(text.as_bytes()));
    }
}
