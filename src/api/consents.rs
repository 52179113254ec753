//! Consents that stay open: a code that a phone shows opens one at a till.

use super::call::{Caller, Whom, service};
use super::problem::{Code, Problem};
use super::reply::{json, min_seq};
use super::service::Service;
use super::write::{Done, Incoming};
use crate::book::{self, Name, Record};
use crate::payments::OpenConsent;
use crate::types::{AccountId, BrandId, ConsentId, Currency, Kid, Money, Points, Time, UnitCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Open a consent
///
/// A customer's phone shows a code (`spend-code+jwt`, also offline): it names the most that may be paid. The till that
/// reads it opens a consent with it, for 15 minutes, and may ask for any number of payments `under` it until that much
/// was asked for. Signed by the till; the code stands in the header `Tallyhouse-Consents`, or behind the statement.
#[utoipa::path(post, path = "/v1/consents", tag = "payments", operation_id = "openConsent",
    request_body = OpenConsent,
    responses((status = 201, description = "Done: the entry that was made.", body = Done)))]
pub async fn open(incoming: Incoming) -> Result<HttpResponse, Problem> {
    incoming.run().await
}

/// A consent that stays open.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Consent {
    /// Its id.
    consent: ConsentId,
    /// The shop's brand.
    brand: BrandId,
    /// The till's key that opened it: the one that may use it.
    till: Kid,
    /// Whose points may be spent.
    unit: UnitCode,
    /// The account, for its holder and its unit's brand.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// The currency of its amounts.
    currency: Currency,
    /// Most that may be paid under it.
    most: Money,
    /// Asked for so far.
    used: Money,
    /// What may still be asked for, while it is open.
    left: Money,
    /// Most points that may be taken under it.
    points: Points,
    /// Points asked for so far: each payment's are rounded up.
    spent: Points,
    /// First instant at which it is no longer open.
    until: Time,
    /// Whether it is open.
    open: bool,
}

/// Show an open consent
///
/// For the shop's brand, the holder whose points it is about, and the operator. The account is shown to its holder, and
/// where it is one of the shop's own unit.
#[utoipa::path(get, path = "/v1/consents/{consent}", tag = "payments", operation_id = "getConsent",
    params(("consent" = ConsentId, Path, description = "Its id.")),
    responses((status = 200, description = "The consent.", body = Consent)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such consent, or it is not yours to see");
    let id: ConsentId = id.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    // A consent that was answered is shown; one that is not there is not waited for.
    let own = Some(id.seq).filter(|seq| *seq < service.engine().progress().committed);
    service.wait_for(min_seq(request.headers())?.max(own)).await?;
    // Read before the consent: what is shown is this entry or a later one, never an earlier.
    let seq = service.engine().progress().state.checked_sub(1);
    let found = web::block({
        let service = service.clone();
        move || service.open_consent(id)
    });
    let (consent, book::Shown { account, unit, .. }) =
        found.await.map_err(Problem::fault)??.ok_or_else(nothing)?;
    let own = service.may_see_account(&caller, account, Some(unit)).is_ok();
    // The unit's brand, as such, does not learn where a code was shown.
    let holder = own && matches!(caller.whom, Whom::Account(_) | Whom::Wallet(_));
    if !holder && !caller.sees_all() && caller.brand() != Some(&consent.brand) {
        return Err(nothing());
    }
    let left = consent.most.minus(consent.used).unwrap_or_default();
    let open = service.log_time()? < consent.until && !left.is_zero();
    let book::Consent { brand, till, currency, most, used, points, spent, until } = consent;
    let consent = Consent {
        consent: id,
        brand,
        till,
        unit,
        account: own.then_some(account),
        currency,
        most,
        used,
        left,
        points,
        spent,
        until,
        open,
    };
    Ok(json(seq, &consent))
}

impl Service {
    /// A consent that stays open, and whose points it is about.
    fn open_consent(&self, id: ConsentId) -> Result<Option<(book::Consent, book::Shown)>, Problem> {
        let (consent, shown) = (self.record(&Name::Consent(id))?, self.record(&Name::Shown(id))?);
        let consent = consent.as_deref().and_then(Record::consent).cloned();
        Ok(consent.zip(shown.as_deref().and_then(Record::shown).copied()))
    }
}
