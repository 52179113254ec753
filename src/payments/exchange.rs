//! Exchange: an offer is agreed to, and points of one unit become points of another, in one entry.
//!
//! Owns: who must agree, and what is booked: points are taken from one account, the obligation between the units'
//! participants, points for the other account.
//! Promises: it happens exactly as it was offered, once. What a brand reads of it names no account of another brand's:
//! the account that gets the points is known by the key that approves, not by a name in the command.
//! Refuses to know: prices; the offer has the amounts.

use super::authorise::spendable;
use super::offer::{close, obtainable, of_exchange, own_offer};
use crate::book::{
    Draft, Exchange, ExchangeFeeTerms, Name, OfferState, OfferTerms, PartKey, Principal, Record, Service,
    Shared, Stop, Supply,
};
use crate::network::{Asked, signer};
use crate::points::issue_exchanged;
use crate::prices::{Sides, draw_exchange, end_firm, end_pledge, owe_for_points, pledge, voluntary};
use crate::sign::{Purpose, Sale};
use crate::types::{AccountId, ExchangeId, Hash, Money, OfferId, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// `exchange.agree`, signed by the key of the account that gives points up, approved by the key of the account that
/// gets the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreeExchange {
    /// Which offer.
    pub offer: OfferId,
    /// Its hash, hexadecimal: what is agreed to.
    pub hash: Hash,
}

/// Exchanges points as offered.
pub fn exchange(draft: &mut Draft, asked: &Asked, args: &AgreeExchange) -> Result<ExchangeId, Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Account])?;
    let Principal::Account(account) = key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    };
    let offer = own_offer(draft, args.offer, &Principal::Account(account))?;
    let OfferTerms::Exchange(terms) = offer.terms.clone() else {
        return Err(Refused::about(Refusal::OfferMismatch, "a payment is offered").into());
    };
    let terms = *terms;
    if offer.hash(args.offer) != args.hash {
        return Err(Refused::about(Refusal::OfferMismatch, "hash").into());
    }
    let until = offer.until;
    close(draft, args.offer, offer, OfferState::Taken)?;
    if draft.network()?.frozen {
        return Err(Refusal::NetworkFrozen.into());
    }
    spendable(draft, account)?;
    let brand = obtainable(draft, terms.to)?;
    let receiver = receiver(draft, asked, terms.to)?;
    let offset = draft.unit(terms.to)?.offset;
    let id = ExchangeId { seq: draft.seq, part: 0 };
    draft.take(account, terms.from, args.offer, terms.source, Shared::Exchanged)?;
    let (charged, won) = (Money::ZERO, Money::ZERO);
    let record =
        Exchange { offer: args.offer, account, terms: terms.clone(), charged, disputes: vec![], won };
    draft.put(PartKey::Holder(account), Name::Exchange(id), Some(Record::from(record)))?;
    let spend = of_exchange(&terms, None);
    let backed = match terms.pledge {
        Some(held) => end_pledge(draft, &spend, held, until)?,
        None => pledge(draft, &spend)?,
    };
    if terms.debtor != terms.creditor {
        let owed = terms.worth.signed();
        let payer = terms.payer();
        match terms.firm {
            true => end_firm(draft, payer, &terms.creditor, terms.currency, terms.worth, until)?,
            // The issuer itself, to who holds its reserve: the reserve pays, and what it lacks is asked for.
            false if backed.is_some() && *payer == terms.debtor => {}
            false => voluntary(draft, payer, &terms.creditor, terms.currency, terms.worth, None).map(drop)?,
        }
        let supply = match terms.tax {
            None => None,
            Some(tax) => {
                let amount = tax.within(terms.worth).ok_or(Refusal::AmountTooLarge)?.signed();
                Some(Supply { service: Service::Exchange, tax, net: owed.saturating_sub(amount), amount })
            }
        };
        let (issuer, keeper) = (&terms.debtor, terms.keeper.as_ref());
        let sides = Sides { issuer, keeper, creditor: &terms.creditor };
        owe_for_points(draft, sides, terms.currency, owed, supply, id.into())?;
    }
    if let Some(ExchangeFeeTerms { worth, .. }) = &terms.fee
        && worth.customer != worth.supplier
        && !worth.gross.is_zero()
    {
        let (net, amount) = (worth.net.signed(), worth.tax.signed());
        let supply = Supply { service: worth.service, tax: worth.taxed(), net, amount };
        draft.owe_for(&worth.customer, &worth.supplier, terms.currency, supply, id.into())?;
    }
    let worth = Sale { amount: terms.worth, currency: terms.currency };
    draw_exchange(draft, &brand, terms.from, terms.to, offset, &worth)?;
    issue_exchanged(draft, terms.budget, terms.to, receiver, terms.target)?;
    Ok(id)
}

/// The account whose key approved: of the unit that is got, and not frozen.
fn receiver(draft: &mut Draft, asked: &Asked, to: UnitCode) -> Result<AccountId, Stop> {
    let [approval] = asked.approvals.as_slice() else {
        let about = "the key of the account that gets the points signs an approval";
        return Err(Refused::about(Refusal::EvidenceMissing, about).into());
    };
    let key = signer(draft, *approval, &[Purpose::Account])?;
    let Principal::Account(account) = key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, approval).into());
    };
    let head = &draft.account(account)?.head;
    if head.unit != to {
        return Err(Refused::about(Refusal::KeyOwner, format!("{approval}: no key of {to}")).into());
    }
    if head.frozen {
        return Err(Refusal::AccountFrozen.into());
    }
    Ok(account)
}
