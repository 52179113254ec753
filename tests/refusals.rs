//! Every refusal has a row: one row, one event, its expected status. The tables are in `refusals/*.txt`,
//! in a small language that `refusals/reader.rs` reads; the last test holds them to be complete.

mod common;
#[path = "refusals/reader.rs"]
mod reader;

use reader::Table;
use std::collections::BTreeSet;
use tallyhouse::types::Refusal;

const TABLES: [(&str, &str); 13] = [
    ("evidence", include_str!("refusals/evidence.txt")),
    ("network", include_str!("refusals/network.txt")),
    ("points", include_str!("refusals/points.txt")),
    ("payments", include_str!("refusals/payments.txt")),
    ("freezing", include_str!("refusals/freezing.txt")),
    ("thieves", include_str!("refusals/thieves.txt")),
    ("http", include_str!("refusals/http.txt")),
    ("held", include_str!("refusals/held.txt")),
    ("offers", include_str!("refusals/offers.txt")),
    ("clearing", include_str!("refusals/clearing.txt")),
    ("prices", include_str!("refusals/prices.txt")),
    ("fees", include_str!("refusals/fees.txt")),
    ("funding", include_str!("refusals/funding.txt")),
];

/// What this release's pure code cannot say of a request that is kept: a digest is compared where the request
/// arrives (`src/sign/http` has its table), the engine's writer keeps time, and nothing yet is valid only later.
const ELSEWHERE: [Refusal; 4] =
    [Refusal::DigestMismatch, Refusal::NotDriven, Refusal::TimeBackwards, Refusal::NotYetValid];

#[test]
fn every_row_of_evidence() {
    Table::play(TABLES[0]);
}

#[test]
fn every_row_of_network() {
    Table::play(TABLES[1]);
}

#[test]
fn every_row_of_points() {
    Table::play(TABLES[2]);
}

#[test]
fn every_row_of_payments() {
    Table::play(TABLES[3]);
}

#[test]
fn every_row_of_freezing() {
    Table::play(TABLES[4]);
}

#[test]
fn every_row_of_thieves() {
    Table::play(TABLES[5]);
}

#[test]
fn every_row_of_http() {
    Table::play(TABLES[6]);
}

#[test]
fn every_row_of_held() {
    Table::play(TABLES[7]);
}

#[test]
fn every_row_of_offers() {
    Table::play(TABLES[8]);
}

#[test]
fn every_row_of_clearing() {
    Table::play(TABLES[9]);
}

#[test]
fn every_row_of_prices() {
    Table::play(TABLES[10]);
}

#[test]
fn every_row_of_fees() {
    Table::play(TABLES[11]);
}

#[test]
fn every_row_of_funding() {
    Table::play(TABLES[12]);
}

#[test]
fn every_refusal_has_a_row() {
    let rows = TABLES.iter().flat_map(|(_, text)| text.lines()).filter_map(|line| line.split_once("->"));
    let statuses: BTreeSet<&str> =
        rows.flat_map(|(_, status)| status.split([' ', ':'])).filter(|word| !word.is_empty()).collect();
    let missing: Vec<&str> = Refusal::ALL
        .iter()
        .filter(|code| !ELSEWHERE.contains(code) && !statuses.contains(code.code()))
        .map(|code| code.code())
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    let needless: Vec<_> = ELSEWHERE.iter().filter(|code| statuses.contains(code.code())).collect();
    assert!(needless.is_empty(), "{needless:?} can be said after all");
}
