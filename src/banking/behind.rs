//! The obligations behind a cycle, entry by entry.
//!
//! Owns: which parts of the log are a cycle's, and what each says.
//! Promises: every leg of money is told once, in the order of the log; the creditor's leg stands first. What an objection
//! put off is owed in one cycle and no more: it makes what was owed in the other less, and nothing owed back.
//! Refuses to know: what is made of them.

use super::Fault;
use crate::book::{Closing, Place};
use crate::engine::open_entry;
use crate::log::{Slot, open};
use crate::machine::{PartBody, SupplyLine};
use crate::store::Read;
use crate::types::{Asset, CauseId, Currency, ExchangeId, Malformed, ParticipantId, PaymentId, Time, decode};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Entries and bytes read at a time.
const PAGE: usize = 2_048;
const PAGE_BYTES: usize = 8 << 20;

/// One entry's effect on two participants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Effect {
    /// The entry.
    pub seq: u64,
    /// Its instant.
    pub at: Time,
    /// The cycle that its obligation fell into.
    pub cycle: u64,
    /// Who owes.
    pub debtor: ParticipantId,
    /// Who is owed.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much, in the network's smallest unit; below 0 if it takes back.
    pub amount: i64,
    /// The payment, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// The exchange, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    /// What it is for, if it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseId>,
    /// What was supplied for it, and its tax, if that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supply: Option<SupplyLine>,
}

/// What losing a dispute costs, as it is written among what is supplied.
const DISPUTE_FEE: &str = "dispute_fee";

impl Effect {
    /// The id of what it is for.
    pub fn what(&self) -> String {
        let payment = self.payment.map(|id| id.to_string());
        let exchange = || self.exchange.map(|id| id.to_string());
        payment.or_else(exchange).or_else(|| self.cause.map(|id| id.to_string())).unwrap_or_default()
    }

    /// What was supplied for it, as it is written. What a dispute takes back is below 0; what losing it costs is not, and
    /// nothing is supplied for that.
    pub fn service(&self) -> Option<&'static str> {
        match (&self.supply, self.cause) {
            (Some(supply), _) => Some(supply.service.code()),
            (None, Some(CauseId::Dispute(_))) if self.amount > 0 => Some(DISPUTE_FEE),
            _ => None,
        }
    }

    /// The same, if it is a fee: two lines of one payment or dispute are told apart by it.
    pub fn fee(&self) -> Option<&'static str> {
        let is_fee = self.supply.as_ref().is_none_or(|supply| supply.service.is_fee());
        self.service().filter(|_| is_fee)
    }
}

/// Calls `each` with every obligation that the log says from entry `from` up to and without `to`, in order.
pub fn effects(
    read: &dyn Read,
    mut from: u64,
    to: u64,
    each: &mut dyn FnMut(Effect) -> Result<(), Fault>,
) -> Result<(), Fault> {
    while from < to {
        let page = read.read(from, PAGE, PAGE_BYTES)?;
        if page.is_empty() {
            return Ok(());
        }
        for entry in page.iter().take_while(|entry| entry.seq < to) {
            let damaged = |e: &dyn std::fmt::Display| Fault::Damaged(format!("entry {}: {e}", entry.seq));
            let (envelope, slots) = open_entry(entry).map_err(|e| damaged(&e))?;
            for slot in &slots {
                let Slot::Whole(bytes) = slot else { continue };
                // The text is looked for first: most parts are of no cycle.
                if !std::str::from_utf8(bytes).is_ok_and(|text| text.contains("\"cycle\":")) {
                    continue;
                }
                let body = open(bytes).and_then(|(_, body)| decode::<PartBody>(&body));
                let body = body.map_err(|e: Malformed| damaged(&e))?;
                let (Some(cycle), Some(done)) = (body.cycle, &body.done) else { continue };
                if let Some(leg) = done.legs.first()
                    && let (Place::Pair(creditor, debtor), Asset::Money(currency)) = (&leg.place, leg.asset)
                {
                    each(Effect {
                        seq: entry.seq,
                        at: envelope.at,
                        cycle,
                        debtor: debtor.clone(),
                        creditor: creditor.clone(),
                        currency,
                        amount: leg.amount,
                        payment: body.payment,
                        exchange: body.exchange,
                        cause: body.cause,
                        supply: body.supply.clone(),
                    })?;
                }
            }
        }
        from = page.last().map_or(to, |entry| entry.seq.saturating_add(1));
    }
    Ok(())
}

/// What was owed for trade, and what an earlier set-off left: one obligation for each pair, less what was paid of it; without
/// what objections put off. What was taken out of the cycle after its cut (the entry `cut`) was owed in it all the same.
pub fn owed(all: &[Effect], cut: u64) -> Vec<Effect> {
    let mut left: BTreeMap<(&ParticipantId, &ParticipantId, Currency), Effect> = BTreeMap::new();
    let mut owed = vec![];
    for one in all {
        match one.cause {
            Some(CauseId::SetOff(_)) if one.seq < cut => {
                let key = (&one.debtor, &one.creditor, one.currency);
                let sum = left.entry(key).or_insert_with(|| Effect { amount: 0, ..one.clone() });
                sum.amount = sum.amount.saturating_add(one.amount);
            }
            Some(CauseId::SetOff(_)) => {}
            _ => owed.push(one.clone()),
        }
    }
    owed.extend(left.into_values());
    kept(owed)
}

/// Whether it is what an objection that was accepted takes out of its cycle.
fn is_put_off(one: &Effect) -> bool {
    matches!(one.cause, Some(CauseId::Objection(_))) && one.amount < 0
}

/// What stayed in a cycle: what objections put off makes what the same owed the same less, the latest first. Only what it was
/// taken from besides, of what a set-off left say, is owed the other way round.
fn kept(mut all: Vec<Effect>) -> Vec<Effect> {
    type Whom = (ParticipantId, ParticipantId, Currency);
    let mut off: BTreeMap<Whom, Effect> = BTreeMap::new();
    for one in all.extract_if(.., |one| is_put_off(one)) {
        let whom = (one.debtor.clone(), one.creditor.clone(), one.currency);
        let sum = off.entry(whom).or_insert_with(|| Effect { amount: 0, ..one.clone() });
        sum.amount = sum.amount.saturating_add(one.amount);
    }
    for one in all.iter_mut().rev() {
        let (debtor, creditor) =
            if one.amount < 0 { (&one.creditor, &one.debtor) } else { (&one.debtor, &one.creditor) };
        let Some(off) = off.get_mut(&(debtor.clone(), creditor.clone(), one.currency)) else { continue };
        let taken = one.amount.saturating_abs().min(off.amount.saturating_neg());
        off.amount = off.amount.saturating_add(taken);
        one.amount = one.amount.saturating_sub(if one.amount < 0 { taken.saturating_neg() } else { taken });
    }
    all.extend(off.into_values());
    all.retain(|one| one.amount != 0);
    all
}

/// Whether it was owed for trade: participants bill each other that, and not what a set-off left.
pub(super) fn is_traded(one: &Effect) -> bool {
    !matches!(one.cause, Some(CauseId::SetOff(_)))
}

/// What was owed for trade alone, without what objections put off.
pub(super) fn traded(all: &[Effect]) -> Vec<Effect> {
    kept(all.iter().filter(|one| is_traded(one)).cloned().collect())
}

/// Who bills whom, as [`traded`] has it: each has a document of its own. Of each what it owes, and what objections put off.
#[derive(Default)]
pub(super) struct Pairs(BTreeMap<(ParticipantId, ParticipantId), (u128, u128)>);

impl Pairs {
    /// One more obligation; what is taken back is owed the other way round, but what an objection put off.
    pub(super) fn add(&mut self, one: &Effect) {
        let (put_off, size) = (is_put_off(one), u128::from(one.amount.unsigned_abs()));
        let back = one.amount < 0 && !put_off;
        let (debtor, creditor) =
            if back { (&one.creditor, &one.debtor) } else { (&one.debtor, &one.creditor) };
        let (owed, off) = self.0.entry((debtor.clone(), creditor.clone())).or_default();
        let sum = if put_off { off } else { owed };
        *sum = sum.saturating_add(size);
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        let whom = self.0.iter().filter_map(|((debtor, creditor), (owed, off))| match owed.cmp(off) {
            Ordering::Greater => Some((debtor, creditor)),
            Ordering::Equal => None,
            Ordering::Less => Some((creditor, debtor)),
        });
        whom.collect::<BTreeSet<_>>().len()
    }
}

/// The entry before which all obligations of a cycle stand: that which approved it, since accepted objections take out of
/// it until then.
pub(super) fn end(closing: &Closing) -> u64 {
    closing.approved.or(closing.voided).map_or(u64::MAX, |mark| mark.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Service, TaxCategory};

    fn effect(amount: i64) -> Effect {
        Effect {
            seq: 7,
            at: Time::default(),
            cycle: 1,
            debtor: "pa_harvest".parse().expect("an id"),
            creditor: "pa_kino".parse().expect("an id"),
            currency: "EUR".parse().expect("a currency"),
            amount,
            payment: None,
            exchange: None,
            cause: None,
            supply: None,
        }
    }

    #[test]
    fn what_an_objection_put_off_is_owed_in_one_cycle_alone() {
        let objection = || "obj_9.0".parse().ok().map(CauseId::Objection);
        let set_off = || "set_4.0".parse().ok().map(CauseId::SetOff);
        assert!(objection().is_some() && set_off().is_some());
        let turned =
            |one: Effect| Effect { debtor: one.creditor.clone(), creditor: one.debtor.clone(), ..one };
        let put_off = |amount: i64| Effect { cause: objection(), ..effect(-amount) };
        let amounts = |all: &[Effect]| traded(all).iter().map(|one| one.amount).collect::<Vec<_>>();
        let documents = |all: &[Effect]| {
            let mut pairs = Pairs::default();
            all.iter().filter(|one| is_traded(one)).for_each(|one| pairs.add(one));
            let list = traded(all);
            let list = list.iter().map(|one| (&one.debtor, &one.creditor, one.amount));
            let matrix = crate::clearing::Matrix::of(list).expect("sound");
            assert_eq!(pairs.len(), matrix.debts().count());
            pairs.len()
        };
        // Of the latest first; a refund is owed back all the same.
        let all = [effect(50), effect(-10), effect(30), put_off(40)];
        assert_eq!((amounts(&all), documents(&all)), (vec![40, -10], 2));
        // All of it, or what is owed by taking back the other way round.
        let all = [effect(50), put_off(50)];
        assert_eq!((amounts(&all), documents(&all)), (vec![], 0));
        let all = [effect(50), turned(effect(-20)), put_off(60)];
        assert_eq!((amounts(&all), documents(&all)), (vec![10], 1));
        // What went on is owed in the cycle that it came to, and may be put off again.
        let carried = Effect { cause: objection(), ..effect(25) };
        assert_eq!(amounts(&[effect(5), carried.clone()]), [5, 25]);
        assert_eq!(amounts(&[effect(5), carried, put_off(25)]), [5]);
        // Of what a set-off left nobody bills anything.
        let all = [Effect { cause: set_off(), ..effect(30) }, effect(5), put_off(20)];
        assert_eq!((amounts(&all), documents(&all)), (vec![-15], 1));
        assert_eq!(owed(&all, 99).iter().map(|one| one.amount).collect::<Vec<_>>(), [5, 10]);
    }

    #[test]
    fn every_obligation_says_what_it_is_for() {
        let payment = Effect { payment: "pay_3.0".parse().ok(), ..effect(5) };
        assert_eq!((payment.what().as_str(), payment.service()), ("pay_3.0", None));
        let exchange = Effect { exchange: "exc_4.0".parse().ok(), ..effect(5) };
        assert_eq!((exchange.what().as_str(), exchange.fee()), ("exc_4.0", None));
        let cause = "dsp_5.0".parse().ok().map(CauseId::Dispute);
        // What is taken back and what losing costs are of one dispute.
        let back = Effect { cause, ..effect(-5) };
        assert_eq!((back.what().as_str(), back.service()), ("dsp_5.0", None));
        let costs = Effect { cause, ..effect(5) };
        assert_eq!((costs.what().as_str(), costs.fee()), ("dsp_5.0", Some("dispute_fee")));
        let supply = |service| SupplyLine {
            service,
            supplier: effect(0).creditor,
            customer: effect(0).debtor,
            net: -4,
            category: TaxCategory::Standard,
            rate: 250_000,
            tax: -1,
            gross: -5,
        };
        let taxed = Effect { supply: Some(supply(Service::Redemption)), ..back };
        assert_eq!((taxed.service(), taxed.fee()), (Some("redemption"), None));
        let fee = Effect { supply: Some(supply(Service::AcceptorFee)), ..payment };
        assert_eq!((fee.service(), fee.fee()), (Some("acceptor_fee"), Some("acceptor_fee")));
    }
}
