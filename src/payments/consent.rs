//! Consents: what a holder agreed to, in two forms. One is signed for one payment; the other is opened by a code that
//! the holder's phone showed at a till, and stays open for a while.
//!
//! Owns: what makes each of them count for a bill, and that no more is asked for than was agreed to.
//! Promises: a signed consent and a code take effect once; an open consent is of use to the till that opened it alone,
//! and to everybody else as good as unknown.
//! Refuses to know: prices, points and what becomes of the payment. What it gives back does not come back here.

use super::authorise::{Authorise, Bill, spendable};
use super::till;
use crate::book::{self, Draft, Name, PartKey, Principal, Record, Stop, Used};
use crate::network::{Asked, signer};
use crate::prices::price_now;
use crate::sign::{PaymentConsent, Purpose, SpendCode};
use crate::types::{AccountId, BrandId, ConsentId, Fingerprint, Ident, Kid, Money, Points, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// How far ahead a signed consent's `exp` may lie when it is used, in seconds.
const CONSENT_LIFE: u64 = 300;
/// How far ahead a code's `exp` may lie when it is used, in seconds.
const CODE_LIFE: u64 = 60;
/// How long a consent stays open, in seconds.
const OPEN_LIFE: u64 = 900;
/// For how long after its end points may be held under a consent that was open, in seconds: a day.
const HOLD_LIFE: u64 = 86_400;

/// `consent.open`, signed by a till; beside it stands the code that was shown.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenConsent {
    /// The code's `jti`: another code is another request.
    pub code: Ident,
}

/// A share of a bill under a consent that was opened before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// The consent.
    pub consent: ConsentId,
    /// Its account's share of the bill.
    pub amount: Money,
}

/// A statement of a holder whose signature verified.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// The key that signed it.
    pub kid: Kid,
    /// Of its signing input.
    pub fingerprint: Fingerprint,
    /// What the holder agrees to.
    pub claims: T,
}

/// A holder's consent to one payment.
pub type Consent = Given<PaymentConsent>;
/// A code that a phone showed.
pub type Code = Given<SpendCode>;

/// What a share of a bill rests on.
pub(super) struct Agreed {
    pub account: AccountId,
    pub amount: Money,
    /// Most points.
    pub points: Points,
    /// The consent, as the payment names it.
    pub consent: Ident,
    /// The open consent on which the points are drawn.
    pub open: Option<ConsentId>,
}

fn mismatch<T>(what: &str) -> Result<T, Stop> {
    Err(Refused::about(Refusal::ConsentMismatch, what).into())
}

/// `exp` lies ahead, by so many seconds at the most.
fn in_time(draft: &Draft, exp: u64, life: u64, jti: &Ident) -> Result<(), Stop> {
    let now = draft.at.seconds();
    if exp <= now || exp > now.saturating_add(life) {
        return Err(Refused::about(Refusal::ConsentExpired, jti).into());
    }
    Ok(())
}

fn unused(draft: &mut Draft, account: AccountId, jti: &Ident) -> Result<Name, Stop> {
    let name = Name::UsedConsent(account, jti.clone());
    match draft.get(&name)? {
        None => Ok(name),
        Some(_) => Err(Refused::about(Refusal::ConsentUsed, jti).into()),
    }
}

/// The consent is by the account's own key, for this bill, at this till, now, and was not used before.
pub(super) fn by_signature(
    draft: &mut Draft,
    asked: &Asked,
    bill: &Bill,
    args: &Authorise,
    consent: &Consent,
) -> Result<Agreed, Stop> {
    let claims = &consent.claims;
    let name = unused(draft, claims.account, &claims.jti)?;
    let key = signer(draft, consent.kid, &[Purpose::Account])?;
    if key.owner != Principal::Account(claims.account) {
        return Err(Refused::about(Refusal::KeyOwner, consent.kid).into());
    }
    if claims.payee != *bill.brand {
        return mismatch("payee");
    }
    if asked.cid.as_ref() != Some(&claims.payment) {
        return mismatch("payment");
    }
    if claims.till.as_ref().is_some_and(|till| *till != bill.till.till) {
        return mismatch("till");
    }
    if claims.currency != args.currency {
        return mismatch("currency");
    }
    if claims.deadline < args.deadline {
        return mismatch("deadline");
    }
    in_time(draft, claims.exp, CONSENT_LIFE, &claims.jti)?;
    let used = Record::Used(Used(draft.seq, 0, consent.fingerprint));
    draft.put(PartKey::Holder(claims.account), name, Some(used))?;
    let (account, amount, consent) = (claims.account, claims.amount, claims.jti.clone());
    Ok(Agreed { account, amount, points: claims.points, consent, open: None })
}

/// The consent was opened by this till and is open still, the holder's key counts, and enough is left of what was
/// agreed to.
pub(super) fn by_code(
    draft: &mut Draft,
    asked: &Asked,
    bill: &Bill,
    args: &Authorise,
    under: &Under,
) -> Result<Agreed, Stop> {
    let id = under.consent;
    let open = draft.consent(id)?;
    if open.brand != *bill.brand || open.till != asked.kid {
        return Err(Refused::about(Refusal::ConsentUnknown, id).into());
    }
    let book::Shown { account, key, .. } = *draft.shown(id)?;
    if signer(draft, key, &[Purpose::Account])?.owner != Principal::Account(account) {
        return Err(Refused::about(Refusal::KeyOwner, key).into());
    }
    if draft.at >= open.until {
        return Err(Refused::about(Refusal::ConsentExpired, id).into());
    }
    if open.currency != args.currency {
        return mismatch("currency");
    }
    if bill.deadline > open.until.plus_seconds(HOLD_LIFE) {
        return mismatch("deadline: within a day");
    }
    let left = open.most.minus(open.used).unwrap_or_default();
    let used = open.used.plus(under.amount).filter(|used| *used <= open.most);
    let used = used.ok_or_else(|| Refused::about(Refusal::ConsentExceeded, format!("{left} are left")))?;
    let after = Record::Consent(book::Consent { used, ..(*open).clone() });
    draft.put(PartKey::Brand(bill.brand.clone()), Name::Consent(id), Some(after))?;
    let consent = id.to_string().parse().map_err(|_| Stop::Bug("a consent's id is an id".into()))?;
    let points = open.points.minus(open.spent).unwrap_or_default();
    Ok(Agreed { account, amount: under.amount, points, consent, open: Some(id) })
}

/// Counts the points that a payment takes under an open consent. Each payment's points are rounded up, so money alone
/// would not bound them.
pub(super) fn draw(draft: &mut Draft, brand: &BrandId, id: ConsentId, points: Points) -> Result<(), Stop> {
    let open = draft.consent(id)?;
    let spent = open.spent.plus(points).filter(|spent| *spent <= open.points);
    let spent = spent.ok_or_else(|| Refused::about(Refusal::ConsentExceeded, id))?;
    let after = Record::Consent(book::Consent { spent, ..(*open).clone() });
    draft.put(PartKey::Brand(brand.clone()), Name::Consent(id), Some(after))
}

/// Opens the consent that a code gives to the till where it was shown.
pub fn open_consent(
    draft: &mut Draft,
    asked: &Asked,
    args: &OpenConsent,
    code: Option<&Code>,
) -> Result<(), Stop> {
    let (_, brand) = till(draft, asked)?;
    let code = code.ok_or_else(|| Refused::about(Refusal::EvidenceMissing, "the code that was shown"))?;
    let claims = &code.claims;
    if claims.jti != args.code {
        return Err(Refused::about(Refusal::EvidenceMismatch, "code: not the one that came along").into());
    }
    let key = signer(draft, code.kid, &[Purpose::Account])?;
    let Principal::Account(account) = key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, code.kid).into());
    };
    let name = unused(draft, account, &claims.jti)?;
    in_time(draft, claims.exp, CODE_LIFE, &claims.jti)?;
    if draft.network()?.frozen {
        return Err(Refusal::NetworkFrozen.into());
    }
    if draft.brand(&brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &brand).into());
    }
    let (code_of, unit) = spendable(draft, account)?;
    let price = price_now(draft, code_of, claims.currency)?;
    let rate = if unit.brand == brand { price.home } else { price.till };
    let points = rate.points_ceil(claims.most).ok_or(Refusal::AmountTooLarge)?;
    if claims.most.is_zero() {
        return Err(Refused::about(Refusal::AmountTooSmall, "most: at least 1").into());
    }
    if claims.payee.as_ref().is_some_and(|payee| *payee != brand) {
        return mismatch("payee");
    }
    let id = ConsentId { seq: draft.seq, part: 0 };
    let used = Record::Used(Used(draft.seq, 0, code.fingerprint));
    draft.put(PartKey::Holder(account), name, Some(used))?;
    let shown = Record::Shown(book::Shown { account, unit: code_of, key: code.kid });
    draft.put(PartKey::Holder(account), Name::Shown(id), Some(shown))?;
    let open = book::Consent {
        brand: brand.clone(),
        till: asked.kid,
        currency: claims.currency,
        most: claims.most,
        used: Money::ZERO,
        points,
        spent: Points::ZERO,
        until: draft.at.plus_seconds(OPEN_LIFE),
    };
    draft.put(PartKey::Brand(brand), Name::Consent(id), Some(Record::Consent(open)))
}
