//! Settlement: what participants owe each other, and what became of a unit's points.

use super::call::{Caller, Whom, service};
use super::cycles::sight;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{Page, json, min_seq};
use crate::book::{Service, TaxCategory};
use crate::types::{BrandId, Currency, Date, ParticipantId, UnitCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of an obligation that one tax applies to; as invoices have it (EN 16931).
#[derive(Serialize, utoipa::ToSchema)]
pub struct TaxedPart {
    /// What was supplied.
    service: Service,
    /// Who supplies: the creditor.
    supplier: ParticipantId,
    /// Who is supplied: the debtor.
    customer: ParticipantId,
    /// Without tax, in the network's smallest unit; below 0 if more was taken back than supplied.
    net: i64,
    /// The tax's category.
    category: TaxCategory,
    /// The tax's rate, in parts per million of the net amount.
    rate: u32,
    /// The tax.
    tax: i64,
    /// Net and tax: what is owed for it.
    gross: i64,
}

/// What one participant owes another.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Obligation {
    /// The cycle.
    #[schema(example = 1)]
    cycle: u64,
    /// Who owes.
    debtor: ParticipantId,
    /// Who is owed.
    creditor: ParticipantId,
    /// In this currency.
    currency: Currency,
    /// How much, in the network's smallest unit of it; refunds count against it, so it may be negative.
    #[schema(example = 2_960_959)]
    amount: i64,
    /// The parts of it whose supply and tax the log says, by service, category and rate. The rest is outside the scope of
    /// tax.
    supplies: Vec<TaxedPart>,
}

/// Which obligations.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Cycle {
    /// Of one cycle; of all if absent.
    #[param(example = 1)]
    cycle: Option<u64>,
}

/// List obligations
///
/// What payments made participants owe each other, and which tax stands in it. The brand that speaks for a participant sees its own; the operator, analysts
/// and auditors see all.
#[utoipa::path(get, path = "/v1/obligations", tag = "settlement", operation_id = "listObligations", params(Cycle),
    responses((status = 200, description = "The obligations.", body = Page<Obligation>)))]
pub async fn obligations(
    caller: Caller,
    request: HttpRequest,
    query: Query<Cycle>,
) -> Result<HttpResponse, Problem> {
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let own = sight(&service, &caller)?;
    let cycle = query.cycle;
    let listed = web::block(move || {
        let listed = service.views.obligations(cycle)?;
        Ok::<_, Problem>((listed, service.views.supplies(cycle)?.what))
    });
    let (listed, supplies) = listed.await.map_err(Problem::fault)??;
    let mut parts: BTreeMap<(u64, ParticipantId, ParticipantId, Currency), Vec<TaxedPart>> = BTreeMap::new();
    for one in supplies {
        let key = (one.cycle, one.customer.clone(), one.supplier.clone(), one.currency);
        parts.entry(key).or_default().push(TaxedPart {
            service: one.service,
            supplier: one.supplier,
            customer: one.customer,
            net: one.net,
            category: one.category,
            rate: one.rate,
            tax: one.tax,
            gross: one.net.saturating_add(one.tax),
        });
    }
    let mine = |debtor: &ParticipantId, creditor: &ParticipantId| {
        own.as_ref().is_none_or(|own| own == debtor || own == creditor)
    };
    let items =
        listed.what.into_iter().filter(|one| mine(&one.debtor, &one.creditor)).map(|one| Obligation {
            supplies: parts
                .remove(&(one.cycle, one.debtor.clone(), one.creditor.clone(), one.currency))
                .unwrap_or_default(),
            cycle: one.cycle,
            debtor: one.debtor,
            creditor: one.creditor,
            currency: one.currency,
            amount: one.amount,
        });
    Ok(json(listed.as_of.map(|place| place.seq), &Page { items: items.collect(), next: None }))
}

/// What became of points.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Flow {
    /// The unit.
    unit: UnitCode,
    /// `issued`, `redeemed`, `expired` …
    #[schema(example = "redeemed")]
    what: String,
    /// The shop's brand, if they were redeemed or given back there.
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<BrandId>,
    /// Whether that is the unit's own brand.
    home: bool,
    /// How many, in the unit's smallest.
    #[schema(example = 75325)]
    points: i64,
}

/// Over which days.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Days {
    /// The first day, of the unit's own; from the beginning if absent.
    #[param(example = "2017-01-01")]
    from: Option<Date>,
    /// The last day; up to now if absent.
    #[param(example = "2017-12-31")]
    to: Option<Date>,
}

/// Show what became of a unit's points
///
/// Issued, redeemed, expired and the rest, summed over days. For the unit's brand, the operator, analysts and auditors.
#[utoipa::path(get, path = "/v1/units/{unit}/flows", tag = "settlement", operation_id = "listFlows",
    params(("unit" = UnitCode, Path, description = "The unit."), Days),
    responses((status = 200, description = "The flows.", body = Page<Flow>)))]
pub async fn flows(
    caller: Caller,
    request: HttpRequest,
    unit: web::Path<String>,
    query: Query<Days>,
) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::about(Code::NotFound, "no such unit of yours");
    let unit: UnitCode = unit.parse().map_err(|_| nothing())?;
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    let issuer = service.brand_of(unit)?.ok_or_else(nothing)?;
    let may = match &caller.whom {
        Whom::Operator => true,
        Whom::Brand(brand) => *brand == issuer,
        _ => false,
    };
    if !may {
        return Err(nothing());
    }
    let Days { from, to } = query.into_inner();
    let listed = web::block(move || service.views.flows(Some(unit), from, to));
    let listed = listed.await.map_err(Problem::fault)??;
    let items = listed.what.into_iter().map(|one| Flow {
        unit: one.unit,
        what: one.what.to_string(),
        brand: one.brand,
        home: one.home,
        points: one.points,
    });
    Ok(json(listed.as_of.map(|place| place.seq), &Page { items: items.collect(), next: None }))
}
