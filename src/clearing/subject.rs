//! Subjects of disputes: what somebody owes for, and how much of that stands undisputed.
//!
//! Owns: the sorts of subjects.
//! Promises: what is disputed of one, or was charged back, is kept with it, so that it is never disputed twice nor
//! refunded as well.
//! Refuses to know: how a dispute goes on.

use crate::book::{Draft, Name, PartKey, Record, Service, Stop};
use crate::payments::{charged_now, owed_now, undisputed};
use crate::points::put_sponsored;
use crate::types::{
    AwardId, Currency, ExchangeId, Money, ParticipantId, PaymentId, Refusal, Refused, Time, UnitCode,
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
    /// How much of that is disputed, or was charged back.
    pub charged: Money,
    /// From when on the time of a reason runs.
    pub since: Time,
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
                    owed: award.worth,
                    charged: award.charged,
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

/// So much more of a subject is disputed, or less.
pub(super) fn charge(draft: &mut Draft, subject: &Subject, change: i64) -> Result<(), Stop> {
    let changed = |charged: Money| {
        let sum = charged.signed().checked_add(change).and_then(|sum| u64::try_from(sum).ok());
        sum.and_then(Money::new).ok_or_else(|| Stop::Bug("more was disputed than is known".into()))
    };
    match subject {
        Subject::Payment(id, unit) => {
            let mut payment = (*draft.payment(*id)?).clone();
            for share in payment.shares.iter_mut().filter(|share| share.unit == *unit) {
                share.charged = changed(share.charged)?;
            }
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::Payment(payment)))
        }
        Subject::Fee(id, service, customer) => {
            let mut payment = (*draft.payment(*id)?).clone();
            let mut fees = payment.fees.iter_mut();
            let fee = fees.find(|fee| fee.service == *service && fee.customer == *customer);
            let fee = fee.ok_or_else(|| Stop::Bug(format!("{id} has no such fee any more")))?;
            let before = fee.charged;
            fee.charged = changed(before)?;
            let fee = fee.clone();
            undisputed(draft, *id, &payment, &fee, before)?;
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::Payment(payment)))
        }
        Subject::Exchange(id) | Subject::ExchangeFee(id) => {
            let name = Name::Exchange(*id);
            let record = draft.get(&name)?;
            let exchange = record.as_deref().and_then(Record::exchange);
            let mut exchange = exchange.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            match (subject, &mut exchange.terms.fee) {
                (Subject::ExchangeFee(_), Some(fee)) => fee.worth.charged = changed(fee.worth.charged)?,
                _ => exchange.charged = changed(exchange.charged)?,
            }
            draft.put(PartKey::Holder(exchange.account), name, Some(Record::Exchange(exchange)))
        }
        Subject::Award(id) => {
            let record = draft.get(&Name::Sponsored(*id))?;
            let award = record.as_deref().and_then(Record::sponsored);
            let mut award = award.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            award.charged = changed(award.charged)?;
            put_sponsored(draft, *id, award)
        }
    }
}
