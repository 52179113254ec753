//! Who reads what: on random days of trade, nobody reads what names somebody else's account, and everybody
//! reads all of their own.
//!
//! Owns: a look at the parts' text that shares no code with the function it checks.
//! Promises: a seed names a day.
//! Refuses to know: how entries are listed and handed out.

mod common;

use common::house::House;
use common::node::PureNode;
use common::reading::{Book, brand_reader};
use common::tour::Tour;
use common::trade::Trade;
use common::world::{Key, World, id, points};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tallyhouse::book::{Name, Principal, Record};
use tallyhouse::log::Envelope;
use tallyhouse::machine::{Concerned, Kind, PartBody, Reader, Resolve, bodies, concerned, issuer, may_read};
use tallyhouse::points::Verdict;
use tallyhouse::sign::{Award, PointToken, Typ};
use tallyhouse::types::{AccountId, BrandId, UnitCode, encode};

/// A part of the log, opened.
struct Opened {
    seq: u64,
    kind: Kind,
    /// Its text, evidence in the clear.
    text: String,
    body: PartBody,
    whom: Vec<Concerned>,
}

fn opened(node: &PureNode) -> Vec<Opened> {
    let mut all = vec![];
    for entry in &node.entries {
        let envelope = Envelope::decode(&entry.envelope).expect("our own");
        let kind: Kind = envelope.kind.parse().expect("our own");
        let parts = bodies(entry.parts.iter().map(Vec::as_slice)).expect("our own");
        let brand = issuer(parts.iter());
        for (bytes, body) in entry.parts.iter().zip(&parts) {
            let mut text = String::from_utf8(bytes.clone()).expect("text");
            if let Some(jws) = &body.jws {
                let payload = jws.text().split('.').nth(1).expect("three fields");
                let payload = data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).expect("base64");
                text.push_str(&String::from_utf8(payload).expect("text"));
            }
            let whom = concerned(body, brand.as_ref()).expect("our own");
            assert!(!whom.is_empty() && whom.is_sorted(), "{whom:?}");
            all.push(Opened { seq: entry.seq, kind, text, body: body.clone(), whom });
        }
    }
    all
}

/// The accounts that the state knows, with the brand of their unit.
fn accounts(node: &PureNode) -> BTreeMap<AccountId, BrandId> {
    let mut all = BTreeMap::new();
    for (name, record) in &node.state.0 {
        let (Name::Account(account), Record::Account(record)) = (name, &**record) else { continue };
        let unit = node.state.get(&Name::Unit(record.head.unit)).and_then(Record::unit).expect("defined");
        all.insert(*account, unit.brand.clone());
    }
    all
}

fn readers(world: &World) -> Vec<(BrandId, Reader)> {
    world.brands.iter().map(|brand| (brand.id.clone(), brand_reader(world, brand))).collect()
}

/// Looks at every part; returns how many parts each brand reads and how many name an account.
fn look(world: &World, node: &PureNode) -> (BTreeMap<BrandId, u64>, u64) {
    let (book, owners) = (Book(&node.state), accounts(node));
    let reads = readers(world);
    let (mut counts, mut naming) = (BTreeMap::new(), 0);
    for part in opened(node) {
        let Ok(operator) = may_read(&part.whom, &Reader::Operator, &book);
        assert!(operator);
        let refused = matches!(part.body.verdict, Some(Verdict::Refused(_)));
        let named: Vec<_> = owners.iter().filter(|(id, _)| part.text.contains(&id.to_string())).collect();
        naming += u64::from(!named.is_empty());
        assert!(named.len() <= 1, "entry {}: a part names two accounts: {}", part.seq, part.text);
        for (brand, reader) in &reads {
            let Ok(may) = may_read(&part.whom, reader, &book);
            *counts.entry(brand.clone()).or_insert(0) += u64::from(may);
            for (account, owner) in &named {
                // What an issuer itself wrote into a line that came to nothing is no news to it; nor what a sponsor signed.
                let signed = part.body.jws.as_ref().is_some_and(|jws| {
                    let by = book.owner_of(jws.kid());
                    part.body.done.is_none() && by == Ok(Some(Principal::Brand(brand.clone())))
                });
                assert!(
                    !may || *owner == brand || refused || signed,
                    "{brand} reads {account}: {}",
                    part.text
                );
                assert!(may || *owner != brand || refused || by_another(&part), "{brand}: {}", part.text);
            }
            for unit in world.brands.iter().filter(|have| have.id == *brand).flat_map(|have| &have.units) {
                let shared = format!("[\"{}:", unit.unit);
                let own = part.text.contains(&shared);
                assert!(may || !own, "{brand} does not read a leg of {}: {}", unit.unit, part.text);
            }
            let code = part.body.jws.as_ref().is_some_and(|jws| jws.typ() == Typ::SpendCode);
            assert!(!code || !may, "a code is its holder's alone: {brand}, {}", part.text);
            let consent = part.body.jws.as_ref().is_some_and(|jws| jws.typ() == Typ::PaymentConsent);
            let own = named.iter().any(|(_, owner)| *owner == brand);
            assert!(!consent || may == own, "a consent is not the shop's: {brand}, {}", part.text);
        }
        for account in owners.keys() {
            let Ok(may) = may_read(&part.whom, &Reader::Accounts(vec![*account]), &book);
            let own = named.iter().any(|(id, _)| *id == account);
            let signed = part.body.jws.as_ref().is_some_and(|jws| {
                matches!(book.owner_of(jws.kid()), Ok(Some(Principal::Account(owner))) if owner == *account)
            });
            assert!(!may || own || signed, "{account} reads {}", part.text);
            let code = part.body.jws.as_ref().is_some_and(|jws| jws.typ() == Typ::SpendCode);
            assert!(!code || may == signed, "{account} reads its own codes: {}", part.text);
            assert!(may || !own || refused || by_another(&part), "{account}: {}", part.text);
        }
    }
    (counts, naming)
}

/// A command about an account, which is for whoever signed it.
fn by_another(part: &Opened) -> bool {
    let command = part.body.jws.as_ref().is_some_and(|jws| jws.typ() == Typ::Command);
    command
        && matches!(
            part.kind,
            Kind::AccountOpened | Kind::AccountFrozen | Kind::AccountKeyRevoked | Kind::AccountTierSet
        )
}

/// A batch with a line for an account of another brand's unit, which is refused and stands in the log.
fn stray(trade: &mut Trade) {
    let jti = trade.fresh("stray");
    let own: UnitCode = id("KINO");
    let line = |sub: AccountId| {
        let award = Award {
            sub,
            amount: points(5),
            reference: Some(id(&format!("stray-{sub}"))),
            store: None,
            till: None,
            occurred_at: None,
            business_date: None,
            reason: None,
            campaign: None,
            until: None,
            from: None,
            lines: None,
            sale: None,
        };
        encode(&award)
    };
    let subs = [trade.world.holder(id("HARVEST"), 0), trade.world.holder(own, 0)].map(|h| h.account);
    let lines = subs.map(line);
    let (brand, at) = trade.world.brand_of(own);
    let claims = trade.world.batch(brand, own, &jti, &lines, true, trade.now);
    let answer = trade.node.submit(&trade.world.issue_batch(&brand.issuing[at], &claims, &lines), trade.now);
    let answer = answer.expect("a batch that skips");
    assert_eq!((answer.awarded, answer.others.len()), (Some(1), 1));
    let parts: Vec<_> = opened(&trade.node).into_iter().filter(|part| part.seq == answer.seq).collect();
    assert_eq!(parts[1].whom, [Concerned::Brand(brand.id.clone())], "a refused line is its issuer's alone");
    assert!(parts[2].whom.contains(&Concerned::Account(subs[1])));
}

#[test]
fn each_kind_of_entry_is_for_whom_it_concerns() {
    let tour = Tour::take();
    let (counts, naming) = look(&tour.world, &tour.node);
    assert!(naming > 30, "{naming}");
    // A further brand that did nothing reads nothing: what its participant owes is for the first.
    let reads = counts.iter().filter(|(_, parts)| **parts > 0).map(|(brand, _)| brand.as_str());
    assert_eq!(reads.collect::<Vec<_>>(), ["br_harvest", "br_kino", "br_polar"]);
    // A part of a kind, and whom the parts concern that nobody's account stands in.
    let of = |kind: Kind| opened(&tour.node).into_iter().filter(move |part| part.kind == kind);
    assert!(of(Kind::Tick).any(|part| part.whom == [Concerned::Operator]), "how far it swept");
    let pair = of(Kind::PaymentCaptured).find(|part| part.body.payment.is_some()).expect("crosses brands");
    assert!(
        matches!(pair.whom[..], [Concerned::Participant(_), Concerned::Participant(_)]),
        "{:?}",
        pair.whom
    );
    let asked = of(Kind::PaymentAuthorised).next().expect("paid");
    assert!(matches!(asked.whom[..], [Concerned::Key(_)]), "{:?}", asked.whom);
    let burnt = of(Kind::Refused).next().expect("refused");
    assert_eq!(burnt.whom, [Concerned::Brand(id("br_polar"))]);
}

#[test]
fn a_sponsor_reads_what_it_pays_for_and_nobodys_balance() {
    let mut house = House::new(9, false);
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    let (key, unit) = (Key::derive(9, "sponsor"), id("HARVEST"));
    let sub = house.award("HARVEST", 0, 4_711).account;
    house.sponsor(1, "HARVEST", &key, &[1]).expect("granted");
    let token = |house: &mut House, reference: &str| {
        let (cid, now) = (house.cid(), house.now);
        let token = house.world.token(&house.world.brands[1], unit, &cid, sub, 1, now);
        PointToken { reference: Some(id(reference)), till: Some(id("web")), ..token }
    };
    let first = token(&mut house, "r-1");
    let mut seqs = vec![house.send(house.world.issue(&key, &first)).expect("awarded").seq];
    let lines = ["r-2", "r-3"].map(|reference| encode(&token(&mut house, reference).award())).to_vec();
    let (cid, now) = (house.cid(), house.now);
    let claims = house.world.batch(&house.world.brands[1], unit, &cid, &lines, false, now);
    seqs.push(house.send(house.world.issue_batch(&key, &claims, &lines)).expect("awarded").seq);
    look(&house.world, &house.node);
    let book = Book(&house.node.state);
    let reads = |brand: usize, seq: u64| -> Vec<String> {
        let reader = brand_reader(&house.world, &house.world.brands[brand]);
        let parts = opened(&house.node).into_iter().filter(|part| part.seq == seq);
        let own = parts.filter(|part| {
            let Ok(may) = may_read(&part.whom, &reader, &book);
            may && part.body.done.is_some()
        });
        own.map(|part| part.text).collect()
    };
    for seq in seqs {
        let (sponsor, issuer) = (reads(1, seq).join("\n"), reads(0, seq).join("\n"));
        assert!(sponsor.contains("limit/br_kino/") && sponsor.contains("sponsored/"), "{sponsor}");
        assert!(!sponsor.contains(&sub.to_string()) && !sponsor.contains("471"), "{sponsor}");
        assert!(issuer.contains(&sub.to_string()) && issuer.contains("471"), "{issuer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn no_brand_reads_of_anothers_holders_and_each_reads_all_of_its_own(seed in 1..1_000_000u64) {
        let mut trade = Trade::new(seed, 60);
        stray(&mut trade);
        let (counts, naming) = look(&trade.world, &trade.node);
        prop_assert!(naming > 60, "{}", naming);
        prop_assert!(counts.values().all(|parts| *parts > 0), "{:?}", counts);
    }
}
