//! The end of the log: its tip, and what stands behind it though no writer left anything there.
//!
//! Owns: the table `tip` as it is read, and the one question that looks past it.
//! Promises: an append moves the tip and inserts its rows in one commit, so whatever stands behind the tip at any moment
//! was put there by somebody else; it is found in one statement, also while a writer is at work.
//! Refuses to know: who put it there.

use super::base::{Link, on};
use super::fault::{Fault, Stray};
use super::named::Named;
use super::port::TipRecord;
use super::tables::tip;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// A row of `tip`: seq, hash, edge, checkpoint.
pub(super) type TipRow = (i64, Vec<u8>, Vec<u8>, String);

pub(super) fn read_tip(connection: &mut Link<'_>) -> QueryResult<Option<TipRow>> {
    let row = tip::table.find(1).select((tip::seq, tip::hash, tip::edge, tip::checkpoint));
    on!(connection, c => row.get_result(c)).optional()
}

pub(super) fn tip_of(named: &Named, row: Option<TipRow>) -> Result<Option<TipRecord>, Fault> {
    let Some((seq, hash, edge, checkpoint)) = row else { return Ok(None) };
    let seq = named.seq(seq)?;
    Ok(Some(TipRecord { seq, hash: named.hash(seq, hash)?, edge, checkpoint }))
}

#[derive(QueryableByName)]
pub(super) struct StrayRow {
    #[diesel(sql_type = Text)]
    place: String,
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// 16384 is how many ids of chunks an entry has: see `page`.
pub(super) const STRAY: &str = "SELECT place, seq FROM ( \
    SELECT * FROM (SELECT 'entry' AS place, seq FROM entry WHERE seq > coalesce((SELECT t.seq FROM tip t WHERE t.id = 1), -1) \
        ORDER BY seq LIMIT 1) AS e \
    UNION ALL \
    SELECT * FROM (SELECT 'parts' AS place, id / 16384 AS seq FROM parts \
        WHERE id >= (coalesce((SELECT t.seq FROM tip t WHERE t.id = 1), -1) + 1) * 16384 ORDER BY id LIMIT 1) AS p \
    ) AS s ORDER BY seq, place LIMIT 1";

pub(super) fn read_stray(connection: &mut Link<'_>) -> QueryResult<Option<StrayRow>> {
    on!(connection, c => diesel::sql_query(STRAY).get_result::<StrayRow>(c)).optional()
}

pub(super) fn stray_of(named: &Named, row: Option<StrayRow>) -> Result<Option<Stray>, Fault> {
    let Some(StrayRow { place, seq }) = row else { return Ok(None) };
    let table = if place == "entry" { "entry" } else { "parts" };
    Ok(Some(Stray { table, seq: named.seq(seq)? }))
}
