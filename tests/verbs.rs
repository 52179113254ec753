//! What `prices`, `fees`, `offers` and `claw-back` print of a network: every line, of versions that are over, in force and
//! announced, of offers that can be agreed to, of what takes an award back.

mod common;

use common::dispute::over;
use common::house::{House, eur, step};
use common::world::{Key, beginning, id, money, points, rate};
use std::path::Path;
use std::process::Command;
use tallyhouse::app::{Network, Tuning};
use tallyhouse::book::{
    Answered, ExchangeFee, Fee, LosingFees, Name, PriceFor, Record, Tax, TaxCategory, Way,
};
use tallyhouse::clearing::{DisputeStep, FileObjection, InstructionStep, Move};
use tallyhouse::log::Envelope;
use tallyhouse::machine::{Offered, Sealed};
use tallyhouse::payments::{MakeOffer, WantedExchange};
use tallyhouse::points::ClawBack;
use tallyhouse::prices::{PublishFees, PublishPrices};
use tallyhouse::sign::Award;
use tallyhouse::types::{ParticipantId, Time, encode};

const DAY: u64 = 86_400;

/// Runs a verb; what it printed, and how it ended.
fn run(data: &Path, line: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
    let output = command.arg("--data").arg(data).args(line.split_whitespace()).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an end"), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn prints(data: &Path, line: &str, wanted: &str) {
    let (code, out, err) = run(data, line);
    assert_eq!((code, err.as_str()), (0, ""), "{line}");
    assert_eq!(out, wanted, "{line}");
}

fn json(data: &Path, line: &str) -> serde_json::Value {
    let (code, out, err) = run(data, line);
    assert_eq!((code, err.as_str()), (0, ""), "{line}");
    serde_json::from_str(&out).expect("JSON")
}

/// The network of a house in a folder, as its last entry left it.
fn network(house: &House) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let (genesis, key) = (house.world.genesis.clone(), &house.world.log.secret);
    let network = Network::create(dir.path(), genesis, key, beginning(), &Tuning::at(dir.path()));
    let network = network.expect("a network");
    for (request, at) in &house.node.asked {
        network.engine.ask(request, Some(*at)).expect("done before");
    }
    network.close().expect("closes");
    dir
}

fn short(key: &Key) -> String {
    key.kid.to_string().chars().take(8).collect()
}

fn at(seconds: u64) -> Time {
    Time::from_seconds(seconds).expect("a time")
}

#[test]
fn prices_are_listed_with_when_they_count_who_said_so_and_why() {
    let mut house = House::new(61, true);
    for request in house.world.approving().into_iter().take(2) {
        house.send(request).expect("certified");
    }
    let first = house.now.seconds() + 3_600;
    let spring = PublishPrices {
        settle_for: Some(vec![PriceFor { participant: id("pa_kino"), rate: rate(18, 1) }]),
        reason: Some(id("spring")),
        ..house.world.prices(id("HARVEST"), 2, eur(), first)
    };
    let spring = house.agreed_by_brand(0, "prices.publish", &spring).expect("published");
    house.now = house.now.plus_seconds(7_200);
    let later = house.now.seconds() + DAY;
    let summer = PublishPrices {
        home: rate(100, 3),
        until: Some(later + DAY),
        ..house.world.prices(id("HARVEST"), 3, eur(), later)
    };
    let summer = house.agreed_by_brand(0, "prices.publish", &summer).expect("published");
    let dir = network(&house);
    let brand = &house.world.brands[0];
    let [one, two] = [0, 1].map(|n| &brand.approvers[n]);
    // The people of the certificates of approvers.
    let listed = json(dir.path(), "prices HARVEST --json");
    let founded = &listed[0]["published"];
    let by = format!("br_harvest {}", short(&brand.root));
    let approved = |text: &str| {
        let named = text.split(", approved by ").nth(1).expect("approvals").to_owned();
        assert!(named.contains(&short(one)) && named.contains(&short(two)), "{named}");
        named
    };
    let (_, out, _) = run(dir.path(), "prices HARVEST");
    let people = approved(out.lines().find(|line| line.ends_with(": spring")).expect("a line"));
    let people = people.trim_end_matches(": spring");
    let wanted = format!(
        "   1 EUR  over       from {} until {}\n\
         \x20    home 0.0025, till 0.002, settle 0.0019, issue 0.0021\n\
         \x20    published {} in entry {} by {by}\n\
         \x20  2 EUR  in force   from {} until further notice\n\
         \x20    home 0.0025, till 0.002, settle 0.0019, issue 0.0021\n\
         \x20    settle for pa_kino 0.0018\n\
         \x20    published {} in entry {} by {by}, approved by {people}: spring\n\
         \x20  3 EUR  announced  from {} until {}\n\
         \x20    home ~0.00333333, till 0.002, settle 0.0019, issue 0.0021\n\
         \x20    published {} in entry {} by {by}, approved by {people}\n",
        at(beginning().seconds()),
        at(first),
        founded["at"].as_str().expect("an instant"),
        founded["seq"],
        at(first),
        spring.at,
        spring.seq,
        at(later),
        at(later + DAY),
        summer.at,
        summer.seq,
    );
    prints(dir.path(), "prices HARVEST", &wanted);
    prints(dir.path(), "prices HARVEST --currency EUR", &wanted);
    prints(dir.path(), "prices HARVEST --currency CHF", "HARVEST has no prices\n");
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    assert_eq!((&listed[1]["standing"], &listed[2]["standing"]), (&"in_force".into(), &"announced".into()));
    assert_eq!(listed[1]["published"]["terms"]["settle_for"][0]["participant"], "pa_kino");
    let (code, out, err) = run(dir.path(), "prices NOBODYS");
    assert!((code, out.as_str()) == (2, "") && err.contains("there is no unit NOBODYS"), "{err}");
    prints(dir.path(), "fees", "the network asks for no fees\n");
    prints(dir.path(), "offers", "nothing is offered\n");
}

/// A house whose network asks for fees, its second version announced.
fn charging(house: &mut House) -> [(u64, Time, u64); 2] {
    let cid = house.cid();
    let request = house.world.register_participant(&cid, &id("pa_op"), eur());
    house.send(request).expect("registered");
    let fee = |ppm, min, max: Option<u64>, refundable| Fee {
        ppm,
        min: money(min),
        max: max.map(money),
        refundable,
    };
    let line = |tier: Option<&str>, ppm| ExchangeFee {
        unit: tier.map(|_| id("HARVEST")),
        tier: tier.map(id),
        ppm,
        min: points(if tier.is_some() { 2 } else { 0 }),
        max: tier.map(|_| points(50)),
    };
    let mut published = vec![];
    for (version, issuer, tax, reason) in [
        (1, fee(2_900, 10, Some(90_000), false), (TaxCategory::Standard, 190_000), Some(id("first-fees"))),
        (2, fee(0, 0, None, true), (TaxCategory::ReverseCharge, 0), None),
    ] {
        let from = house.now.seconds() + 31 * DAY;
        let args = PublishFees {
            version,
            currency: eur(),
            from,
            until: None,
            supplier: id("pa_op"),
            acceptor: fee(4_000, 0, None, true),
            issuer,
            exchange: Some(vec![line(None, 10_000), line(Some("gold"), 5_000)]),
            tax: Tax { category: tax.0, rate: tax.1 },
            dispute: (version == 2).then(|| LosingFees { network: money(250_000), winner: money(0) }),
            reason,
        };
        let answer = house.agreed("fees.publish", &args).expect("published");
        published.push((from, answer.at, answer.seq));
        house.now = house.now.plus_seconds(if version == 1 { 32 * DAY } else { 0 });
    }
    published.try_into().expect("two")
}

#[test]
fn fees_are_listed_with_what_they_come_to_and_their_tax() {
    let mut house = House::new(62, true);
    let [(first, said, seq), (second, said_later, seq_later)] = charging(&mut house);
    let dir = network(&house);
    let by = format!("ana (op {})", short(&house.analyst));
    let [bo, cy] =
        [("bo", 0), ("cy", 1)].map(|(who, n)| format!("{who} (op {})", short(&house.approvers[n])));
    let wanted = format!(
        "   1 EUR  in force   from {} until {}\n\
         \x20    from who takes points  0.4 %\n\
         \x20    from who issued them   0.29 %, at least 0.0010, at most 9.0000, not refunded\n\
         \x20    from who exchanges     1 % of any points\n\
         \x20    from who exchanges     0.5 %, at least 2, at most 50 of HARVEST, gold members\n\
         \x20    owed to pa_op, tax 19 %\n\
         \x20    published {said} in entry {seq} by {by}, approved by {bo}, {cy}: first-fees\n\
         \x20  2 EUR  announced  from {} until further notice\n\
         \x20    from who takes points  0.4 %\n\
         \x20    from who issued them   nothing\n\
         \x20    from who exchanges     1 % of any points\n\
         \x20    from who exchanges     0.5 %, at least 2, at most 50 of HARVEST, gold members\n\
         \x20    from who loses a dispute: 25.0000, and 0.0000 to whoever wins\n\
         \x20    owed to pa_op, tax owed by who is served\n\
         \x20    published {said_later} in entry {seq_later} by {by}, approved by {bo}, {cy}\n",
        at(first),
        at(second),
        at(second),
    );
    prints(dir.path(), "fees", &wanted);
    prints(dir.path(), "fees --currency EUR", &wanted);
    prints(dir.path(), "fees --currency CHF", "the network asks for no fees\n");
    let listed = json(dir.path(), "fees --json");
    assert_eq!((&listed[0]["standing"], &listed[1]["standing"]), (&"in_force".into(), &"announced".into()));
    assert_eq!(listed[0]["published"]["terms"]["tax"]["rate"], 190_000);
}

#[test]
fn offers_are_listed_while_they_are_open_with_the_hash_that_a_consent_repeats() {
    let mut house = House::new(63, true);
    charging(&mut house);
    let harvest = house.award("HARVEST", 7, 100_000);
    let bill = house.offer_firm(1, "HARVEST", 2_000).expect("offered");
    let wanted =
        WantedExchange { to: id("KINO"), currency: eur(), source: Some(points(9_000)), target: None };
    let offer = MakeOffer { firm: false, exchange: Some(wanted), payment: None };
    let cid = house.cid();
    let offer = house.world.make_offer(&harvest.key, &cid, &offer);
    let exchange: Box<Offered> = house.send(offer).expect("offered").offer.expect("an offer");
    let dir = network(&house);
    let listed = json(dir.path(), "offers --json");
    let of = |offered: &Offered| {
        let all = listed.as_array().expect("a list");
        all.iter().find(|one| one["offer"] == offered.offer.to_string()).expect("listed").clone()
    };
    // What stands there is what the log says: computed here from its terms once more.
    let (terms, billed) = (&of(&exchange)["terms"]["exchange"], &of(&bill)["terms"]["payment"]);
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let decimal = |n: u64| format!("{}.{:02}", n / 100, n % 100);
    let exchanged = format!(
        "{}  by {}  until {}\n     {} HARVEST for {} KINO, {} HARVEST of it the fee\n     hash {}\n",
        exchange.offer,
        harvest.account,
        of(&exchange)["until"].as_str().expect("an instant"),
        number(&terms["source"]),
        decimal(number(&terms["target"])),
        number(&terms["fee"]["points"]),
        exchange.hash,
    );
    let money = |n: u64| format!("{}.{:04} EUR", n / 10_000, n % 10_000);
    let share = &billed["shares"][0];
    let mut paid = format!(
        "{}  by br_kino  until {}\n     a bill of {}: {} HARVEST for {}",
        bill.offer,
        of(&bill)["until"].as_str().expect("an instant"),
        money(2_000),
        number(&share["points"]),
        money(number(&share["amount"])),
    );
    for fee in billed["fees"].as_array().into_iter().flatten() {
        paid +=
            &format!("; fee of {} {}", fee["customer"].as_str().expect("who"), money(number(&fee["gross"])));
    }
    paid += &format!("\n     hash {}\n", bill.hash);
    assert_eq!((number(&terms["source"]), number(&share["amount"])), (9_000, 2_000));
    assert!(paid.contains("; fee of pa_kino "), "{paid}");
    for (line, wanted) in [
        (format!("offers {}", harvest.account), &exchanged),
        ("offers br_kino".to_owned(), &paid),
        ("offers br_harvest".to_owned(), &"nothing is offered\n".to_owned()),
    ] {
        prints(dir.path(), &line, wanted);
    }
    let (code, out, err) = run(dir.path(), "offers");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out == format!("{exchanged}{paid}") || out == format!("{paid}{exchanged}"), "{out}");
    let (code, _, err) = run(dir.path(), "offers h1058");
    assert!(code == 2 && err.contains("is no account"), "{err}");
    // A minute later, nobody can agree to it any more.
    house.now = house.now.plus_seconds(120);
    house.award("HARVEST", 8, 1);
    let dir = network(&house);
    prints(dir.path(), "offers", "nothing is offered\n");
}

#[test]
fn claw_back_prints_what_takes_an_award_back() {
    let mut house = House::new(64, true);
    let holder = house.award("HARVEST", 0, 100);
    let issued = |entry: &Sealed| Envelope::decode(&entry.envelope).expect("our own").kind == "points.issued";
    let seq = house.node.entries.iter().rposition(issued).expect("an award");
    let dir = network(&house);
    let printed = json(dir.path(), &format!("claw-back {seq} --points 30 --reason error"));
    let args: ClawBack = serde_json::from_value(printed).expect("arguments");
    house.by_brand(0, "points.claw_back", &args).expect("taken back");
    let account = house.node.state.get(&Name::Account(holder.account)).and_then(Record::account);
    assert_eq!(account.expect("there").total(), points(70));
    for (line, about) in [
        ("claw-back 0 --reason error", "no such award"),
        ("claw-back 999999 --reason error", "there is no entry 999999"),
    ] {
        let (code, _, err) = run(dir.path(), line);
        assert_eq!(code, 2, "{line}");
        assert!(err.contains(about), "{line}: {err}");
    }
}

#[test]
fn an_award_that_nothing_tells_from_another_is_not_taken_back() {
    let mut house = House::new(69, true);
    let holder = house.award("HARVEST", 0, 100);
    let line = |number: Option<&str>| {
        let brand = house.world.brand_of(id("HARVEST")).0;
        let token = house.world.token(brand, id("HARVEST"), "-", holder.account, 100, house.now);
        encode(&Award { reference: number.map(id), ..token.award() })
    };
    let lines = [line(Some("r-1")), line(None)];
    let (cid, now) = (house.cid(), house.now);
    let (brand, at) = house.world.brand_of(id("HARVEST"));
    let key = Key::derive(house.world.seed, &format!("{} issuing {at}", brand.id));
    let claims = house.world.batch(brand, id("HARVEST"), &cid, &lines, false, now);
    let seq = house.send(house.world.issue_batch(&key, &claims, &lines)).expect("taken in").seq;
    let dir = network(&house);
    let printed = json(dir.path(), &format!("claw-back {seq} --line 1 --reason error"));
    assert!(printed["award"].as_str().is_some_and(|text| text.contains("r-1")), "{printed}");
    let (code, out, err) = run(dir.path(), &format!("claw-back {seq} --line 2 --reason error"));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("no receipt's number (`ref`)") && err.contains("give each award a ref"), "{err}");
}

/// The words of a line of a table.
fn words<'a>(out: &'a str, begins: &str) -> Vec<&'a str> {
    let line = out.lines().find(|line| line.trim_start().starts_with(begins));
    line.unwrap_or_else(|| panic!("{begins}: {out}")).split_whitespace().collect()
}

#[test]
fn a_cycle_says_what_was_paid_lost_and_written_off_of_each_line() {
    let mut house = House::new(68, true);
    for unit in ["HARVEST", "KINO", "POLAR"] {
        house.award(unit, 0, 10_000_000);
    }
    house.now = house.now.plus_seconds(3 * DAY);
    for (shop, unit, amount) in [(2, "KINO", 30_000), (1, "HARVEST", 10_000), (0, "POLAR", 5_050)] {
        house.pay(shop, unit, 0, amount, true).expect("paid");
    }
    let cycle = house.seal();
    house.approve(cycle);
    house.pay_in(cycle);
    house.tolerate(200).expect("set");
    let (harvest, due) = house.instructions(cycle)[&id::<ParticipantId>("pa_harvest")].clone();
    let booked = house.booked(harvest, due.amount.get() - 200);
    house.statement(vec![booked]);
    house.instruct(harvest, InstructionStep::WriteOff).expect("written off");
    house.now = house.now.plus_seconds(9 * DAY);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    house.agreed("cycle.move", &step(cycle, Move::Cover)).expect("covered");
    house.pay_out(cycle).expect("orders leave");
    // What was written off is not on the account: the operator brings it.
    house.deposit(200);
    house.paid(cycle, Way::Out, &[]);
    let dir = network(&house);
    let (code, out, _) = run(dir.path(), &format!("cycle {cycle}"));
    assert_eq!(code, 0);
    let head: Vec<&str> = words(&out, "participant").into_iter().skip(6).collect();
    assert_eq!(head, ["paid", "drawn", "lost", "written", "off", "carried", "instruction"], "{out}");
    for who in ["pa_harvest", "pa_kino", "pa_polar"] {
        let line = house.line(cycle, who).expect("a line");
        let decimal =
            |n: i64| format!("{}{}.{:04}", if n < 0 { "-" } else { "" }, n.abs() / 10_000, n.abs() % 10_000);
        let sums = [line.paid, line.drawn, line.lost, line.written_off].map(|n| decimal(n.signed()));
        let told = words(&out, who);
        assert_eq!(told[3], decimal(line.amount), "{out}");
        assert_eq!(told[4..8], sums, "{out}");
    }
    let polar = house.line(cycle, "pa_polar").expect("a line");
    assert!(!polar.lost.is_zero() && !polar.paid.is_zero(), "{polar:?}");
    assert!(words(&out, "pa_harvest").ends_with(&["borne", "by", "pa_franchise"]), "{out}");
    let (_, csv, _) = run(dir.path(), &format!("cycle {cycle} --report"));
    let line = csv.lines().find(|line| line.contains(",pa_harvest,") && line.starts_with("line,"));
    assert!(line.is_some_and(|line| line.ends_with(",pa_franchise,")), "{csv}");
}

#[test]
fn the_lines_of_a_version_that_was_sent_back_say_so() {
    let mut house = contested();
    let objections = house.node.state.0.keys().filter_map(|name| match name {
        Name::Objection(id) => Some(*id),
        _ => None,
    });
    let objection = objections.last().expect("one");
    house.answer(objection, Answered::Accepted).expect("answered");
    let dir = network(&house);
    let (_, out, _) = run(dir.path(), "cycle 1");
    assert!(out.contains("version 1 was sent back (") && out.contains("version 2 is computed next"), "{out}");
    assert!(words(&out, "pa_kino").ends_with(&["of", "version", "1"]), "{out}");
    house.compute(1).expect("computed");
    let dir = network(&house);
    let (_, out, _) = run(dir.path(), "cycle 1");
    assert!(!out.contains("sent back") && !out.contains("of version 1"), "{out}");
}

/// A house in which a cycle was objected to and a payment is disputed.
fn contested() -> House {
    let mut house = House::new(67, true);
    house.award("HARVEST", 0, 10_000_000);
    house.now = house.now.plus_seconds(3 * DAY);
    let payment = house.pay(1, "HARVEST", 0, 40_000, true).expect("paid");
    let first = house.dispute(0, &over(payment, "HARVEST", 5_000, "not_ours")).expect("filed");
    house.argue(Some(0), first, DisputeStep::Withdraw).expect("taken back");
    let second = house.dispute(0, &over(payment, "HARVEST", 5_000, "fraud")).expect("filed");
    house.argue(None, second, DisputeStep::ChargeBack).expect("charged back");
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    let args = FileObjection {
        cycle,
        debtor: id("pa_harvest"),
        creditor: id("pa_kino"),
        currency: eur(),
        amount: money(100),
        payment: None,
        reason: id("not_ours"),
    };
    house.object(0, &args).expect("filed");
    house
}

#[test]
fn what_is_disputed_and_objected_to_is_listed_the_newest_first() {
    let house = contested();
    let dir = network(&house);
    let (code, out, _) = run(dir.path(), "disputes");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len()), (0, 3), "{out}");
    assert!(
        lines[1].contains("pa_harvest        pa_kino")
            && lines[1].contains("0.5000 EUR  charged_back      pa_kino           2026-"),
        "{out}"
    );
    assert!(lines[2].ends_with("withdrawn         -                 for its target"), "{out}");
    let open = json(dir.path(), "disputes --open --json");
    assert_eq!(
        (open.as_array().map(Vec::len), &open[0]["facts"]["stage"], &open[0]["awaited"]),
        (Some(1), &"charged_back".into(), &"pa_kino".into())
    );
    assert_eq!(json(dir.path(), "disputes --limit 1 --json").as_array().map(Vec::len), Some(1));
    let (_, out, _) = run(dir.path(), "disputes --objections --open");
    assert!(out.lines().nth(1).is_some_and(|line| line.ends_with("0.0100 EUR  open")), "{out}");
}

#[test]
fn an_unknown_name_is_said_to_be_unknown_and_not_to_have_nothing() {
    let house = contested();
    let dir = network(&house);
    for (line, about) in [
        (
            "journal --format csv --participant pa_nobody",
            "there is no participant pa_nobody; there is pa_franchise",
        ),
        ("cycle 1 pa_nobody", "there is no participant pa_nobody"),
        ("cycle 1 pa_nobody --report", "there is no participant pa_nobody"),
        ("report what-if pa_nobody", "there is no participant pa_nobody"),
        ("liability --unit NOBODYS", "there is no unit NOBODYS; there is HARVEST"),
        ("liability --currency USD", "USD is not a currency of the network; there is EUR"),
        ("prices NOBODYS", "there is no unit NOBODYS"),
        ("prices HARVEST --currency USD", "USD is not a currency"),
        ("fees --currency USD", "USD is not a currency"),
        ("cycle 9", "there is no cycle 9"),
    ] {
        let (code, out, err) = run(dir.path(), line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}: {err}");
        assert!(err.contains(about), "{line}: {err}");
    }
}
