//! The verbs of fees, tax and tiers.

use super::{Row, Table, number};
use crate::common::world::{id, money, points};
use tallyhouse::book::{ExchangeFee, Fee, LosingFees, Tax};
use tallyhouse::machine::Request;
use tallyhouse::network::SetTier;
use tallyhouse::prices::{PublishFees, PublishTax};
use tallyhouse::types::Points;

/// `ppm[:min[:max]]`; with `!` behind it, not refundable.
fn fee(text: &str) -> Fee {
    let (text, refundable) = text.strip_suffix('!').map_or((text, true), |text| (text, false));
    let parts: Vec<u64> = text.split(':').map(number).collect();
    let min = parts.get(1).copied().map(money).unwrap_or_default();
    Fee { ppm: parts[0] as u32, min, max: parts.get(2).copied().map(money), refundable }
}

/// `[UNIT][/tier]:ppm[:min[:max]]`.
fn exchange_fee(text: &str) -> ExchangeFee {
    let (whose, amounts) = text.split_once(':').expect("whose:ppm");
    let (unit, tier) = whose.split_once('/').map_or((whose, None), |(unit, tier)| (unit, Some(id(tier))));
    let parts: Vec<u64> = amounts.split(':').map(number).collect();
    ExchangeFee {
        unit: (!unit.is_empty()).then(|| id(unit)),
        tier,
        ppm: parts[0] as u32,
        min: parts.get(1).copied().map_or(Points::ZERO, points),
        max: parts.get(2).copied().map(points),
    }
}

/// `network:winner`.
fn losing(text: &str) -> LosingFees {
    let (network, winner) = text.split_once(':').expect("two amounts");
    LosingFees { network: money(number(network)), winner: money(number(winner)) }
}

/// `category[:rate]`.
fn tax(text: &str) -> Tax {
    let (category, rate) = text.split_once(':').unwrap_or((text, "0"));
    let category = serde_json::from_value(category.into()).expect("a category");
    Tax { category, rate: number(rate) as u32 }
}

impl Table {
    /// The request of a row about fees, tax or tiers; `None` if it is about something else.
    pub(super) fn charging(&self, row: &Row) -> Option<Request> {
        Some(match row.word(0) {
            "fees" => {
                let exchange = row.get("exchange").map(|all| all.split('+').map(exchange_fee).collect());
                let args = PublishFees {
                    version: number(row.word(1)),
                    currency: id(row.or("currency", "EUR")),
                    from: self.seconds(row.or("from", "+30d")),
                    until: row.get("until").map(|until| self.seconds(until)),
                    supplier: id(row.or("supplier", "pa_franchise")),
                    acceptor: fee(row.or("acceptor", "4000:10")),
                    issuer: fee(row.or("issuer", "2000")),
                    exchange,
                    tax: tax(row.or("tax", "standard:190000")),
                    dispute: row.get("dispute").map(losing),
                    reason: row.get("reason").map(id),
                };
                self.command(row, "analyst", "fees.publish", &args)
            }
            "tax" => {
                let args = PublishTax {
                    participant: id(row.word(1)),
                    version: number(row.word(2)),
                    service: serde_json::from_value(row.word(3).into()).expect("a service"),
                    from: row.get("from").map(|from| self.seconds(from)),
                    tax: tax(row.word(4)),
                };
                self.command(row, "root:br_kino", "tax.publish", &args)
            }
            "tier" => {
                let args =
                    SetTier { account: self.holder(row.word(1)).account, tier: row.get("tier").map(id) };
                self.command(row, "issuing:HARVEST", "account.set_tier", &args)
            }
            _ => return None,
        })
    }
}
