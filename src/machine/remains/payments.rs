//! Requests that move a payment, or open a consent, made up.

use super::super::command::Body;
use super::super::kind::Kind;
use super::super::verify::Broken;
use super::guess::{Act, Guess};
use super::scene::Scene;
use crate::book::{Measure, Name, Offer, Payment, Principal, Record, ShareTerms};
use crate::network::Asked;
use crate::payments::{Asks, Authorise, Capture, Code, Consent, Given, OpenConsent, Refund, Under, Void};
use crate::sign::{HeldCaps, PaymentConsent, SpendCode};
use crate::types::{AccountId, Hash, Kid, MAX_INT, OfferId, PaymentId};

/// The limits of a till.
const TILL: [Measure; 4] =
    [Measure::TakenHour, Measure::TakenDay, Measure::ReturnedHour, Measure::ReturnedDay];

fn payment<'a>(scene: &Scene<'a>) -> Option<(PaymentId, &'a Payment)> {
    scene.puts().find_map(|(name, record)| match name {
        Name::Payment(id) => Some((*id, record.payment()?)),
        _ => None,
    })
}

/// The consent is opened by the till that it names, with the code that is left or with one that says the same.
pub(super) fn opened(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let consent = scene.puts().find_map(|(_, record)| record.consent());
    let shown = scene.puts().find_map(|(_, record)| record.shown());
    let used = scene.used_consents().next();
    let (Some(consent), Some(shown), Some((_, jti, used))) = (consent, shown, used) else {
        return Ok(vec![]);
    };
    let Some(asked) = scene.asked(consent.till) else { return Ok(vec![]) };
    let args = match &scene.left.first {
        Some((_, Body::OpenConsent(args, _))) => args.clone(),
        _ => OpenConsent { code: jti.clone() },
    };
    let claims = SpendCode {
        aud: Hash::default(),
        jti: jti.clone(),
        payee: None,
        most: consent.most,
        currency: consent.currency,
        iat: None,
        exp: scene.at.seconds().saturating_add(1),
    };
    let made_up = || Code { kid: shown.key, fingerprint: used.2, claims };
    let code = scene.left.code.clone().unwrap_or_else(made_up);
    Ok(vec![Guess::command(asked, Body::OpenConsent(args, Some(code)))])
}

/// The payment is asked for by the till that it names, under the consents that are left and under such as fit.
pub(super) fn authorised(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((id, payment)) = payment(scene) else { return Ok(vec![]) };
    let Some(asked) = scene.asked(payment.by) else { return Ok(vec![]) };
    let mut consents = vec![];
    for (left, share) in scene.left.consents.iter().zip(&payment.shares) {
        let consent = match left {
            Some(consent) => Some(consent.clone()),
            None => agreed(scene, id, payment, share, &asked)?,
        };
        let Some(consent) = consent else { return Ok(vec![]) };
        consents.push(consent);
    }
    let offer = taken(scene).map(|(id, _)| id);
    let args = match &scene.left.first {
        Some((_, Body::Authorise(args, _))) => args.clone(),
        _ => {
            let mut under = vec![];
            for share in payment.shares.iter().skip(consents.len()) {
                let Ok(consent) = share.consent.as_str().parse() else { return Ok(vec![]) };
                under.push(Under { consent, amount: share.amount });
            }
            Authorise {
                amount: payment.amount,
                currency: payment.currency,
                deadline: payment.deadline.seconds(),
                reference: payment.reference.clone(),
                capture: !payment.captured.is_zero(),
                offer,
                under: (!under.is_empty()).then_some(under),
            }
        }
    };
    Ok(vec![Guess::command(asked, Body::Authorise(args, consents))])
}

/// The offer that was agreed to.
fn taken<'a>(scene: &Scene<'a>) -> Option<(OfferId, &'a Offer)> {
    scene.puts().find_map(|(name, record)| match name {
        Name::Offer(id) => Some((*id, record.offer()?)),
        _ => None,
    })
}

/// A consent that its holder would have had to sign for this share.
fn agreed(
    scene: &Scene,
    id: PaymentId,
    payment: &Payment,
    share: &ShareTerms,
    asked: &Asked,
) -> Result<Option<Consent>, Broken> {
    let account = scene.puts().find_map(|(name, record)| match name {
        Name::Share(of, unit) if *of == id && *unit == share.unit => Some(record.share()?.account),
        _ => None,
    });
    let used = |account: AccountId| {
        scene.used_consents().find(|(of, jti, _)| *of == account && **jti == share.consent)
    };
    let Some((account, jti, used)) = account.and_then(used) else { return Ok(None) };
    let (Some(kid), Some(cid)) = (key_of(scene, account)?, &asked.cid) else { return Ok(None) };
    let claims = PaymentConsent {
        aud: Hash::default(),
        jti: jti.clone(),
        account,
        payee: payment.brand.clone(),
        payment: cid.clone(),
        till: None,
        amount: share.amount,
        currency: payment.currency,
        points: share.points,
        deadline: payment.deadline.seconds(),
        offer: taken(scene).map(|(id, offer)| offer.hash(id)),
        iat: None,
        exp: scene.at.seconds().saturating_add(1),
    };
    Ok(Some(Given { kid, fingerprint: used.2, claims }))
}

pub(super) fn key_of(scene: &Scene, account: AccountId) -> Result<Option<Kid>, Broken> {
    let record = scene.before(&Name::Account(account))?;
    Ok(record.as_deref().and_then(Record::account).and_then(|account| account.head.key))
}

/// The step is asked for by the till that authorised, or by one whose limits it drew on; or else by some till of the
/// brand, of which then nothing is known.
pub(super) fn step(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((id, now)) = payment(scene) else { return Ok(vec![]) };
    let before = scene.before(&Name::Payment(id))?;
    let Some(had) = before.as_deref().and_then(Record::payment) else { return Ok(vec![]) };
    let asks = match scene.kind {
        Kind::PaymentCaptured => {
            let Some(amount) = now.captured.minus(had.captured) else { return Ok(vec![]) };
            Asks::Capture(Capture { payment: id, amount, last: now.closed })
        }
        Kind::PaymentVoided => Asks::Void(Void { payment: id }),
        _ => {
            let Some(amount) = now.refunded.minus(had.refunded) else { return Ok(vec![]) };
            Asks::Refund(Refund { payment: id, amount })
        }
    };
    let mut kids = vec![had.by];
    kids.extend(scene.drawn(&TILL).into_iter().filter(|kid| *kid != had.by));
    let mut all = vec![];
    for kid in kids {
        let Some(asked) = scene.asked(kid) else { return Ok(vec![]) };
        let body = match asks.clone() {
            Asks::Capture(args) => Body::Capture(args),
            Asks::Void(args) => Body::Void(args),
            Asks::Refund(args) => Body::Refund(args),
        };
        all.push(Guess::command(asked, body));
    }
    let brand = Principal::Brand(had.brand.clone());
    let held = scene.counted(Measure::AssertedDay);
    let caps = held.then_some(HeldCaps { per_account_day: MAX_INT, per_day: MAX_INT });
    let asked = scene.asked(had.by).filter(|_| scene.command().is_some_and(|(who, ..)| *who == brand));
    all.extend(asked.map(|asked| Guess::act(asked, brand, Act::Step(asks, caps))));
    Ok(all)
}
