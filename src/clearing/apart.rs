//! Apart: participants that do not accept the clearing house as their counterparty.
//!
//! Owns: who declares that, and from which cycle on; how what they owe and are owed leaves a cycle before that is computed:
//! set off as far as it goes, the rest owed between the same two in the open cycle, and due.
//! Promises: set-off changes nobody's net and gives nobody a new debtor; of all set-offs over what is owed pair by pair it
//! leaves the least, which its levels show in one pass. What is left stays on the pair until its creditor was paid, and
//! nobody else ever bears any of it. What is due stays due, whatever becomes of the cycle that it was left of. Nobody changes
//! sides while it stands for more than is behind it, or did not pay in time.
//! Refuses to know: how they pay each other.
//!
//! What is set off is what two owe each other on balance, by the obligations of the cycle: what stands between them is one
//! running account. The result is a function of these balances. Whoever asks brings its digest, since a statement has no room
//! for thousands of lines; it is found again here, and checked by its certificate, for so many pairs that nobody waits long:
//! where more stand apart, they are taken out in several steps.

use super::cycle::{now, participants, store};
use super::details::own_brand;
use super::instruct::remaining;
use super::netting::Matrix;
use super::people::analyst;
use super::setoff::{SetOff, check_set_off, set_off};
use super::stage::{InstructionStage, Step, allowed, instruction_stage};
use super::wrong::Unsound;
use crate::book::{
    Closing, Declared, Draft, Due, Name, Netting, NettingMode, PartKey, Record, SetOffSums, Stop, Tag,
    TakenApart,
};
use crate::network::Asked;
use crate::prices::exposure;
use crate::types::{Currency, Hash, Money, ParticipantId, Refusal, Refused, SetOffId, encode};
use serde::{Deserialize, Serialize};

/// Most participants that ever declared a mode: each is looked at with each other one.
const MOST_DECLARED: usize = 300;
/// Most pairs that are taken out at once: each has three parts, of which an entry has 10,010. The rest comes the next time.
const MOST_PAIRS: usize = 3_300;

/// `netting.set`, signed by the root of the brand that speaks for the participant and approved by two of its approvers; for a
/// participant without a brand, a franchisee say, by an analyst and two of the operator's approvers. It counts from the cycle
/// after the open one on.
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

/// `cycle.set_off`, signed by an analyst: takes what stands apart out of a sealed cycle, before it is computed. Where more
/// than 3,300 pairs stand apart it is asked for again, until nothing is left.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOffCycle {
    /// The cycle.
    pub cycle: u64,
    /// The version that is about to be computed.
    pub version: u32,
    /// BLAKE3 of the set-off as whoever asks found it: of the JSON `[[currency, debtor, creditor, owed, set off], …]` without
    /// spaces, in this order, a line for each pair of which one is set off and that owes something on balance: the first
    /// 3,300, in the order of the network's currencies and of pairs.
    pub digest: Hash,
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
    let next = before.as_ref().map_or(0, |before| before.version).saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    sound(draft, who)?;
    if args.mode == NettingMode::Novated {
        nothing_due(draft, who)?;
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

/// Whether a participant may change sides: who stands for more than is behind it, called upon or not, or did not pay in time
/// would leave those who bear it, or come to those who would.
fn sound(draft: &mut Draft, who: &ParticipantId) -> Result<(), Stop> {
    let currencies = draft.network()?.currencies.clone();
    let live = draft.cycle()?.live.clone();
    let now = draft.at.seconds();
    for currency in currencies {
        if exposure(draft, who, currency)?.overrun() {
            let about =
                format!("{who} stands for more than is behind it in {currency}: that is brought first");
            return Err(Refused::about(Refusal::ExposureExceeded, about).into());
        }
        for cycle in &live {
            let line = draft.get(&Name::Line(*cycle, who.clone(), currency))?;
            let Some(id) = line.as_deref().and_then(Record::line).and_then(|line| line.instruction) else {
                continue;
            };
            let (closing, one) = (draft.closing(*cycle)?, draft.instruction(id)?);
            let at = instruction_stage(&one, &closing, now);
            if matches!(at, InstructionStage::Overdue | InstructionStage::Defaulted) {
                let about = format!("{who} did not pay {id} of cycle {cycle}: that is paid or settled first");
                return Err(Refused::about(Refusal::CycleOpenWork, about).into());
            }
        }
    }
    Ok(())
}

/// Whether what a participant owes from set-offs was paid: what is due between two would be everybody's to bear, once it is
/// settled with the others.
fn nothing_due(draft: &mut Draft, who: &ParticipantId) -> Result<(), Stop> {
    let currencies = draft.network()?.currencies.clone();
    let others: Vec<ParticipantId> = participants(draft)?.into_iter().filter(|other| other != who).collect();
    let name = |other: &ParticipantId, currency: Currency| match who < other {
        true => Name::Due(who.clone(), other.clone(), currency),
        false => Name::Due(other.clone(), who.clone(), currency),
    };
    let each = || others.iter().flat_map(|other| currencies.iter().map(move |currency| (other, *currency)));
    draft.want(each().map(|(other, currency)| name(other, currency)))?;
    for (other, currency) in each() {
        let record = draft.get(&name(other, currency))?;
        let due = record.as_deref().and_then(Record::due_between);
        if due.is_some_and(|due| due.debtor == *who && due.paid < due.amount) {
            let about = format!(
                "{who} owes {other} what is due between them in {currency}: it pays, and {other} confirms it \
                 (`due.confirm`) first"
            );
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
    }
    Ok(())
}

/// Whether a cycle's next version can be computed: nobody stands apart in it, or what does was taken out for it.
pub(super) fn taken_out(draft: &mut Draft, cycle: u64, closing: &Closing) -> Result<(), Stop> {
    let next = closing.version.saturating_add(1);
    let done = closing.apart.as_ref().is_some_and(|apart| apart.version == next && apart.later == 0);
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
    // Of what was taken out for this version before, if there was too much for one time.
    let begun = closing.apart.take().filter(|apart| apart.version == next);
    if begun.as_ref().is_some_and(|begun| begun.later == 0) {
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
    let mut balances = vec![];
    for (currency, _) in &units {
        for (a, b) in &pairs {
            balances.push((*currency, a.clone(), b.clone(), balance(draft, a, b, *currency, &of)?));
        }
    }
    let (sides, mut later) = set_off_next(&balances).map_err(|wrong| match wrong {
        Unsound::TooLarge(who) => Stop::from(Refused::about(Refusal::AmountTooLarge, who)),
        wrong => bug(&wrong),
    })?;
    let id = SetOffId { seq: draft.seq, part: 0 };
    let (mut all, mut sums) = (vec![], begun.map_or(vec![], |begun| begun.sums));
    for SetOffSide { currency, matrix, off } in &sides {
        let unit = network.bank_unit(*currency).ok_or_else(|| bug(&Unsound::Unit))?;
        let lines = set_off_lines(*currency, matrix, off);
        let mut taking =
            Taking { cycle, of: &of, id, open, currency: *currency, unit, sums: blank(*currency) };
        for (_, debtor, creditor, owed, off) in &lines {
            taking.take(draft, debtor, creditor, *owed, *off)?;
        }
        // What bilateral payments are left is what the function over the whole says, too.
        let left = remaining(matrix, off, unit).map_err(|wrong| bug(&wrong))?;
        if u64::try_from(left.iter().filter(|one| !one.pays.is_zero()).count()).ok()
            != Some(taking.sums.payments)
        {
            return Err(Stop::Bug("what is left is not what was left".into()));
        }
        add(&mut sums, &taking.sums)?;
        all.extend(lines);
    }
    // What was due in this cycle, of two who owe each other nothing in it any more, is due no longer.
    let mut room = MOST_PAIRS.saturating_sub(all.len());
    for (currency, a, b, _) in balances.iter().filter(|(.., has)| *has == 0) {
        let name = Name::Due(a.clone(), b.clone(), *currency);
        let due = draft.get(&name)?;
        if due.as_deref().and_then(Record::due_between).is_some_and(|due| of.contains(&due.cycle)) {
            if room == 0 {
                later = later.saturating_add(1);
                continue;
            }
            room = room.saturating_sub(1);
            draft.put(PartKey::Pair(a.clone(), b.clone()), name, None)?;
        }
    }
    let digest = set_off_digest(&all);
    if digest != args.digest {
        // What it is is not said here: whoever signs has it from the obligations, not from who is to be checked.
        let about = format!(
            "BLAKE3 of what stands apart in cycle {cycle}, line by line, as your own copy of the log has it: \
             `tallyhouse cycle {cycle}` makes it out of the entries"
        );
        return Err(Refused::about(Refusal::CycleDigest, about).into());
    }
    let later = u64::try_from(later).unwrap_or(u64::MAX);
    closing.apart = Some(TakenApart { version: next, mark: now(draft), digest, sums, later });
    store(draft, cycle, closing)
}

/// What stands between two that are set off: the currency, the two in the order of their ids, what the first has from the
/// second.
pub type PairBalance = (Currency, ParticipantId, ParticipantId, i64);

/// A set-off in one currency.
pub struct SetOffSide {
    /// The currency.
    pub currency: Currency,
    /// Over what is owed.
    pub matrix: Matrix,
    /// What is struck out, and the certificate for it.
    pub off: SetOff,
}

/// What is taken out of a cycle at once: the set-off of the first 3,300 of these balances that are not 0, and how many are left
/// for the next time. They come in the order of the network's currencies, then of pairs. Each set-off is the best over what
/// it takes.
pub fn set_off_next(balances: &[PairBalance]) -> Result<(Vec<SetOffSide>, usize), Unsound> {
    let mut all: Vec<&PairBalance> = balances.iter().filter(|(.., has)| *has != 0).collect();
    let later = all.len().saturating_sub(MOST_PAIRS);
    all.truncate(MOST_PAIRS);
    let mut sides = vec![];
    for side in all.chunk_by(|a, b| a.0 == b.0) {
        let Some((currency, ..)) = side.first() else { continue };
        // What the first has from the second, the second owes.
        let matrix = Matrix::of(side.iter().map(|(_, a, b, has)| (b, a, *has)))?;
        let off = set_off(&matrix)?;
        check_set_off(&matrix, &off)?;
        sides.push(SetOffSide { currency: *currency, matrix, off });
    }
    Ok((sides, later))
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

/// What the first of two has from the second, by the obligations of these cycles.
fn balance(
    draft: &mut Draft,
    a: &ParticipantId,
    b: &ParticipantId,
    currency: Currency,
    of: &[u64],
) -> Result<i64, Stop> {
    let mut has = 0i64;
    for cycle in of {
        let more = draft.total(&Name::Pair(*cycle, a.clone(), b.clone(), currency))?;
        has = has.checked_add(more).ok_or_else(|| Refused::about(Refusal::AmountTooLarge, a))?;
    }
    Ok(has)
}

/// Adds what was taken out in a currency to what was before.
fn add(all: &mut Vec<SetOffSums>, one: &SetOffSums) -> Result<(), Stop> {
    let Some(have) = all.iter_mut().find(|have| have.currency == one.currency) else {
        all.push(one.clone());
        return Ok(());
    };
    have.pairs = have.pairs.saturating_add(one.pairs);
    have.payments = have.payments.saturating_add(one.payments);
    (have.owed, have.set_off) = (more(have.owed, one.owed)?, more(have.set_off, one.set_off)?);
    have.left = more(have.left, one.left)?;
    Ok(())
}

fn blank(currency: Currency) -> SetOffSums {
    let (owed, set_off, left) = Default::default();
    SetOffSums { currency, pairs: 0, owed, set_off, payments: 0, left }
}

/// What leaves the cycle in one currency.
struct Taking<'a> {
    cycle: u64,
    /// The cycle and those whose obligations it took over.
    of: &'a [u64],
    id: SetOffId,
    open: u64,
    currency: Currency,
    /// So many of the network's smallest units are one of the bank's.
    unit: u64,
    sums: SetOffSums,
}

fn more(have: Money, amount: Money) -> Result<Money, Stop> {
    Ok(have.plus(amount).ok_or(Refusal::AmountTooLarge)?)
}

impl Taking<'_> {
    fn take(
        &mut self,
        draft: &mut Draft,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        owed: Money,
        off: Money,
    ) -> Result<(), Stop> {
        let left = owed.minus(off).ok_or_else(|| Stop::Bug("more was set off than was owed".into()))?;
        let tag = |cycle| Tag { cause: self.id.into(), cycle, supply: None };
        draft.owe_in(debtor, creditor, self.currency, owed.signed().saturating_neg(), tag(self.cycle))?;
        if !left.is_zero() {
            draft.owe_in(debtor, creditor, self.currency, left.signed(), tag(self.open))?;
        }
        let rest = left.get().checked_rem(self.unit).ok_or_else(|| bug(&Unsound::Unit))?;
        let amount = left.get().checked_sub(rest).and_then(Money::new).unwrap_or_default();
        let sums = &mut self.sums;
        sums.pairs = sums.pairs.saturating_add(1);
        (sums.owed, sums.set_off) = (more(sums.owed, owed)?, more(sums.set_off, off)?);
        sums.left = more(sums.left, left)?;
        if !amount.is_zero() {
            sums.payments = sums.payments.saturating_add(1);
        }
        let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
        let name = Name::Due(a.clone(), b.clone(), self.currency);
        let before = draft.get(&name)?.as_deref().and_then(Record::due_between).cloned();
        let after = self.due(before.as_ref(), debtor, amount, rest > 0)?;
        if after == before {
            return Ok(());
        }
        draft.put(PartKey::Pair(a.clone(), b.clone()), name, after.map(Record::Due))
    }

    /// What is due between two now. What was due in the cycle that is set off is owed in it, and so is due anew or not at all;
    /// what another set-off left in the open cycle stays due, and this comes on top. `rest`: a little more is owed.
    fn due(
        &self,
        before: Option<&Due>,
        debtor: &ParticipantId,
        amount: Money,
        rest: bool,
    ) -> Result<Option<Due>, Stop> {
        let (of, cycle, paid) = (self.id, self.open, Money::ZERO);
        let claims = before.filter(|before| before.debtor == *debtor).map_or(vec![], |b| b.claims.clone());
        let new = Due { debtor: debtor.clone(), of, cycle, amount, paid, claims };
        let kept = before.filter(|before| !self.of.contains(&before.cycle));
        let in_open = kept.filter(|kept| kept.cycle == cycle);
        let Some(kept) = in_open.filter(|kept| kept.debtor != *debtor) else {
            return Ok(match in_open {
                _ if amount.is_zero() => kept.cloned(),
                Some(same) => Some(Due { amount: more(same.amount, amount)?, paid: same.paid, ..new }),
                None => Some(new),
            });
        };
        // The other owes, too: the difference is due. What is owed beside is under a unit on either side, and may make it one
        // less: nobody is to pay more than it owes.
        let unit = Money::new(self.unit).unwrap_or_default();
        let open = kept.amount.minus(kept.paid).unwrap_or_default();
        let due = match open.minus(amount) {
            Some(more) => {
                let more = if rest { more.minus(unit).unwrap_or_default() } else { more };
                Due { of, amount: kept.paid.plus(more).ok_or(Refusal::AmountTooLarge)?, ..kept.clone() }
            }
            None => {
                let less = amount.minus(open).and_then(|less| less.minus(unit));
                Due { amount: less.unwrap_or_default(), ..new }
            }
        };
        Ok(Some(due).filter(|due| due.amount > due.paid))
    }
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
