//! The demo's dispute: one payment is charged back, answered, and ruled on.
//!
//! Owns: which payment it is, and the steps of both sides.
//! Promises: it is one of which nothing more is to come; every step is an ordinary signed command.
//! Refuses to know: what the steps do; it reads that afterwards.

use super::figures::scan;
use super::house::{House, Keys, text};
use crate::book::{Name, Payment, Record};
use crate::clearing::{DisputeStep, FileDispute, MoveDispute};
use crate::machine::Kind;
use crate::payments::owed_now;
use crate::sign::SecretKey;
use crate::types::{AccountId, DisputeId, Money, ParticipantId, PaymentId, Time, UnitCode};

const DAY: u64 = 86_400;

/// Whether more is to come of a payment.
pub type Busy<'b> = &'b dyn Fn(PaymentId) -> bool;

/// What a ruling came to.
pub struct Ruled {
    /// Who disputed, and won.
    pub filer: ParticipantId,
    /// Against whom.
    pub target: ParticipantId,
    /// What is not owed any more.
    pub amount: u64,
    /// Whose points came back.
    pub account: AccountId,
    /// How many.
    pub points: u64,
    payment: PaymentId,
}

impl Ruled {
    /// For the page.
    pub fn note(&self) -> String {
        let Self { filer, target, payment, .. } = self;
        format!("{filer} charged {payment} back to {target}: ruled for it, points restored")
    }
}

struct Found {
    id: PaymentId,
    unit: UnitCode,
    filer: ParticipantId,
    payment: Payment,
    owed: Money,
}

impl House<'_> {
    /// The participant that owes most for a single payment disputes all of it.
    pub(super) fn dispute(&mut self, keys: Keys, busy: Busy, at: Time) -> Result<Option<Ruled>, String> {
        let Some(found) = self.disputable(busy, at)? else { return Ok(None) };
        let target = found.payment.participant.clone();
        let (Some(filer_key), Some(target_key)) = (keys(&found.filer), keys(&target)) else {
            return Ok(None);
        };
        let share = Name::Share(found.id, found.unit);
        let taken = |house: &Self| {
            let record = house.record(&share)?;
            let share = record.as_ref().and_then(Record::share).ok_or("a payment without its share")?;
            let sum: u64 = share.taken.iter().map(|lot| lot.1.get()).sum();
            Ok::<_, String>((share.account, sum))
        };
        let (account, before) = taken(self)?;
        self.argue(&found, filer_key, target_key, at)?;
        self.state()?;
        let (_, after) = taken(self)?;
        let (amount, points) = (found.owed.get(), before - after);
        Ok(Some(Ruled { filer: found.filer, target, amount, account, points, payment: found.id }))
    }

    fn disputable(&self, busy: Busy, at: Time) -> Result<Option<Found>, String> {
        let mut most: Option<Found> = None;
        scan(self.state()?, "payment/", &mut |name, record| {
            let (Name::Payment(id), Record::Payment(payment)) = (name, record) else { return Ok(()) };
            let late = payment.deadline.seconds() + 30 * DAY < at.seconds();
            if busy(id) || late || payment.captured.is_zero() || !payment.refunded.is_zero() {
                return Ok(());
            }
            for (place, share) in payment.shares.iter().enumerate() {
                if share.issuer == payment.participant {
                    continue;
                }
                let owed = owed_now(&payment, place).map_err(|e| format!("{id}: {e:?}"))?;
                // Of equal ones the one whose receipt comes first, wherever it stands in the log.
                let first = |found: &Found| {
                    let mine = (owed, &found.payment.reference);
                    (found.owed, &payment.reference) >= mine
                };
                if !owed.is_zero() && most.as_ref().is_none_or(|found| !first(found)) {
                    let (unit, filer) = (share.unit, share.issuer.clone());
                    most = Some(Found { id, unit, filer, payment: (*payment).clone(), owed });
                }
            }
            Ok(())
        })?;
        Ok(most)
    }

    /// All the way to a ruling.
    fn argue(
        &mut self,
        found: &Found,
        filer: &SecretKey,
        target: &SecretKey,
        at: Time,
    ) -> Result<(), String> {
        let about = found.id.to_string();
        let args = FileDispute {
            payment: Some(found.id),
            unit: Some(found.unit),
            exchange: None,
            fee: None,
            award: None,
            amount: found.owed,
            reason: "goods_not_received".parse().map_err(text)?,
            points: None,
            evidence: vec![],
        };
        let seq = self.by(filer, Kind::DisputeFiled, &about, &args, at)?;
        let dispute = DisputeId { seq, part: 0 };
        let bare = |step| MoveDispute { dispute, step, evidence: vec![] };
        let (kind, named) = (Kind::DisputeMoved, |step: &str| format!("{about} {step}"));
        self.ask(kind, &named("charge"), &bare(DisputeStep::ChargeBack), at)?;
        self.by(target, kind, &named("represent"), &bare(DisputeStep::Represent), at)?;
        self.ask(kind, &named("review"), &bare(DisputeStep::Review), at)?;
        self.by(filer, kind, &named("goes on"), &bare(DisputeStep::Escalate), at)?;
        self.by(filer, kind, &named("goes on still"), &bare(DisputeStep::Escalate), at)?;
        self.agreed(kind, &named("ruled"), &bare(DisputeStep::RuleForFiler), at).map(drop)
    }
}
