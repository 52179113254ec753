//! Requests that make, cancel or agree to an offer, made up.

use super::super::command::Body;
use super::super::verify::Broken;
use super::guess::Guess;
use super::payments::key_of;
use super::scene::Scene;
use crate::book::{Name, Offer, OfferTerms, Place};
use crate::payments::{AgreeExchange, CancelOffer, MakeOffer, WantedExchange, WantedPayment, WantedShare};
use crate::types::{AccountId, OfferId};

fn offer<'a>(scene: &Scene<'a>) -> Option<(OfferId, &'a Offer)> {
    scene.puts().find_map(|(name, record)| match name {
        Name::Offer(id) => Some((*id, record.offer()?)),
        _ => None,
    })
}

/// The offer is asked for with the key that it names. Which side of an exchange was fixed is not known any more.
pub(super) fn made(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((_, offer)) = offer(scene) else { return Ok(vec![]) };
    let Some(asked) = scene.asked(offer.key) else { return Ok(vec![]) };
    if let Some((_, body @ Body::MakeOffer(_))) = &scene.left.first {
        let Body::MakeOffer(args) = body else { return Ok(vec![]) };
        return Ok(vec![Guess::command(asked, Body::MakeOffer(args.clone()))]);
    }
    let wanted = match &offer.terms {
        OfferTerms::Exchange(terms) => {
            let (to, currency) = (terms.to, terms.currency);
            let sides = [(Some(terms.source), None), (None, Some(terms.target))];
            let exchange = sides.map(|(source, target)| WantedExchange { to, currency, source, target });
            let firm = terms.firm || terms.pledge.is_some();
            exchange.map(|exchange| MakeOffer { exchange: Some(exchange), payment: None, firm }).to_vec()
        }
        OfferTerms::Payment(bill) => {
            let share =
                |share: &crate::book::OfferedShare| WantedShare { unit: share.unit, amount: share.amount };
            let payment = WantedPayment {
                amount: bill.amount,
                currency: bill.currency,
                deadline: bill.deadline,
                reference: bill.reference.clone(),
                capture: bill.capture,
                shares: bill.shares.iter().map(share).collect(),
            };
            let firm = bill.shares.iter().any(|share| share.firm || share.pledge.is_some());
            vec![MakeOffer { exchange: None, payment: Some(payment), firm }]
        }
    };
    Ok(wanted.into_iter().map(|args| Guess::command(asked.clone(), Body::MakeOffer(args))).collect())
}

/// The offer is taken back with the key that asked for it, or with another till's of the same brand: which one it was
/// changes nothing else.
pub(super) fn cancelled(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((id, offer)) = offer(scene) else { return Ok(vec![]) };
    let asked = scene.asked(offer.key);
    Ok(asked
        .map(|asked| Guess::command(asked, Body::CancelOffer(CancelOffer { offer: id })))
        .into_iter()
        .collect())
}

/// The exchange is agreed to with the key of the account that gives points up, and approved with that of the account
/// that gets the others.
pub(super) fn exchanged(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((id, offer)) = offer(scene) else { return Ok(vec![]) };
    let Some(mut asked) = scene.asked(offer.key) else { return Ok(vec![]) };
    let args = match &scene.left.first {
        Some((_, Body::Exchange(args))) => args.clone(),
        _ => AgreeExchange { offer: id, hash: offer.hash(id) },
    };
    if asked.approvals.is_empty() {
        let OfferTerms::Exchange(terms) = &offer.terms else { return Ok(vec![]) };
        let Some(account) = receiver(scene, terms.to) else { return Ok(vec![]) };
        asked.approvals.extend(key_of(scene, account)?);
    }
    Ok(vec![Guess::command(asked, Body::Exchange(args))])
}

/// The account that got the points: the one that its part's legs, heads or lots name beside the unit.
fn receiver(scene: &Scene, to: crate::types::UnitCode) -> Option<AccountId> {
    let part = scene
        .done()
        .find(|done| done.legs.iter().any(|leg| matches!(leg.place, Place::Shared(unit, _) if unit == to)))?;
    let legs = part.legs.iter().find_map(|leg| match leg.place {
        Place::Holder(id) => Some(id),
        Place::Shared(..) | Place::Pair(..) => None,
    });
    legs.or(part.heads.first().map(|(id, _)| *id)).or(part.lots.first().map(|(id, ..)| *id))
}
