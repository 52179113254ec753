//! The views' tests: a small history in each table, cuts and crashes of the follower's work, differences to be found.

mod found;

use super::*;
use crate::book::{
    Answered, Brand, Done, KeyRecord, KeyState, Leg, Name, Objection, Participant, Payment, Place as Of,
    Principal, Record, Root, Service, Share, ShareTerms, Shared, Supply, Tag, Tax, Unit,
};
use crate::machine::{Effect, Event, Kind};
use crate::sign::{Purpose, SecretKey};
use crate::store::sqlite::{File, Kind as FileKind, Mode};
use crate::store::{Fault, Place, PutError};
use crate::types::{AccountId, Asset, Hash, Money, ObjectionId, PaymentId, Points, Time};
use diesel::{connection::SimpleConnection, prelude::*, sql_types::Text};
use std::{collections::BTreeMap, path::Path, sync::Arc};

pub(super) fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?}"))
}

/// A log of effects alone, and the balances that its legs name.
#[derive(Default)]
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    balances: BTreeMap<AccountId, i64>,
}

pub(super) const ANN: AccountId = AccountId(1 << 100);
pub(super) const BOB: AccountId = AccountId(7);

impl Story {
    pub(super) fn entry(&mut self, at: &str, kind: Kind, effects: Vec<Effect>) -> u64 {
        let seq = self.events.len() as u64;
        let hash = Hash::blake3(&seq.to_be_bytes());
        self.events.push(Event { seq, hash, at: id(at), kind, effects });
        seq
    }

    /// A holder's part: what each shared account got, and so what the holder lost.
    pub(super) fn part(&mut self, account: AccountId, unit: &str, to: &[(Shared, i64)]) -> Effect {
        let (unit, asset) = (id(unit), Asset::Unit(id(unit)));
        let leg = |place, amount, after| Leg { place, asset, amount, after };
        let moved: i64 = -to.iter().map(|(_, amount)| amount).sum::<i64>();
        let balance = self.balances.entry(account).or_insert(0);
        *balance += moved;
        let mut legs = vec![leg(Of::Holder(account), moved, Some(*balance))];
        legs.retain(|leg| leg.amount != 0);
        legs.extend(to.iter().map(|(shared, amount)| leg(Of::Shared(unit, *shared), *amount, None)));
        Effect { tag: None, done: Done { legs, ..Done::default() } }
    }

    /// The same in a payment: its share changes as well.
    fn share(&mut self, payment: PaymentId, account: AccountId, unit: &str, to: &[(Shared, i64)]) -> Effect {
        let mut effect = self.part(account, unit, to);
        let share = Record::Share(Share { account, taken: vec![] });
        effect.done.put(Name::Share(payment, id(unit)), Some(Arc::new(share)));
        effect
    }
}

/// A brand with its root key.
fn joined(brand: &str, participant: &str) -> Effect {
    let key = SecretKey::from_seed([7; 32]).public();
    let (purpose, owner, until) = (Purpose::BrandRoot, Principal::Brand(id(brand)), None);
    let (state, root) = (KeyState::Active, Root { root: key.kid(), recovery: None });
    let own = KeyRecord { key, purpose, owner, state, from: 0, until, till: None, held: None, person: None };
    let spoken = Participant { currency: id("EUR"), speaker: Some(id(brand)) };
    let mut done = Done::default();
    let mut put = |name, record| done.put(name, Some(Arc::new(record)));
    put(Name::Participant(id(participant)), Record::Participant(spoken));
    put(Name::Brand(id(brand)), Record::Brand(Brand { participant: id(participant), root, frozen: false }));
    put(Name::Key(key.kid()), Record::from(own));
    Effect { tag: None, done }
}

fn unit(code: &str, brand: &str, offset: i16) -> Effect {
    let unit = Unit {
        brand: id(brand),
        version: 1,
        scale: 2,
        offset,
        expiry: crate::book::Expiry::Never,
        pending_days: 0,
        grace_days: 0,
        issue_cap: None,
        min_spend: None,
        offer_cap: None,
        notice: None,
        floor: vec![],
        kept: None,
        frozen: false,
    };
    let mut done = Done::default();
    done.put(Name::Unit(id(code)), Some(Arc::new(Record::from(unit))));
    Effect { tag: None, done }
}

/// A brand's part with a payment in a shop of br_kino, as it stands now.
fn shop(payment: PaymentId, amounts: [u64; 3], closed: bool) -> Effect {
    let [amount, captured, refunded] = amounts.map(|amount| Money::new(amount).unwrap());
    let terms = ShareTerms {
        unit: id("HARVEST"),
        consent: id("c1"),
        amount,
        points: Points::new(100).unwrap(),
        obligation: Money::ZERO,
        issuer: id("pa_harvest"),
        keeper: None,
        price: 1,
        tax: None,
        reserved: false,
        paired: false,
        pledge: None,
        charged: Money::ZERO,
        disputes: vec![],
        won: Money::ZERO,
        restored: Money::ZERO,
    };
    let record = Payment {
        brand: id("br_kino"),
        participant: id("pa_kino"),
        store: id("s1"),
        till: id("t1"),
        by: crate::types::Kid(crate::types::Hash::default()),
        reference: payment.seq.is_multiple_of(2).then(|| id("r1")),
        currency: id("EUR"),
        amount,
        shares: vec![terms],
        fees: vec![],
        captured,
        refunded,
        deadline: id("2026-02-01T00:00:00Z"),
        closed,
    };
    let mut done = Done::default();
    done.put(Name::Payment(payment), Some(Arc::new(Record::from(record))));
    Effect { tag: None, done }
}

/// What pa_harvest owes pa_kino more, 7 of it tax.
fn owed(payment: PaymentId, cycle: u64, amount: i64) -> Effect {
    let asset = Asset::Money(id("EUR"));
    let leg = |a, b, amount| Leg { place: Of::Pair(id(a), id(b)), asset, amount, after: None };
    let legs = vec![leg("pa_kino", "pa_harvest", amount), leg("pa_harvest", "pa_kino", -amount)];
    let supply = Supply { service: Service::Redemption, tax: Tax::default(), net: amount - 7, amount: 7 };
    let tag = Some(Tag { cause: payment.into(), cycle, supply: Some(supply) });
    Effect { tag, done: Done { legs, ..Done::default() } }
}

/// What pa_harvest owes pa_kino is objected to, or that is answered.
fn objected(seq: u64, answer: Option<Answered>) -> Effect {
    let objection = Objection {
        cycle: 1,
        version: 1,
        by: id("pa_harvest"),
        debtor: id("pa_harvest"),
        creditor: id("pa_kino"),
        currency: id("EUR"),
        amount: Money::new(5).unwrap(),
        payment: None,
        reason: id("not_ours"),
        answer: answer.map(|answer| (answer, id("seen"))),
    };
    let mut done = Done::default();
    let name = Name::Objection(ObjectionId { seq, part: 0 });
    done.put(name, Some(Arc::new(Record::from(objection))));
    Effect { tag: None, done }
}

/// Awards, one of which repays what is owed; a payment, a refund that comes late; a sweep.
pub(super) fn story() -> Story {
    let mut story = Story::default();
    assert_eq!(story.entry("2026-01-01T00:00:00Z", Kind::Genesis, vec![]), 0);
    let units =
        vec![joined("br_kino", "pa_kino"), unit("HARVEST", "br_harvest", 60), unit("KINO", "br_kino", 0)];
    story.entry("2026-01-01T00:00:01Z", Kind::UnitDefined, units);
    let lines = vec![
        story.part(ANN, "HARVEST", &[(Shared::Issuance, -100)]),
        story.part(BOB, "KINO", &[(Shared::Issuance, -50)]),
        story.part(ANN, "HARVEST", &[(Shared::Issuance, -30), (Shared::ClawedBack, 10)]),
        // Past its date when it came: it reaches no account.
        story.part(ANN, "HARVEST", &[(Shared::Issuance, -5), (Shared::Expired, 5)]),
    ];
    let batch = story.entry("2026-01-01T23:30:00Z", Kind::PointsBatch, lines);
    assert_eq!(batch, 2);
    let pay = PaymentId { seq: 3, part: 0 };
    let taken = [
        story.share(pay, ANN, "HARVEST", &[(Shared::Expired, 7), (Shared::Redeemed, 60)]),
        story.share(pay, BOB, "KINO", &[(Shared::Redeemed, 50)]),
        owed(pay, 1, 500),
        shop(pay, [900, 900, 0], true),
        objected(3, None),
    ];
    story.entry("2026-01-02T08:00:00Z", Kind::PaymentAuthorised, taken.to_vec());
    let other = PaymentId { seq: 4, part: 0 };
    story.entry("2026-01-02T09:00:00Z", Kind::PaymentAuthorised, vec![shop(other, [300, 0, 0], false)]);
    // 4 points lapse on the way to the refund; of the 20 given back 3 are past their date.
    let back = [
        story.share(pay, ANN, "HARVEST", &[(Shared::Expired, 4 + 3), (Shared::Redeemed, -20)]),
        owed(pay, 2, -150),
        shop(pay, [900, 900, 270], true),
        objected(3, Some(Answered::Rejected)),
    ];
    story.entry("2026-01-03T08:00:00Z", Kind::PaymentRefunded, back.to_vec());
    let swept = vec![story.part(ANN, "HARVEST", &[(Shared::Expired, 66)])];
    story.entry("2026-01-04T00:00:00Z", Kind::Tick, swept);
    story
}

pub(super) fn take(views: &mut Views, events: &[Event]) -> Result<(), PutError> {
    views.take(&events.iter().collect::<Vec<_>>())
}

pub(super) fn told(events: &[Event]) -> (tempfile::TempDir, Reader) {
    let dir = tempfile::tempdir().unwrap();
    take(&mut Views::open(dir.path()).unwrap(), events).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
}

fn raw(dir: &Path) -> File {
    File::open(dir, FileKind::Views, Mode::Write).unwrap()
}

fn texts(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    diesel::dsl::sql::<Text>(query).load(connection).unwrap()
}

const TABLES: &str =
    "brands concerns cursor filings flows heads keys movements obligations payments supplies units";

fn columns(connection: &mut SqliteConnection, table: &str) -> Vec<String> {
    texts(connection, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))
}

/// Every row of every table as text.
pub(super) fn dump(dir: &Path) -> String {
    let mut file = raw(dir);
    let mut all = String::new();
    for table in TABLES.split(' ') {
        let values: Vec<String> =
            columns(&mut file.connection, table).iter().map(|column| format!("quote({column})")).collect();
        let query = format!("SELECT {} FROM {table} ORDER BY 1", values.join(" || ' ' || "));
        all.push_str(&format!("{table}\n{}\n", texts(&mut file.connection, &query).join("\n")));
    }
    all
}

#[test]
fn a_history_says_what_moved_and_why() {
    let story = story();
    let (_dir, reader) = told(&story.events);
    let shown = reader.history(ANN, None, 100).unwrap();
    assert_eq!(shown.as_of, Some(Place { seq: 6, hash: story.events[6].hash }));
    let payment = Some(PaymentId { seq: 3, part: 0 });
    let rows: Vec<_> =
        shown.what.iter().map(|m| (m.seq, m.kind, m.other, m.amount, m.balance, m.payment)).collect();
    let expected = [
        (6, Kind::Tick, Shared::Expired, -66, 0, None),
        (5, Kind::PaymentRefunded, Shared::Expired, -7, 66, None),
        (5, Kind::PaymentRefunded, Shared::Redeemed, 20, 73, payment),
        (3, Kind::PaymentAuthorised, Shared::Redeemed, -60, 53, payment),
        (3, Kind::PaymentAuthorised, Shared::Expired, -7, 113, None),
        (2, Kind::PointsBatch, Shared::ClawedBack, -10, 120, None),
        (2, Kind::PointsBatch, Shared::Issuance, 30, 130, None),
        (2, Kind::PointsBatch, Shared::Issuance, 100, 100, None),
    ];
    assert_eq!(rows, expected);
    assert_eq!(shown.what[0].at, id("2026-01-04T00:00:00Z"));
    assert_eq!(reader.history(AccountId(99), None, 100).unwrap().what, [], "nobody knows it");
    assert_eq!(reader.history(ANN, None, 0).unwrap().what, []);
}

#[test]
fn a_history_comes_in_pages_and_another_accounts_place_opens_none() {
    let (_dir, reader) = told(&story().events);
    let whole = reader.history(ANN, None, 100).unwrap().what;
    let page = reader.history(ANN, Some(whole[2].id), 2).unwrap().what;
    assert_eq!(page, whole[3..5]);
    assert_eq!(reader.history(ANN, Some(whole[7].id), 2).unwrap().what, [], "nothing is older");
    let bobs = reader.history(BOB, None, 100).unwrap().what;
    assert_eq!(bobs.iter().map(|m| m.amount).collect::<Vec<_>>(), [-50, 50]);
    for movement in &whole {
        assert_eq!(reader.history(BOB, Some(movement.id), 2).unwrap().what, [], "Ann's, asked by Bob");
    }
    assert_eq!(reader.history(BOB, Some(u64::MAX), 2).unwrap().what, []);
}

#[test]
fn a_balance_as_of_a_moment() {
    let (_dir, reader) = told(&story().events);
    let by = |moment| reader.balance_as_of(ANN, moment).unwrap().what;
    let seqs: Vec<_> = (0..8).map(|seq| by(Moment::Seq(seq))).collect();
    let now = Some(0);
    assert_eq!(seqs, [None, None, Some(120), Some(53), Some(53), Some(66), now, now]);
    assert_eq!(by(Moment::Seq(u64::MAX)), now);
    assert_eq!(by(Moment::Time(id("2026-01-01T23:29:59.999999Z"))), None);
    assert_eq!(by(Moment::Time(id("2026-01-01T23:30:00Z"))), Some(120));
    assert_eq!(by(Moment::Time(id("2026-01-03T00:00:00Z"))), Some(53));
    assert_eq!(by(Moment::Time(id("2030-01-01T00:00:00Z"))), now);
    assert_eq!(reader.balance_as_of(AccountId(99), Moment::Seq(6)).unwrap().what, None);
}

#[test]
fn payments_are_listed_by_brand_and_time() {
    let (_dir, reader) = told(&story().events);
    let list = |brand, span, before: Option<u64>, limit| {
        let before = before.map(|seq| PaymentId { seq, part: 0 });
        let rows =
            reader.payments(&id(brand), &Filter { span, ..Filter::default() }, before, limit).unwrap().what;
        rows.iter().map(|payment| payment.id.seq).collect::<Vec<u64>>()
    };
    let none: [u64; 0] = [];
    let always = Span::default();
    assert_eq!(list("br_kino", always, None, 10), [4, 3]);
    assert_eq!(list("br_kino", always, None, 1), [4]);
    assert_eq!(list("br_kino", always, Some(4), 10), [3]);
    assert_eq!(list("br_kino", always, Some(3), 10), none);
    assert_eq!(list("br_kino", always, Some(77), 10), none, "no such payment");
    assert_eq!(list("br_harvest", always, None, 10), none);
    let nine: Time = id("2026-01-02T09:00:00Z");
    assert_eq!(list("br_kino", Span { from: Some(nine), to: None }, None, 10), [4]);
    assert_eq!(list("br_kino", Span { from: None, to: Some(nine) }, None, 10), [3]);
    let first = reader.payment(PaymentId { seq: 3, part: 0 }).unwrap().what.unwrap();
    assert_eq!((first.at, first.refunded), (id("2026-01-02T08:00:00Z"), Money::new(270).unwrap()));
    assert_eq!((first.reference, first.closed), (None, true));
    assert_eq!(reader.payment(PaymentId { seq: 3, part: 1 }).unwrap().what, None);
}

#[test]
fn payments_are_found_through_their_index() {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let (dir, _reader) = told(&story().events);
    let query = "EXPLAIN QUERY PLAN SELECT * FROM payments WHERE brand = 'br_kino' AND at >= 5 AND at < 9 \
                 AND id < 7 ORDER BY at DESC, id DESC LIMIT 10";
    let steps: Vec<Step> = diesel::sql_query(query).load(&mut raw(dir.path()).connection).unwrap();
    let plan = steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("; ");
    assert!(plan.contains("payments_brand (brand=? AND at>? AND at<?)") && !plan.contains("TEMP"), "{plan}");
}

#[test]
fn flows_are_summed_over_the_units_own_days() {
    let (_dir, reader) = told(&story().events);
    let sums = |unit: &str, from: Option<&str>, to: Option<&str>| -> Vec<(What, bool, i64)> {
        let shown = reader.flows(Some(id(unit)), from.map(id), to.map(id)).unwrap();
        shown.what.iter().map(|flow| (flow.what, flow.home, flow.points)).collect()
    };
    let all = [
        (What::ClawedBack, false, 10),
        (What::Expired, false, 5 + 7 + 7 + 66),
        (What::GivenBack, false, 20),
        (What::Issued, false, 135),
        (What::Redeemed, false, 60),
    ];
    assert_eq!(sums("HARVEST", None, None), all);
    assert_eq!(sums("KINO", None, None), [(What::Issued, false, 50), (What::Redeemed, true, 50)]);
    // 23:30 UTC is the next day already an hour east of Greenwich.
    assert_eq!(sums("HARVEST", None, Some("2026-01-01")), []);
    assert_eq!(sums("KINO", None, Some("2026-01-01")), [(What::Issued, false, 50)]);
    let third = [(What::Expired, false, 7), (What::GivenBack, false, 20)];
    assert_eq!(sums("HARVEST", Some("2026-01-03"), Some("2026-01-03")), third);
    let whole = reader.flows(None, None, None).unwrap().what;
    assert_eq!(whole.len(), 7);
    assert_eq!(whole[4].brand, Some(id("br_kino")));
    let units = reader.units().unwrap().what;
    assert_eq!((units[0].unit, units[0].scale, units[0].offset), (id("HARVEST"), 2, 60));
}

#[test]
fn obligations_keep_their_direction() {
    let (_dir, reader) = told(&story().events);
    let all = reader.obligations(None).unwrap().what;
    let rows: Vec<_> =
        all.iter().map(|o| (o.cycle, o.debtor.as_str(), o.creditor.as_str(), o.amount)).collect();
    assert_eq!(rows, [(1, "pa_harvest", "pa_kino", 500), (2, "pa_harvest", "pa_kino", -150)]);
    assert_eq!(reader.obligations(Some(2)).unwrap().what, all[1..]);
}

#[test]
fn any_cut_gives_the_same_bytes_also_across_restarts_and_after_a_wipe() {
    let events = story().events;
    let (whole, reader) = told(&events);
    let expected = dump(whole.path());
    assert!(expected.lines().count() > 30, "{expected}");
    for cut in 1..events.len() {
        let dir = tempfile::tempdir().unwrap();
        for run in events.chunks(cut) {
            take(&mut Views::open(dir.path()).unwrap(), run).unwrap();
        }
        assert_eq!(dump(dir.path()), expected, "in runs of {cut}");
        assert_eq!(difference(&reader, &Reader::open(dir.path()).unwrap()).unwrap(), None);
    }
    let mut views = Views::open(whole.path()).unwrap();
    views.wipe().unwrap();
    assert_eq!(views.cursor().unwrap(), None);
    assert_eq!(reader.cursor().unwrap(), None);
    assert_eq!(reader.history(ANN, None, 9).unwrap().what, []);
    take(&mut views, &events).unwrap();
    drop(views);
    assert_eq!(dump(whole.path()), expected, "after a wipe");
}

#[test]
fn only_what_follows_is_taken() {
    let events = story().events;
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Views::open(dir.path()).unwrap(), Views::open(dir.path()).unwrap());
    let unfit = |result| matches!(result, Err(PutError::Fault(Fault::Unfit(_))));
    assert!(unfit(take(&mut one, &events[1..])), "does not begin at 0");
    assert!(unfit(one.take(&[&events[0], &events[2]])), "a gap");
    take(&mut one, &[]).unwrap();
    take(&mut one, &events[..3]).unwrap();
    let before = dump(dir.path());
    assert!(matches!(take(&mut two, &events[..3]), Err(PutError::Stale)), "another follower was here");
    assert!(unfit(take(&mut one, &events[..3])), "again");
    assert_eq!(dump(dir.path()), before, "nothing was written");
    // The same number under another hash: another log.
    raw(dir.path()).connection.batch_execute("UPDATE cursor SET hash = zeroblob(32)").unwrap();
    assert!(matches!(take(&mut one, &events[3..]), Err(PutError::Stale)));
    let mut three = Views::open(dir.path()).unwrap();
    assert_eq!(three.cursor().unwrap(), Some(Place { seq: 2, hash: Hash([0; 32]) }));
    take(&mut three, &events[3..]).unwrap();
}

#[test]
fn what_cannot_have_been_decided_is_not_taken() {
    let refused = |change: &dyn Fn(&mut Story)| {
        let mut story = story();
        change(&mut story);
        let dir = tempfile::tempdir().unwrap();
        let mut views = Views::open(dir.path()).unwrap();
        let fault = take(&mut views, &story.events).unwrap_err().to_string();
        assert_eq!(views.cursor().unwrap(), None);
        fault
    };
    let at = "2026-01-05T00:00:00Z";
    let fault = refused(&|story| {
        let mut part = story.part(ANN, "HARVEST", &[(Shared::Issuance, -1)]);
        part.done.legs[0].amount = 2;
        story.entry(at, Kind::PointsIssued, vec![part]);
    });
    assert!(fault.contains("entry 7: the legs of a part sum to 1"), "{fault}");
    let fault = refused(&|story| {
        let part = story.part(ANN, "NOBODYS", &[(Shared::Issuance, -1)]);
        story.entry(at, Kind::PointsIssued, vec![part]);
    });
    assert!(fault.contains("NOBODYS moves before it is defined"), "{fault}");
    let fault = refused(&|story| {
        let mut part = story.part(ANN, "HARVEST", &[(Shared::Issuance, -1)]);
        part.done.legs.extend(story.part(BOB, "HARVEST", &[(Shared::Issuance, -1)]).done.legs);
        story.entry(at, Kind::PointsIssued, vec![part]);
    });
    assert!(fault.contains("two accounts"), "{fault}");
}

#[test]
fn a_reader_goes_to_any_thread_and_sees_what_is_committed() {
    let events = story().events;
    let (dir, reader) = told(&events[..3]);
    let other = reader.clone();
    let seen = std::thread::spawn(move || other.history(BOB, None, 9).unwrap()).join().unwrap();
    assert_eq!((seen.as_of.unwrap().seq, seen.what.len()), (2, 1));
    take(&mut Views::open(dir.path()).unwrap(), &events[3..]).unwrap();
    let seen = reader.history(BOB, None, 9).unwrap();
    assert_eq!((seen.as_of.unwrap().seq, seen.what.len()), (6, 2));
}

#[test]
fn a_file_without_views_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(Fault::Foreign { .. })), "a reader makes no file");
    let fresh = Views::open(&dir.path().join("new folder")).unwrap();
    assert_eq!(fresh.cursor().unwrap(), None);
    assert!(dir.path().join("new folder/views.sqlite").is_file());
}
