//! Forgeries behind evidence that is said to be erased: whoever holds the log writes an entry with effects of its own
//! and without a request for them. Each is formally perfect: what an account has is what its legs say, and every part
//! sums to zero.

use crate::common::world::{beginning, id};
use crate::evil::{Honest, Loose, append, json};
use crate::stage;
use tallyhouse::book::{Name, Record};
use tallyhouse::log::Slot;
use tallyhouse::machine::{Broken, Checked, Kind};
use tallyhouse::sign::{PaymentConsent, Purpose, Typ};
use tallyhouse::types::{AccountId, Hash};

/// Writes an entry in place of the one at `seq`, with the parts that `gone` says erased.
fn written(
    honest: &Honest,
    seq: usize,
    entry: &Loose,
    gone: impl Fn(usize) -> bool,
) -> Result<Checked, String> {
    let (chain, state) = &honest.before[seq];
    let mut written = append(&mut chain.clone(), entry).expect("well formed");
    for (at, slot) in written.parts.iter_mut().enumerate().filter(|(at, _)| gone(*at)) {
        assert!(entry.body.parts[at].starts_with(b"{\"jws\""), "only evidence is said to be gone");
        *slot = slot.erase();
    }
    assert!(written.parts.iter().any(|slot| matches!(slot, Slot::Erased(_))));
    written.check(state).map_err(|e| match e {
        Broken::Wrong(what) => what,
        Broken::Need(names) => panic!("everything is at hand, and {names:?} is wanted"),
    })
}

/// All evidence gone: the verifier must say why this cannot be.
#[track_caller]
fn caught(honest: &Honest, seq: usize, entry: &Loose, how: &str) -> String {
    let statements = entry.body.parts.iter().take_while(|part| part.starts_with(b"{\"jws\"")).count();
    match written(honest, seq, entry, |at| at < statements) {
        Err(what) => {
            assert!(what.contains("whose evidence was erased"), "{how}: {what}");
            what
        }
        Ok(_) => panic!("entry {seq} ({}) passes although {how}", entry.body.kind),
    }
}

/// The entry with other texts in its effects; each must be there.
fn bent(entry: &Loose, edits: &[(&str, &str)]) -> Loose {
    let mut entry = entry.clone();
    for (from, to) in edits {
        let mut found = false;
        for part in entry.body.parts.iter_mut().filter(|part| !part.starts_with(b"{\"jws\"")) {
            let text = String::from_utf8(part.clone()).expect("text");
            found |= text.contains(from);
            *part = text.replace(from, to).into_bytes();
        }
        assert!(found, "{from} is not there");
    }
    // What is not canonical would be caught for that alone.
    for part in &entry.body.parts {
        assert_eq!(&json::write(&json::parse(part)), part);
    }
    entry
}

fn with(entry: &Loose, part: String) -> Loose {
    let mut entry = entry.clone();
    entry.body.parts.push(part.into_bytes());
    entry
}

const LOT: &str = r#"["2027-03-31",null,"2026-01","earned"]"#;

fn total(honest: &Honest, seq: usize, id: AccountId) -> i64 {
    let (_, state) = &honest.before[seq];
    state.get(&Name::Account(id)).and_then(Record::account).map_or(0, |account| account.total().signed())
}

#[test]
fn a_kind_does_nothing_but_its_own() {
    let (world, _, honest) = stage();
    let ben = world.holder(id("HARVEST"), 1).account;
    for kind in [
        Kind::AccountFrozen,
        Kind::AccountKeyRevoked,
        Kind::ConsentOpened,
        Kind::AccountOpened,
        Kind::PaymentAuthorised,
        Kind::PaymentVoided,
    ] {
        let seq = if kind == Kind::AccountOpened { 45 } else { honest.first(kind) };
        let entry = &honest.entries[seq];
        assert_eq!(entry.body.kind, kind);
        let has = total(honest, seq, ben);
        let more = has + 900_000;
        let mint = format!(
            r#"{{"done":{{"legs":[["{ben}","HARVEST",900000,{more}],["HARVEST:issuance","HARVEST",-900000]],"lots":[["{ben}",{LOT},{more}]]}}}}"#
        );
        caught(honest, seq, &with(entry, mint), "it mints");
        let less = has - 300;
        let spend = format!(
            r#"{{"done":{{"legs":[["{ben}","HARVEST",-300,{less}],["HARVEST:redeemed","HARVEST",300]],"lots":[["{ben}",{LOT},{less}]]}}}}"#
        );
        caught(honest, seq, &with(entry, spend), "it spends");
        let shorter = r#"["2026-01-31",null,"2026-01","earned"]"#;
        let ages = format!(r#"{{"done":{{"lots":[["{ben}",{LOT},0],["{ben}",{shorter},{has}]]}}}}"#);
        caught(honest, seq, &with(entry, ages), "it shortens a lot's life");
        let holds = format!(
            r#"{{"done":{{"lots":[["{ben}",{LOT},0]],"holds":[["{ben}","pay_47.0",{{"of":"pay_47.0","until":"2099-01-01T00:00:00.000000Z","lots":[[{LOT},{has}]]}}]]}}}}"#
        );
        caught(honest, seq, &with(entry, holds), "it holds all that there is");
        let owes = r#"{"payment":"pay_50.0","cycle":1,"done":{"legs":[["pa_harvest:pa_kino","CHF",1000000,1000000],["pa_kino:pa_harvest","CHF",-1000000,-1000000]]}}"#;
        caught(honest, seq, &with(entry, owes.into()), "it lets others owe");
        // What it does twice, it does to somebody else as well.
        let twice =
            with(entry, String::from_utf8(entry.body.parts.last().expect("one").clone()).expect("text"));
        caught(honest, seq, &twice, "a part stands twice");
    }
}

#[test]
fn points_come_within_a_budget_and_are_counted() {
    let (_, _, honest) = stage();
    let seq = 70;
    let entry = &honest.entries[seq];
    assert_eq!(entry.body.kind, Kind::PointsIssued);
    let more = &[
        ("\"HARVEST\",7,4686", "\"HARVEST\",8000000000000,8000000004679"),
        ("-7]", "-8000000000000]"),
        ("],4686]", "],8000000004679]"),
    ];
    let mut bare = bent(entry, more);
    bare.body.parts.pop();
    caught(honest, seq, &bare, "nothing is counted, and no key issues");
    caught(honest, seq, &bent(entry, more), "the counts are those of seven points");
    let counted = [
        more,
        &[("\"used\":5777", "\"used\":8000000005770"), ("\"used\":7}", "\"used\":8000000000000}")][..],
    ]
    .concat();
    let what = caught(honest, seq, &bent(entry, &counted), "the budget is passed");
    assert!(what.contains("budget_exceeded"), "{what}");
    for (from, to, how) in [
        ("\"used\":5777", "\"used\":0", "the budget begins anew"),
        ("\"window\":491004,\"used\":7", "\"window\":491005,\"used\":0", "the hour begins anew"),
        ("\"window\":491004,\"used\":7", "\"window\":491003,\"used\":7", "it is another hour"),
        ("br_harvest/t3", "br_harvest/t1", "the token was used before"),
        ("2027-03-31", "2027-04-30", "the lot is another than the one that grew"),
    ] {
        caught(honest, seq, &bent(entry, &[(from, to)]), how);
    }
    // A line of a batch is there and says how much.
    let seq = honest.first(Kind::PointsBatch);
    let batch = bent(
        &honest.entries[seq],
        &[
            ("\"HARVEST\",30,5030", "\"HARVEST\",5000000,5005000"),
            ("-30]", "-5000000]"),
            ("],5030]", "],5005000]"),
            ("\"used\":5770", "\"used\":5005740"),
        ],
    );
    caught(honest, seq, &batch, "a line says 30 and gives five million");
    let other = bent(&honest.entries[seq], &[(r#"\"amount\":40"#, r#"\"amount\":41"#)]);
    caught(honest, seq, &other, "a line says more than it gives");
}

#[test]
fn a_payment_moves_by_its_own_rules() {
    let (world, _, honest) = stage();
    let ada = world.holder(id("HARVEST"), 0).account;
    // Captured in full, and closed: and captured once more.
    let seq = 54;
    let (_, state) = &honest.before[seq];
    let closed: tallyhouse::types::PaymentId = id("pay_53.0");
    let payment = state.get(&Name::Payment(closed)).and_then(Record::payment).expect("a payment");
    assert!(payment.closed && payment.captured == payment.amount);
    let record = String::from_utf8(tallyhouse::types::encode(payment)).expect("text");
    let record = record.replace("\"captured\":1000", "\"captured\":2000");
    let left = total(honest, seq, ada) - 50;
    let mut again = honest.entries[honest.first(Kind::PaymentCaptured)].clone();
    again.at = honest.entries[seq].at;
    again.body.parts.truncate(1);
    again.body.parts.extend(
        [
            format!(
                r#"{{"done":{{"legs":[["{ada}","HARVEST",-50,{left}],["HARVEST:redeemed","HARVEST",50]],"lots":[["{ada}",{LOT},3979]],"put":[["share/pay_53.0/HARVEST",{{"account":"{ada}","taken":[[{LOT},100]]}}]]}}}}"#
            ),
            r#"{"payment":"pay_53.0","cycle":1,"done":{"legs":[["pa_franchise:pa_harvest","EUR",950,7601],["pa_harvest:pa_franchise","EUR",-950,-7601]]}}"#.to_owned(),
            format!(
                r#"{{"done":{{"put":[["payment/pay_53.0",{record}],["command/br_kino/cap-9",{{"seq":54,"fingerprint":"TJFXaZNeCe4XsvEAJodriA"}}]]}}}}"#
            ),
        ]
        .map(String::into_bytes),
    );
    let what = caught(honest, seq, &again, "it was closed");
    assert!(what.contains("payment_closed"), "{what}");
    let open = bent(&again, &[("\"closed\":true", "\"closed\":false")]);
    caught(honest, seq, &open, "it is opened again");
    // An invented obligation; one between others; points and money that do not belong together.
    let seq = honest.first(Kind::PaymentCaptured);
    let entry = &honest.entries[seq];
    for edits in [
        &[("6652,6652", "900000,900000"), ("-6652,-6652", "-900000,-900000")][..],
        &[
            ("pa_franchise:pa_harvest", "pa_kino:pa_harvest"),
            ("pa_harvest:pa_franchise", "pa_harvest:pa_kino"),
        ],
        &[("\"captured\":7003", "\"captured\":7100")],
        &[("\"captured\":7003", "\"captured\":20010")],
        &[("\"closed\":false", "\"closed\":true")],
        &[("pay_47.0\",\"cycle\":1", "pay_47.0\",\"cycle\":2")],
        &[("command/br_kino/", "command/br_harvest/")],
        &[
            ("\"HARVEST\",-351,4679", "\"HARVEST\",-350,4680"),
            ("\"HARVEST\",351", "\"HARVEST\",350"),
            ("],650]", "],651]"),
            ("],351]", "],350]"),
        ],
    ] {
        caught(honest, seq, &bent(entry, edits), &format!("{edits:?}"));
    }
    let void = honest.first(Kind::PaymentVoided);
    for edits in [
        &[("\"window\":491001,\"used\":3001", "\"window\":491002,\"used\":0")][..],
        &[("\"window\":491001,\"used\":3001", "\"window\":491001,\"used\":1001")],
        &[("\"window\":20458,\"used\":3001", "\"window\":20459,\"used\":0")],
        &[("\"closed\":true", "\"closed\":false")],
    ] {
        caught(honest, void, &bent(&honest.entries[void], edits), &format!("{edits:?}"));
    }
}

#[test]
fn a_consent_is_what_a_code_gives() {
    let (world, _, honest) = stage();
    let (ada, ben) = (world.holder(id("HARVEST"), 0), world.holder(id("HARVEST"), 1));
    let seq = honest.first(Kind::ConsentOpened);
    let entry = &honest.entries[seq];
    let (ada_key, ben_key) = (ada.key.kid.to_string(), ben.key.kid.to_string());
    let shown = format!("shown/con_52.0\",{{\"account\":\"{}", ada.account);
    let other = format!("shown/con_52.0\",{{\"account\":\"{}", ben.account);
    let till = world.brands[1].tills[1].key.kid.to_string();
    let foreign = world.brands[2].tills[0].key.kid.to_string();
    let root = world.brands[1].root.kid.to_string();
    for edits in [
        &[("2026-01-05T09:35:00.000000Z", "2099-01-01T00:00:00.000000Z")][..],
        &[("2026-01-05T09:35:00.000000Z", "2026-01-05T09:34:59.000000Z")],
        &[("\"used\":0", "\"used\":1")],
        &[("\"spent\":0", "\"spent\":1")],
        &[("\"points\":150", "\"points\":151")],
        &[("\"most\":3000", "\"most\":0")],
        &[(ada_key.as_str(), ben_key.as_str())],
        &[(shown.as_str(), other.as_str())],
        &[(till.as_str(), foreign.as_str())],
        &[(till.as_str(), root.as_str())],
        &[("\"brand\":\"br_kino\"", "\"brand\":\"br_harvest\"")],
        &[("\"currency\":\"EUR\"", "\"currency\":\"GBP\"")],
        &[("con_52.0", "con_52.1")],
        &[("con_52.0", "con_51.0")],
        &[("command/br_kino/", "command/br_harvest/")],
        &[("command/br_kino/open-3", "command/br_kino/cap-1")],
    ] {
        caught(honest, seq, &bent(entry, edits), &format!("{edits:?}"));
    }
    // Sixty of them in one entry.
    let mut many = entry.clone();
    for n in 1..60 {
        for part in &entry.body.parts[2..] {
            let part =
                String::from_utf8(part.clone()).expect("text").replace("con_52.0", &format!("con_52.{n}"));
            let part =
                part.replace("code-3", &format!("code-{n}-3")).replace("open-3", &format!("open-{n}-3"));
            many.body.parts.push(part.into_bytes());
        }
    }
    caught(honest, seq, &many, "one code opens sixty");
    // The id of the code is not spent; the command's is not.
    let mut bare = entry.clone();
    let used = format!("[\"account/{}/consent/code-3\",[52,0,", ada.account);
    let text = String::from_utf8(bare.body.parts[2].clone()).expect("text");
    let at = text.find(&used).expect("it is there");
    let end = at + text[at..].find("]],").expect("its end") + 3;
    bare.body.parts[2] = format!("{}{}", &text[..at], &text[end..]).into_bytes();
    caught(honest, seq, &bare, "the code is not used up");
    let later = Loose { at: honest.after(), body: entry.body.clone() };
    assert!(written(honest, honest.entries.len(), &later, |at| at < 2).is_err(), "it is opened again");
}

#[test]
fn under_a_consent_no_more_is_paid_than_was_agreed_to() {
    let (world, _, honest) = stage();
    let (ada, ben) = (world.holder(id("HARVEST"), 0), world.holder(id("HARVEST"), 1));
    let seq = 53;
    let entry = &honest.entries[seq];
    assert_eq!(entry.body.kind, Kind::PaymentAuthorised);
    let (ada, ben) = (ada.account.to_string(), ben.account.to_string());
    let taken = 23_010 - 1_000 + 67_500;
    let counted = [
        ("\"window\":491001,\"used\":23010".to_owned(), format!("\"window\":491001,\"used\":{taken}")),
        ("\"window\":20458,\"used\":23010".to_owned(), format!("\"window\":20458,\"used\":{taken}")),
    ];
    let counted: Vec<(&str, &str)> = counted.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let billed = [
        ("-50,4679", "-3375,1354"),
        ("\"HARVEST\",50]", "\"HARVEST\",3375]"),
        ("],4029]", "],704]"),
        ("],50]", "],3375]"),
        ("950,6651", "64125,69826"),
        ("-64125,69826", "-64125,-69826"),
        ("-950,-6651", "-64125,-69826"),
        ("\"amount\":1000", "\"amount\":67500"),
        ("\"points\":50", "\"points\":3375"),
        ("\"obligation\":950", "\"obligation\":64125"),
        ("\"captured\":1000", "\"captured\":67500"),
    ];
    let billed: Vec<(&str, &str)> = billed.into_iter().filter(|(from, _)| *from != "-64125,69826").collect();
    let big = [&billed[..], &counted[..]].concat();
    let what = caught(honest, seq, &bent(entry, &big), "67,500 where 3,000 were left");
    assert!(what.contains("consent_exceeded") || what.contains("till_limit"), "{what}");
    for edits in [
        &[("\"most\":3000,\"used\":1000", "\"most\":3000,\"used\":0")][..],
        &[("\"most\":3000,\"used\":1000", "\"most\":90000,\"used\":1000")],
        &[("\"most\":3000,\"used\":1000", "\"most\":3000,\"used\":999")],
        &[
            ("950,6651", "1000,6701"),
            ("-950,-6651", "-1000,-6701"),
            ("\"obligation\":950", "\"obligation\":1000"),
        ],
        &[("\"points\":50", "\"points\":49")],
        &[(ada.as_str(), ben.as_str())],
        &[("\"consent\":\"con_52.0\"", "\"consent\":\"con_51.0\"")],
        &[("\"window\":491001,\"used\":23010", "\"window\":491002,\"used\":0")],
        &[("\"window\":491001,\"used\":23010", "\"window\":491001,\"used\":22010")],
        &[("2026-01-05T10:20:00", "2029-01-05T10:20:00")],
        &[("\"issuer\":\"pa_harvest\"", "\"issuer\":\"pa_kino\"")],
        &[("\"price\":1", "\"price\":2")],
    ] {
        caught(honest, seq, &bent(entry, edits), &format!("{edits:?}"));
    }
    // After its time, by anybody.
    let late = Loose { at: entry.at.plus_seconds(900), body: entry.body.clone() };
    caught(honest, seq, &late, "the consent's time has passed");
}

#[test]
fn evidence_that_is_left_is_held_against_the_effects() {
    let (world, _, honest) = stage();
    let first = honest.first(Kind::PaymentAuthorised);
    let second = 50;
    let (one, two) = (&honest.entries[first], &honest.entries[second]);
    assert_eq!(two.body.kind, Kind::PaymentAuthorised);
    // A consent that was used before, for less; the till's request for another bill.
    let left = |from: &Loose, part: usize| {
        let mut forged = two.clone();
        forged.body.parts[part] = from.body.parts[part].clone();
        forged
    };
    assert!(
        written(honest, second, two, |at| at == 0).is_ok()
            && written(honest, second, two, |at| at == 1).is_ok()
    );
    assert!(written(honest, second, &left(one, 1), |at| at == 0).is_err(), "another bill's consent");
    assert!(written(honest, second, &left(one, 0), |at| at == 1).is_err(), "another bill's request");
    // The right ones, beside other effects.
    for edits in [
        &[("\"amount\":2000", "\"amount\":2001")][..],
        &[
            ("\"deadline\":\"2026-01-05T10:18:00", "\"deadline\":\"2026-01-05T10:19:00"),
            ("\"until\":\"2026-01-05T10:18:00", "\"until\":\"2026-01-05T10:19:00"),
        ],
        &[("command/br_kino/pay-2", "command/br_kino/pay-9")],
        &[("xe48w96gCMWO3PWPfQvnHA", "TJFXaZNeCe4XsvEAJodriA")],
        &[("consent-pay-2", "consent-pay-9")],
    ] {
        let forged = bent(two, edits);
        // What of the till's request alone is forged, its own request shows; what of the consent, the consent.
        let of_till = edits[0].0.starts_with("xe48");
        let of_holder = edits[0].0 == "consent-pay-2";
        for gone in (0..2).filter(|gone| *gone == 1 || !of_till).filter(|gone| *gone == 0 || !of_holder) {
            assert!(written(honest, second, &forged, |at| at == gone).is_err(), "{edits:?}, {gone} gone");
        }
    }
    // Statements of another sort, of another network, or of nobody who could be concerned.
    let holder = world.holder(id("HARVEST"), 0);
    let consent = |aud| PaymentConsent {
        offer: None,
        aud,
        jti: id("c-9"),
        account: holder.account,
        payee: id("br_kino"),
        payment: id("x"),
        till: None,
        amount: crate::common::world::money(5),
        currency: id("EUR"),
        points: crate::common::world::points(5),
        deadline: 2_000_000_000,
        iat: None,
        exp: 2_000_000_000,
    };
    let cert = world.issuing_cert(&world.brands[0], &world.brands[0].issuing[0], beginning().seconds(), None);
    assert_eq!(cert.purpose, Purpose::Issuing);
    let statements = [
        world.consent(&holder.key, &consent(world.net)),
        world.consent(&holder.key, &consent(Hash([7; 32]))),
        world.statement(&world.brands[0].root, Typ::KeyCert, &cert),
    ];
    let frozen = honest.first(Kind::AccountFrozen);
    for statement in statements {
        for kind in [Kind::AccountFrozen, Kind::AccountKeyRevoked, Kind::PaymentCaptured, Kind::ConsentOpened]
        {
            let seq = honest.first(kind);
            let mut forged = honest.entries[seq].clone();
            let part = format!("{{\"jws\":\"{statement}\"}}").into_bytes();
            if kind == Kind::ConsentOpened {
                forged.body.parts[1] = part
            } else {
                forged.body.parts.insert(1, part)
            }
            assert!(written(honest, seq, &forged, |at| at == 0).is_err(), "{kind} beside {statement}");
            let mut alone = honest.entries[frozen].clone();
            alone.body.parts.insert(0, format!("{{\"jws\":\"{statement}\"}}").into_bytes());
            assert!(written(honest, frozen, &alone, |at| at == 1).is_err(), "a {statement} freezes nothing");
        }
    }
    // Somebody's approval may be left where the command is gone.
    let root = &world.roots[0];
    let mut approved = honest.entries[frozen].clone();
    let approval = world.approve(root, &world.command(root, "x", "account.freeze", &cert));
    approved.body.parts.insert(1, format!("{{\"jws\":\"{approval}\"}}").into_bytes());
    assert!(written(honest, frozen, &approved, |at| at == 0).is_ok());
    // But not of something else than the command that is there.
    approved.body.parts.insert(2, approved.body.parts[0].clone());
    assert!(written(honest, frozen, &approved, |at| at == 2).is_err());
}
