//! A small data folder for the tests of the verbs that read: one account that was given points, spent
//! some and holds some, and as many entries around it as a test wants.

use crate::book::{
    Account, Bucket, Done, Expiry, Head, Hold, Leg, Lot, Name, Origin, Place, Record, Shared, Unit,
};
use crate::log::{Chain, Envelope, LogSigner, PartsRef, Slot, seal};
use crate::machine::{CurrencySetting, Event, Genesis, PartBody, PubBody};
use crate::sign::SecretKey;
use crate::store::{Log, NewEntry, Place as At, Row, Sqlite, State, TipRecord};
use crate::types::{AccountId, Asset, PaymentId, Points, Time, UnitCode, b64, encode};
use crate::views::Views;
use serde_json::value::RawValue;
use std::path::Path;
use std::sync::Arc;

pub(crate) const ACCOUNT: AccountId = AccountId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const OTHER: AccountId = AccountId(7);
const SEED: [u8; 32] = [7; 32];
pub(crate) const PAYMENT: PaymentId = PaymentId { seq: 4, part: 0 };

pub(crate) fn signer() -> LogSigner {
    LogSigner::new("points.example/log", &SEED).expect("a name")
}

pub(crate) fn unit() -> UnitCode {
    "HARVEST".parse().expect("a unit")
}

pub(crate) fn points(minor: u64) -> Points {
    Points::new(minor).expect("few")
}

/// Entries are an hour apart.
pub(crate) fn at(seq: u64) -> Time {
    Time::from_seconds(1_790_000_000 + 3_600 * seq).expect("in range")
}

fn genesis() -> Genesis {
    let key = |seed| SecretKey::from_seed(seed).public();
    let currency = CurrencySetting { code: "EUR".parse().expect("a currency"), minor: 2, scale: 4 };
    Genesis {
        nonce: b64(&[1; 32]),
        origin: "points.example/log".into(),
        roots: vec![key([9; 32])],
        threshold: 1,
        log: key(SEED),
        currencies: vec![currency],
        driven: true,
        live: false,
    }
}

fn bucket() -> Bucket {
    let until = "2027-12-31".parse().expect("a day");
    Bucket(Some(until), None, "2026-09".parse().expect("a month"), Origin::Earned)
}

fn head() -> Head {
    Account::new(unit(), 60, None).head
}

fn harvest() -> Unit {
    Unit {
        brand: "br_harvest".parse().expect("a brand"),
        version: 1,
        scale: 2,
        offset: 60,
        expiry: Expiry::Never,
        pending_days: 0,
        grace_days: 0,
        issue_cap: None,
        min_spend: None,
        offer_cap: None,
        notice: None,
        floor: vec![],
        kept: None,
        frozen: false,
    }
}

/// The `pub` of the entry that defines the unit.
fn defined() -> Vec<u8> {
    let mut done = Done::default();
    done.put(Name::Unit(unit()), Some(Arc::new(Record::from(harvest()))));
    encode(&PubBody { done, ..PubBody::default() })
}

/// A movement between an account and a shared one.
fn moved(account: AccountId, amount: i64, after: i64, shared: Shared) -> Vec<Leg> {
    let asset = Asset::Unit(unit());
    vec![
        Leg { place: Place::Holder(account), asset, amount, after: Some(after) },
        Leg { place: Place::Shared(unit(), shared), asset, amount: -amount, after: None },
    ]
}

/// What happens in an entry; nothing in most.
fn story(seq: u64) -> Option<(&'static str, Vec<Done>)> {
    let given = |account, amount: u64| Done {
        legs: moved(account, amount.cast_signed(), amount.cast_signed(), Shared::Issuance),
        heads: vec![(account, head())],
        lots: vec![(account, bucket(), points(amount))],
        ..Done::default()
    };
    let hold = Hold { of: PAYMENT.into(), until: at(5_000), lots: vec![Lot(bucket(), points(3_000))] };
    match seq {
        2 => Some(("points.batch", vec![given(OTHER, 777), given(ACCOUNT, 12_345)])),
        4 => Some((
            "payment.authorised",
            vec![Done {
                lots: vec![(ACCOUNT, bucket(), points(9_345))],
                holds: vec![(ACCOUNT, PAYMENT.into(), Some(hold))],
                ..Done::default()
            }],
        )),
        6 => Some((
            "payment.captured",
            vec![Done {
                legs: moved(ACCOUNT, -1_000, 11_345, Shared::Redeemed),
                holds: vec![(
                    ACCOUNT,
                    PAYMENT.into(),
                    Some(Hold { lots: vec![Lot(bucket(), points(2_000))], ..hold }),
                )],
                ..Done::default()
            }],
        )),
        _ => None,
    }
}

/// Writes a folder of `size` entries whose state stands at entry `state` and whose views are at the end.
pub(crate) fn folder(dir: &Path, size: u64, state: u64) {
    let mut stores = Sqlite::open(dir).expect("opened");
    let mut views = Views::open(dir).expect("opened");
    let mut chain = Chain::start();
    let (mut entries, mut events) = (vec![], vec![]);
    let mut place = None;
    for seq in 0..size {
        let (kind, dones) = match seq {
            0 => ("genesis", vec![]),
            1 => ("unit.defined", vec![]),
            _ => story(seq).unwrap_or(("tick", vec![])),
        };
        let public = match seq {
            0 => Some(genesis().bytes()),
            1 => Some(defined()),
            _ => None,
        };
        let public = public.map(|bytes| String::from_utf8(bytes).expect("text"));
        let public = public.map(|text| RawValue::from_string(text).expect("JSON"));
        let part = |(i, done): (usize, Done)| {
            let body = PartBody { done: Some(done), ..PartBody::default() };
            seal([i as u8; 16], &encode(&body)).expect("sealed")
        };
        let parts: Vec<Vec<u8>> = dones.into_iter().enumerate().map(part).collect();
        let slots: Vec<Slot> = parts.iter().cloned().map(Slot::Whole).collect();
        let refer = PartsRef::of(&slots).expect("few");
        let (envelope, bytes) = chain.append(at(seq), kind, public, refer).expect("follows");
        let hash = Envelope::hash(&bytes);
        events.push(Event::read(&envelope, hash, &slots).expect("an event"));
        if seq == state {
            place = Some(At { seq, hash });
        }
        entries.push(NewEntry { seq, envelope: bytes, parts });
    }
    let tip = chain.tip().expect("not empty");
    let checkpoint = signer().sign(size, chain.root());
    let tip = TipRecord { seq: tip.seq, hash: tip.hash, edge: chain.tree().to_bytes(), checkpoint };
    stores.log.append(None, &entries, &tip).expect("appended");
    let refs: Vec<&Event> = events.iter().collect();
    views.take(&refs).expect("taken");
    stores.state.put(None, place.expect("in the log"), &rows(state)).expect("put");
}

/// State after entry `state`, as far as the tests look.
fn rows(state: u64) -> Vec<Row> {
    let row = |name: Name, record: Record| Row {
        key: name.to_string(),
        value: Some(record.encode()),
        seq: 0,
        due: record.due().map(Time::micros),
    };
    let mut account = None;
    for seq in 0..=state {
        for done in story(seq).into_iter().flat_map(|(_, dones)| dones) {
            let mut one = super::trail::Trace::from(ACCOUNT, account.clone());
            one.take(ACCOUNT, &[done], seq).expect("taken");
            account = one.account().cloned();
        }
    }
    let account = account.map(|account| row(Name::Account(ACCOUNT), Record::Account(account)));
    account.into_iter().chain([row(Name::Unit(unit()), Record::from(harvest()))]).collect()
}
