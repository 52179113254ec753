//! Subjects of disputes: what somebody owes for, and how much of that stands undisputed.
//!
//! Owns: the sorts of subjects.
//! Promises: what was charged back of one is kept with it, so that it is never charged back twice nor refunded as well;
//! so is every dispute there was over it.
//! Refuses to know: how a dispute goes on.

use crate::book::{Dispute, Draft, Name, PartKey, Record, Service, Stop};
use crate::payments::{charged_now, owed_now, undisputed};
use crate::points::put_sponsored;
use crate::types::{
    AwardId, Currency, DisputeId, ExchangeId, Money, ParticipantId, PaymentId, Refusal, Refused, Time,
    UnitCode,
};

/// What a dispute is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// A unit's share of a payment.
    Payment(PaymentId, UnitCode),
    /// An exchange.
    Exchange(ExchangeId),
    /// A fee of a payment that somebody owes, with its tax.
    Fee(PaymentId, Service, ParticipantId),
    /// The fee of an exchange, with its tax.
    ExchangeFee(ExchangeId),
    /// Sponsored awards.
    Award(AwardId),
}

/// How a subject stands.
pub(super) struct Stands {
    /// Who is owed.
    pub target: ParticipantId,
    /// In this currency.
    pub currency: Currency,
    /// What is owed for it: captured and not refunded.
    pub owed: Money,
    /// How much of that was charged back by disputes that are open or won.
    pub charged: Money,
    /// Every dispute there was over it.
    pub disputes: Vec<DisputeId>,
    /// From when on the time of a reason runs.
    pub since: Time,
}

impl Stands {
    /// What can be charged back still.
    pub(super) fn left(&self) -> Money {
        self.owed.minus(self.charged).unwrap_or_default()
    }
}

impl Subject {
    /// As arguments and records name it: one of these.
    pub(super) fn of(
        payment: Option<PaymentId>,
        unit: Option<UnitCode>,
        exchange: Option<ExchangeId>,
        award: Option<AwardId>,
        (fee, filer): (Option<Service>, &ParticipantId),
    ) -> Result<Self, Refused> {
        match (payment, unit, exchange, award, fee) {
            (Some(payment), Some(unit), None, None, None) => Ok(Self::Payment(payment, unit)),
            (None, None, Some(exchange), None, None) => Ok(Self::Exchange(exchange)),
            (None, None, None, Some(award), None) => Ok(Self::Award(award)),
            (Some(payment), None, None, None, Some(fee @ (Service::AcceptorFee | Service::IssuerFee))) => {
                Ok(Self::Fee(payment, fee, filer.clone()))
            }
            (None, None, Some(exchange), None, Some(Service::ExchangeFee)) => Ok(Self::ExchangeFee(exchange)),
            _ => {
                let about = "a payment and a unit of it or its acceptor_fee or issuer_fee; an exchange or its exchange_fee; sponsored awards";
                Err(Refused::about(Refusal::TokenPayload, about))
            }
        }
    }

    /// What a dispute is about.
    pub(super) fn disputed(of: &Dispute) -> Result<Self, Refused> {
        Self::of(of.payment, of.unit, of.exchange, of.award, (of.fee, &of.filer))
    }

    /// How it stands, for whoever says that they owe it.
    pub(super) fn stands(&self, draft: &mut Draft, filer: &ParticipantId) -> Result<Stands, Stop> {
        let nothing = || Refused::about(Refusal::KeyOwner, format!("{filer} owes nothing for it"));
        match self {
            Self::Payment(id, unit) => {
                let payment = draft.payment(*id)?;
                let mut shares = payment.shares.iter().enumerate();
                let (at, share) = shares
                    .find(|(_, share)| share.unit == *unit && share.issuer == *filer)
                    .ok_or_else(nothing)?;
                Ok(Stands {
                    target: payment.participant.clone(),
                    currency: payment.currency,
                    owed: owed_now(&payment, at)?,
                    charged: share.charged,
                    disputes: share.disputes.clone(),
                    since: payment.deadline,
                })
            }
            Self::Exchange(id) => {
                let record = draft.get(&Name::Exchange(*id))?;
                let exchange = record.as_deref().and_then(Record::exchange);
                let exchange = exchange.filter(|one| one.terms.debtor == *filer).ok_or_else(nothing)?;
                Ok(Stands {
                    target: exchange.terms.creditor.clone(),
                    currency: exchange.terms.currency,
                    owed: exchange.terms.worth,
                    charged: exchange.charged,
                    disputes: exchange.disputes.clone(),
                    since: draft.offer(exchange.offer)?.until,
                })
            }
            Self::Fee(id, service, customer) => {
                let payment = draft.payment(*id)?;
                let mut fees = payment.fees.iter();
                let fee = fees.find(|fee| fee.service == *service && fee.customer == *customer);
                let fee = fee.ok_or_else(nothing)?;
                let (net, tax) = charged_now(&payment, fee)?;
                Ok(Stands {
                    target: fee.supplier.clone(),
                    currency: payment.currency,
                    owed: net.plus(tax).ok_or(Refusal::AmountTooLarge)?,
                    charged: fee.charged,
                    disputes: fee.disputes.clone(),
                    since: payment.deadline,
                })
            }
            Self::ExchangeFee(id) => {
                let record = draft.get(&Name::Exchange(*id))?;
                let exchange = record.as_deref().and_then(Record::exchange).ok_or_else(nothing)?;
                let fee = exchange.terms.fee.as_ref().filter(|fee| fee.worth.customer == *filer);
                let fee = &fee.ok_or_else(nothing)?.worth;
                Ok(Stands {
                    target: fee.supplier.clone(),
                    currency: exchange.terms.currency,
                    owed: fee.gross,
                    charged: fee.charged,
                    disputes: fee.disputes.clone(),
                    since: draft.offer(exchange.offer)?.until,
                })
            }
            Self::Award(id) => {
                let record = draft.get(&Name::Sponsored(*id))?;
                let award = record.as_deref().and_then(Record::sponsored);
                let award = award.filter(|one| one.debtor == *filer).ok_or_else(nothing)?;
                Ok(Stands {
                    target: award.creditor.clone(),
                    currency: award.currency,
                    owed: award.worth.minus(award.returned).unwrap_or_default(),
                    charged: award.charged,
                    disputes: award.disputes.clone(),
                    since: award.at,
                })
            }
        }
    }

    /// Who owes it in the issuer's place, if somebody does.
    pub(super) fn keeper(&self, draft: &mut Draft) -> Result<Option<ParticipantId>, Stop> {
        match self {
            Self::Payment(id, unit) => {
                let payment = draft.payment(*id)?;
                let share = payment.shares.iter().find(|share| share.unit == *unit);
                Ok(share.and_then(|share| share.keeper.clone()))
            }
            Self::Exchange(id) => {
                let record = draft.get(&Name::Exchange(*id))?;
                Ok(record.as_deref().and_then(Record::exchange).and_then(|one| one.terms.keeper.clone()))
            }
            Self::Fee(..) | Self::ExchangeFee(_) | Self::Award(_) => Ok(None),
        }
    }
}

/// So much more of a subject is charged back, or less.
pub(super) fn charge(draft: &mut Draft, subject: &Subject, change: i64) -> Result<(), Stop> {
    alter(draft, subject, &|charged, _| {
        let sum = charged.signed().checked_add(change).and_then(|sum| u64::try_from(sum).ok());
        let sum = sum.and_then(Money::new);
        *charged = sum.ok_or_else(|| Stop::Bug("more was charged back than is known".into()))?;
        Ok(())
    })
}

/// A dispute is filed over a subject.
pub(super) fn note(draft: &mut Draft, subject: &Subject, id: DisputeId) -> Result<(), Stop> {
    alter(draft, subject, &|_, disputes| {
        disputes.push(id);
        Ok(())
    })
}

/// What changes of what a subject says of disputes.
type Change<'a> = &'a dyn Fn(&mut Money, &mut Vec<DisputeId>) -> Result<(), Stop>;

fn alter(draft: &mut Draft, subject: &Subject, change: Change) -> Result<(), Stop> {
    match subject {
        Subject::Payment(id, unit) => {
            let mut payment = (*draft.payment(*id)?).clone();
            for share in payment.shares.iter_mut().filter(|share| share.unit == *unit) {
                change(&mut share.charged, &mut share.disputes)?;
            }
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::from(payment)))
        }
        Subject::Fee(id, service, customer) => {
            let mut payment = (*draft.payment(*id)?).clone();
            let mut fees = payment.fees.iter_mut();
            let fee = fees.find(|fee| fee.service == *service && fee.customer == *customer);
            let fee = fee.ok_or_else(|| Stop::Bug(format!("{id} has no such fee any more")))?;
            let before = fee.charged;
            change(&mut fee.charged, &mut fee.disputes)?;
            let fee = fee.clone();
            undisputed(draft, *id, &payment, &fee, before)?;
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::from(payment)))
        }
        Subject::Exchange(id) | Subject::ExchangeFee(id) => {
            let name = Name::Exchange(*id);
            let record = draft.get(&name)?;
            let exchange = record.as_deref().and_then(Record::exchange);
            let mut exchange = exchange.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            match (subject, &mut exchange.terms.fee) {
                (Subject::ExchangeFee(_), Some(fee)) => {
                    change(&mut fee.worth.charged, &mut fee.worth.disputes)?;
                }
                _ => change(&mut exchange.charged, &mut exchange.disputes)?,
            }
            draft.put(PartKey::Holder(exchange.account), name, Some(Record::from(exchange)))
        }
        Subject::Award(id) => {
            let record = draft.get(&Name::Sponsored(*id))?;
            let award = record.as_deref().and_then(Record::sponsored);
            let mut award = award.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            change(&mut award.charged, &mut award.disputes)?;
            put_sponsored(draft, *id, award)
        }
    }
}
