//! What won disputes take back of a taxed line: net and tax, in proportion.
//!
//! Owns: the function from what was taken back of a line to its tax.
//! Promises: with D taken back in all, its tax is what tax is within D, however many disputes it took; so a line that is
//! taken back in full ends with no tax at all, and no order of disputes and refunds leaves a rest.
//! Refuses to know: who won, and why.

use super::subject::Subject;
use crate::book::{Draft, FeeTerms, Name, PartKey, Record, Service, Stop, Supply, Tax};
use crate::points::put_sponsored;
use crate::types::{Money, Refusal};

/// So much more of a line was taken back: as its supplier and its customer book it.
fn back(service: Service, tax: Tax, won: &mut Money, amount: Money) -> Result<Supply, Stop> {
    let within = |gross| tax.within(gross).map(Money::signed).ok_or(Refusal::AmountTooLarge);
    let before = *won;
    *won = won.plus(amount).ok_or(Refusal::AmountTooLarge)?;
    let of_tax = within(before)?.saturating_sub(within(*won)?);
    let net = amount.signed().saturating_neg().saturating_sub(of_tax);
    Ok(Supply { service, tax, net, amount: of_tax })
}

fn of_fee(fee: &mut FeeTerms, amount: Money) -> Result<Supply, Stop> {
    let (service, tax) = (fee.service, fee.taxed());
    back(service, tax, &mut fee.won, amount)
}

/// Takes so much more of a subject back: what is to be booked, if the line has a tax of its own.
pub(super) fn take(draft: &mut Draft, subject: &Subject, amount: Money) -> Result<Option<Supply>, Stop> {
    match subject {
        Subject::Payment(id, unit) => {
            let mut payment = (*draft.payment(*id)?).clone();
            let share = payment.shares.iter_mut().find(|share| share.unit == *unit);
            let Some((share, tax)) = share.and_then(|share| share.tax.map(|tax| (share, tax))) else {
                return Ok(None);
            };
            let supply = back(Service::Redemption, tax, &mut share.won, amount)?;
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::from(payment)))?;
            Ok(Some(supply))
        }
        Subject::Fee(id, service, customer) => {
            let mut payment = (*draft.payment(*id)?).clone();
            let mut fees = payment.fees.iter_mut();
            let fee = fees.find(|fee| fee.service == *service && fee.customer == *customer);
            let fee = fee.ok_or_else(|| Stop::Bug(format!("{id} has no such fee any more")))?;
            let supply = of_fee(fee, amount)?;
            let part = PartKey::Brand(payment.brand.clone());
            draft.put(part, Name::Payment(*id), Some(Record::from(payment)))?;
            Ok(Some(supply))
        }
        Subject::Exchange(id) | Subject::ExchangeFee(id) => {
            let name = Name::Exchange(*id);
            let record = draft.get(&name)?;
            let exchange = record.as_deref().and_then(Record::exchange);
            let mut exchange = exchange.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            let supply = match (subject, &mut exchange.terms.fee, exchange.terms.tax) {
                (Subject::ExchangeFee(_), Some(fee), _) => of_fee(&mut fee.worth, amount)?,
                (Subject::Exchange(_), _, Some(tax)) => {
                    back(Service::Exchange, tax, &mut exchange.won, amount)?
                }
                _ => return Ok(None),
            };
            draft.put(PartKey::Holder(exchange.account), name, Some(Record::from(exchange)))?;
            Ok(Some(supply))
        }
        Subject::Award(id) => {
            let record = draft.get(&Name::Sponsored(*id))?;
            let award = record.as_deref().and_then(Record::sponsored);
            let mut award = award.cloned().ok_or_else(|| Stop::Bug(format!("{id} is gone")))?;
            let Some(tax) = award.tax else { return Ok(None) };
            // With what was paid back for points that were taken back.
            let supply = back(Service::Award, tax, &mut award.taken_back(), amount)?;
            award.won = award.won.plus(amount).ok_or(Refusal::AmountTooLarge)?;
            put_sponsored(draft, *id, award)?;
            Ok(Some(supply))
        }
    }
}
