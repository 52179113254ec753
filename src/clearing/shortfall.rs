//! Shortfall: who bears what a participant does not pay.
//!
//! Owns: the waterfall, and the entries that make the defaulter owe those who bore its part.
//! Promises: what is drawn and what is lost sum to the hole, to the unit; no tranche gives more than it has; spends are
//! never unwound. What others bore is owed by the defaulter in the open cycle: so what it pays later repays them.
//! Refuses to know: why somebody did not pay.

use super::assign::bear;
use super::cover::keep;
use super::cycle::{MoveCycle, participants};
use super::import::sums_of;
use super::stage::{Stage, side};
use crate::book::{
    Closing, CoverChange, CoverStep, Draft, Fate, Funding, Line, Name, PartKey, Record, Stop, Sums, Tag,
};
use crate::network::operators_own;
use crate::prices::funding;
use crate::types::{CauseId, Currency, InstructionId, Kid, Money, ParticipantId, Refusal, Refused};
use std::collections::BTreeMap;

type Lines = BTreeMap<ParticipantId, Line>;

/// What is to be distributed, and over what: shares in proportion, in whole units, each at most its weight, summing to
/// the smaller of the amount and all weights. Ties by id.
pub(super) fn pro_rata(
    amount: u64,
    weights: &[(ParticipantId, u64)],
    unit: u64,
) -> Result<Vec<(ParticipantId, u64)>, Stop> {
    let of = |n: u64| n.checked_div(unit).ok_or_else(|| Stop::Bug("a bank's unit of nothing".into()));
    let mut whole = vec![];
    let mut all = 0u128;
    for (who, weight) in weights {
        let weight = of(*weight)?;
        all = all.saturating_add(u128::from(weight));
        whole.push((who, weight));
    }
    let amount = u128::from(of(amount)?).min(all);
    let mut shares = vec![];
    let mut given = 0u128;
    for (who, weight) in whole {
        let product = u128::from(weight).saturating_mul(amount);
        let (share, rest) = (product.checked_div(all).unwrap_or(0), product.checked_rem(all).unwrap_or(0));
        given = given.saturating_add(share);
        shares.push((who.clone(), share, rest));
    }
    // The largest remainders get one more; the order of ids stays among equals. A remainder above 0 says that the share
    // is below its weight.
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(shares.get(*at).map_or(0, |(_, _, rest)| *rest)));
    let more = usize::try_from(amount.saturating_sub(given)).unwrap_or(usize::MAX);
    for at in order.into_iter().take(more) {
        if let Some((_, share, _)) = shares.get_mut(at) {
            *share = share.saturating_add(1);
        }
    }
    let back = |share: u128| u64::try_from(share).ok().and_then(|share| share.checked_mul(unit));
    shares.into_iter().map(|(who, share, _)| Ok((who, back(share).ok_or(Refusal::AmountTooLarge)?))).collect()
}

/// What stands before others bear a part that is not paid.
pub(super) struct Tranches {
    /// The defaulter's own cover.
    pub cover: u64,
    /// Its share of the common fund.
    pub fund: u64,
    /// What the operator bears at the most.
    pub operator: u64,
}

/// Who bears a hole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Borne {
    /// Out of the defaulter's cover.
    pub cover: u64,
    /// Out of its share of the fund.
    pub fund: u64,
    /// The operator.
    pub operator: u64,
    /// Others, in the order in which it is distributed; one may stand twice.
    pub others: Vec<(ParticipantId, u64)>,
    /// Nobody: what is below a unit, or more than all have.
    pub left: u64,
}

/// Distributes a hole: the defaulter's cover, its share of the fund, the operator; then who is owed by the defaulter, up to
/// that; then all who are to be paid. Whole units of the bank's. `claims` are parts of what `receivers` are to be paid.
pub(super) fn waterfall(
    hole: u64,
    has: &Tranches,
    claims: &[(ParticipantId, u64)],
    receivers: &[(ParticipantId, u64)],
    unit: u64,
) -> Result<Borne, Stop> {
    let whole = |amount: u64| amount.saturating_sub(amount.checked_rem(unit).unwrap_or(0));
    let mut left = hole;
    let mut draw = |most: u64| {
        let drawn = whole(left.min(most));
        left = left.saturating_sub(drawn);
        drawn
    };
    let (cover, fund, operator) = (draw(has.cover), draw(has.fund), draw(has.operator));
    let mut others: Vec<(ParticipantId, u64)> = vec![];
    for weights in [claims, receivers] {
        let borne = |who: &ParticipantId| {
            let own = others.iter().filter(|(other, _)| other == who);
            own.fold(0u64, |sum, (_, share)| sum.saturating_add(*share))
        };
        let rest: Vec<_> =
            weights.iter().map(|(who, weight)| (who.clone(), weight.saturating_sub(borne(who)))).collect();
        let shares = pro_rata(left, &rest, unit)?;
        for (who, share) in shares.into_iter().filter(|(_, share)| *share > 0) {
            left = left.saturating_sub(share);
            others.push((who, share));
        }
    }
    Ok(Borne { cover, fund, operator, others, left })
}

/// Covers what is missing, in every currency that is short, or in the one that is named.
pub(super) fn cover(
    draft: &mut Draft,
    by: Kid,
    cycle: u64,
    closing: &mut Closing,
    args: &MoveCycle,
) -> Result<(), Stop> {
    let operator = match args.tranche {
        Some(_) => Some(operators_own(draft)?),
        None => None,
    };
    if let Some(currency) = args.currency
        && !closing.sums.iter().any(|s| s.currency == currency && side(closing, s) == Stage::Shortfall)
    {
        return Err(Refused::about(Refusal::CycleStage, format!("nothing is short in {currency}")).into());
    }
    let who = participants(draft)?;
    let network = draft.network()?;
    let units: Vec<_> = network.currencies.iter().copied().zip(network.bank_units.iter().copied()).collect();
    for (currency, unit) in units {
        let short = |sums: &Sums| sums.currency == currency && side(closing, sums) == Stage::Shortfall;
        let wanted = args.currency.is_none_or(|wanted| wanted == currency);
        if wanted && closing.sums.iter().any(short) {
            let tranche = args.tranche.unwrap_or_default().get();
            let mut fall = Fall { by, cycle, currency, unit, operator: operator.clone(), tranche };
            fall.cover(draft, closing, &who)?;
        }
    }
    Ok(())
}

/// The waterfall of one currency.
struct Fall {
    /// The key that asked for it.
    by: Kid,
    cycle: u64,
    currency: Currency,
    unit: u64,
    /// The operator's participant, if it bears something.
    operator: Option<ParticipantId>,
    /// What the operator still bears.
    tranche: u64,
}

impl Fall {
    fn cover(&mut self, draft: &mut Draft, closing: &mut Closing, who: &[ParticipantId]) -> Result<(), Stop> {
        let (cycle, currency) = (self.cycle, self.currency);
        let name = |who: &ParticipantId| Name::Line(cycle, who.clone(), currency);
        draft.want(who.iter().map(name))?;
        let mut lines = Lines::new();
        for who in who {
            let record = draft.get(&name(who))?;
            lines.extend(record.as_deref().and_then(Record::line).map(|line| (who.clone(), line.clone())));
        }
        let late = |(_, line): &(&ParticipantId, &Line)| line.amount < 0 && line.open() > 0;
        let defaulters: Vec<ParticipantId> = lines.iter().filter(late).map(|(who, _)| who.clone()).collect();
        for defaulter in defaulters {
            self.default_of(draft, closing, &mut lines, &defaulter)?;
        }
        for (who, line) in lines {
            draft.put(PartKey::Participant(who.clone()), name(&who), Some(Record::Line(line)))?;
        }
        Ok(())
    }

    /// Fills the hole of one defaulter, tranche by tranche.
    fn default_of(
        &mut self,
        draft: &mut Draft,
        closing: &mut Closing,
        lines: &mut Lines,
        defaulter: &ParticipantId,
    ) -> Result<(), Stop> {
        let line = lines.get(defaulter).ok_or_else(|| Stop::Bug("a line that was there".into()))?;
        let id = line.instruction.ok_or_else(|| Stop::Bug("a payer without an instruction".into()))?;
        let hole = line.open();
        let funding = funding(draft, defaulter, self.currency)?.unwrap_or_default();
        let operator = self.operator.clone().filter(|operator| operator != defaulter);
        let has = Tranches {
            cover: funding.cover.get(),
            fund: funding.fund.get(),
            operator: operator.as_ref().map_or(0, |_| self.tranche),
        };
        // Whose orders left is paid in full, whatever came back of what was paid in.
        let left = sums_of(closing, self.currency)?.file.is_some();
        let (mut claims, mut receivers) = (vec![], vec![]);
        if !left {
            claims = self.claims(draft, closing, lines, defaulter)?;
            let paid = lines.iter().filter(|(_, line)| line.amount > 0);
            receivers = paid.map(|(who, line)| (who.clone(), line.open())).collect();
        }
        let borne = waterfall(hole, &has, &claims, &receivers, self.unit)?;
        if left && borne.left > 0 {
            let about = format!(
                "the orders in {} left: cover, fund and operator bear all of it, and {} are missing",
                self.currency, borne.left
            );
            return Err(Refused::about(Refusal::CycleOpenWork, about).into());
        }
        self.draw_own(draft, defaulter, &borne)?;
        if let Some(operator) = &operator {
            self.tranche = self.tranche.saturating_sub(borne.operator);
            self.owe(draft, id, defaulter, operator, borne.operator)?;
            bear(draft, self.currency, i64::try_from(borne.operator).map_err(|_| Refusal::AmountTooLarge)?)?;
        }
        let mut lost = 0u64;
        for (who, share) in &borne.others {
            self.bear(draft, lines, who, *share)?;
            self.owe(draft, id, defaulter, who, *share)?;
            lost = lost.saturating_add(*share);
        }
        let left = borne.left;
        let drawn = [borne.cover, borne.fund, borne.operator].into_iter().fold(0, u64::saturating_add);
        if left > 0 {
            return Err(Stop::Bug(format!("{left} of {defaulter}'s part are borne by nobody")));
        }
        let sums = sums_of(closing, self.currency)?;
        sums.drawn = more(sums.drawn, drawn)?;
        sums.lost = more(sums.lost, lost)?;
        if let Some(line) = lines.get_mut(defaulter) {
            line.drawn = more(line.drawn, hole)?;
        }
        let mut instruction = (*draft.instruction(id)?).clone();
        instruction.fate = Some(Fate::Defaulted);
        let part = PartKey::Participant(defaulter.clone());
        draft.put(part, Name::Instruction(id), Some(Record::from(instruction)))
    }

    /// Takes what the defaulter's own cover and its share of the fund give.
    fn draw_own(&self, draft: &mut Draft, defaulter: &ParticipantId, borne: &Borne) -> Result<(), Stop> {
        let Some(funding) = funding(draft, defaulter, self.currency)? else { return Ok(()) };
        let less = |have: Money, by: u64| Money::new(have.get().saturating_sub(by)).unwrap_or_default();
        let (cover, fund) = (less(funding.cover, borne.cover), less(funding.fund, borne.fund));
        let after = Record::from(Funding { cover, fund, ..funding });
        let name = Name::Funding(defaulter.clone(), self.currency);
        draft.put(PartKey::Participant(defaulter.clone()), name, Some(after))?;
        if borne.cover == 0 && borne.fund == 0 {
            return Ok(());
        }
        let amount = more(Money::ZERO, borne.cover)?;
        let step = CoverStep {
            fund: more(Money::ZERO, borne.fund)?,
            ..CoverStep::bare(CoverChange::Drawn, amount, cover, self.by, draft.at)
        };
        keep(draft, defaulter, self.currency, step)
    }

    /// What receivers have from the defaulter by the obligations of the cycle, up to what is still to be paid to them.
    fn claims(
        &self,
        draft: &mut Draft,
        closing: &Closing,
        lines: &Lines,
        defaulter: &ParticipantId,
    ) -> Result<Vec<(ParticipantId, u64)>, Stop> {
        let of: Vec<u64> = std::iter::once(self.cycle).chain(closing.includes.iter().copied()).collect();
        let receivers: Vec<_> = lines.iter().filter(|(_, line)| line.amount > 0).collect();
        let pair = |cycle: u64, who: &ParticipantId| {
            let (a, b) = if who < defaulter { (who, defaulter) } else { (defaulter, who) };
            Name::Pair(cycle, a.clone(), b.clone(), self.currency)
        };
        draft.want(receivers.iter().flat_map(|(who, _)| of.iter().map(move |cycle| pair(*cycle, who))))?;
        let mut claims = vec![];
        for (who, line) in receivers {
            let mut has = 0i64;
            for cycle in &of {
                let total = draft.total(&pair(*cycle, who))?;
                has = has.saturating_add(if who < defaulter { total } else { total.saturating_neg() });
            }
            let claim = u64::try_from(has).unwrap_or(0).min(line.open());
            claims.push((who.clone(), claim));
        }
        Ok(claims)
    }

    /// A receiver is paid so much less.
    fn bear(
        &self,
        draft: &mut Draft,
        lines: &mut Lines,
        who: &ParticipantId,
        share: u64,
    ) -> Result<(), Stop> {
        if share == 0 {
            return Ok(());
        }
        let line = lines.get_mut(who).ok_or_else(|| Stop::Bug("a receiver without a line".into()))?;
        line.lost = more(line.lost, share)?;
        let id = line.instruction.ok_or_else(|| Stop::Bug("a receiver without an instruction".into()))?;
        let mut instruction = (*draft.instruction(id)?).clone();
        let less = instruction.amount.get().checked_sub(share).and_then(Money::new);
        instruction.amount = less.ok_or_else(|| Stop::Bug("more was lost than was to be paid".into()))?;
        let part = PartKey::Participant(who.clone());
        draft.put(part, Name::Instruction(id), Some(Record::from(instruction)))
    }

    /// The defaulter owes who bore its part, from now on.
    fn owe(
        &self,
        draft: &mut Draft,
        id: InstructionId,
        defaulter: &ParticipantId,
        to: &ParticipantId,
        amount: u64,
    ) -> Result<(), Stop> {
        if amount == 0 {
            return Ok(());
        }
        let tag = Tag { cause: CauseId::Instruction(id), cycle: draft.cycle()?.open, supply: None };
        let amount = Money::new(amount).ok_or(Refusal::AmountTooLarge)?;
        draft.owe_in(defaulter, to, self.currency, amount.signed(), tag)
    }
}

fn more(have: Money, amount: u64) -> Result<Money, Stop> {
    Ok(Money::new(amount).and_then(|amount| have.plus(amount)).ok_or(Refusal::AmountTooLarge)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_sum_to_the_hole_and_nobody_bears_more_than_it_has(
            weights in prop::collection::vec(0..1_000_000u64, 1..20),
            amount in 0..20_000_000u64,
            unit in 1..200u64,
        ) {
            let id = |n: usize| format!("pa_{n:03}").parse::<ParticipantId>().expect("an id");
            let weights: Vec<_> = weights.iter().enumerate().map(|(n, w)| (id(n), w - w % unit)).collect();
            let amount = amount - amount % unit;
            let shares = pro_rata(amount, &weights, unit).expect("shares");
            let all: u64 = weights.iter().map(|(_, w)| w).sum();
            prop_assert_eq!(shares.iter().map(|(_, s)| s).sum::<u64>(), amount.min(all));
            for ((who, share), (of, weight)) in shares.iter().zip(&weights) {
                prop_assert_eq!(who, of);
                prop_assert!(share <= weight && share % unit == 0);
                // In proportion, to one unit.
                let exact = u128::from(*weight) * u128::from(amount.min(all)) / u128::from(all.max(1));
                prop_assert!(u128::from(*share).abs_diff(exact) <= u128::from(unit), "{share} of {exact}");
            }
        }
    }
}
