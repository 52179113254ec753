//! Accounting over HTTP: the liability, the journal, and the lists of what is objected to and disputed; a brand's own alone.

use crate::common::dispute::over;
use crate::common::house::{House, eur, step};
use crate::common::http::{Ask, Reply, Server, api_config};
use crate::common::world::{id, money};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tallyhouse::clearing::{DisputeStep, FileObjection, Move, MoveCycle};
use tallyhouse::machine::Role;
use tallyhouse::vault::Whom;

struct Office {
    server: Server,
    analyst: String,
    harvest: String,
    polar: String,
}

impl Office {
    /// A cycle that harvest objected to twice, and four disputes of harvest's, one of which is over.
    fn open() -> Self {
        let mut house = House::new(23, true);
        for unit in ["HARVEST", "KINO", "POLAR"] {
            house.award(unit, 0, 10_000_000);
        }
        house.now = house.now.plus_seconds(3 * 86_400);
        let paid = house.pay(1, "HARVEST", 0, 40_000, true).expect("paid");
        let other = house.pay(2, "HARVEST", 0, 20_000, true).expect("paid");
        house.pay(2, "KINO", 0, 30_000, true).expect("paid");
        let filed: Vec<_> = [
            (paid, 100, "not_ours"),
            (paid, 200, "fraud"),
            (other, 300, "not_ours"),
            (paid, 400, "duplicate"),
        ]
        .into_iter()
        .map(|(of, amount, why)| house.dispute(0, &over(of, "HARVEST", amount, why)).expect("filed"))
        .collect();
        house.argue(Some(0), filed[1], DisputeStep::Withdraw).expect("taken back");
        let cycle = house.seal();
        house.compute(cycle).expect("computed");
        house.review(cycle);
        let objection = FileObjection {
            cycle,
            debtor: id("pa_harvest"),
            creditor: id("pa_kino"),
            currency: eur(),
            amount: money(100),
            payment: None,
            reason: id("not_ours"),
        };
        let first = house.object(0, &objection).expect("filed");
        house.object(0, &FileObjection { creditor: id("pa_polar"), ..objection }).expect("filed");
        house.answer(first, tallyhouse::book::Answered::Rejected).expect("answered");
        let back = MoveCycle { reason: Some(id("look-again")), ..step(cycle, Move::Return) };
        house.ask("cycle.move", &back).expect("returned");
        let server = Server::of(house.world, &house.node.asked, api_config());
        let brand = |brand: &str| server.api_key(Whom::Brand(id(brand)), Role::BrandFinance);
        let (harvest, polar) = (brand("br_harvest"), brand("br_polar"));
        let analyst = server.api_key(Whom::Operator, Role::Analyst);
        Self { server, analyst, harvest, polar }
    }

    fn get(&self, key: &str, target: &str) -> Reply {
        self.server.get_as(key, target)
    }

    fn csv(&self, key: &str, target: &str) -> String {
        let reply = self.server.ask(&Ask::get(target).key(key).with("accept", "text/csv"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    }
}

#[test]
fn what_an_objection_puts_off_is_billed_once_and_makes_gross_less() {
    let mut house = House::new(24, true);
    house.award("HARVEST", 0, 10_000_000);
    house.now = house.now.plus_seconds(3 * 86_400);
    house.pay(1, "HARVEST", 0, 40_000, true).expect("paid");
    house.pay(2, "HARVEST", 0, 20_000, true).expect("paid");
    let first = house.seal();
    house.compute(first).expect("computed");
    house.review(first);
    let objection = FileObjection {
        cycle: first,
        debtor: id("pa_harvest"),
        creditor: id("pa_kino"),
        currency: eur(),
        amount: money(10_000),
        payment: None,
        reason: id("not_ours"),
    };
    let filed = house.object(0, &objection).expect("filed");
    house.answer(filed, tallyhouse::book::Answered::Accepted).expect("answered");
    // All that is owed to polar goes on: then nobody bills it here.
    house.compute(first).expect("computed");
    house.review(first);
    let objection = FileObjection { creditor: id("pa_polar"), amount: money(19_000), ..objection };
    let filed = house.object(0, &objection).expect("filed");
    house.answer(filed, tallyhouse::book::Answered::Accepted).expect("answered");
    house.compute(first).expect("computed");
    let second = house.seal();
    let server = Server::of(house.world, &house.node.asked, api_config());
    let analyst = server.api_key(Whom::Operator, Role::Analyst);
    let report = |cycle: u64| {
        let report = server.get_as(&analyst, &format!("/v1/cycles/{cycle}/report")).expect(200);
        let side = &report["sides"][0];
        let documents = side["documents"].as_array().expect("documents").iter();
        let documents: Vec<Value> = documents
            .map(|one| {
                json!([one["number"], one["debt"]["creditor"], one["debt"]["amount"], one["debt"]["count"]])
            })
            .collect();
        (side["figures"]["gross"].clone(), documents)
    };
    let gross = |payments: u64, value: u64| json!({"payments": payments, "value": value});
    assert_eq!(report(first), (gross(1, 28_000), vec![json!([1, "pa_kino", 28_000, 1])]));
    let went = vec![json!([2, "pa_kino", 10_000, 1]), json!([3, "pa_polar", 19_000, 1])];
    assert_eq!(report(second), (gross(2, 29_000), went));
}

fn units(report: &Value) -> Vec<String> {
    let months = report["months"].as_array().expect("months").iter();
    let mut units: Vec<String> = months.map(|one| one["unit"].as_str().expect("a unit").to_owned()).collect();
    units.dedup();
    units
}

#[test]
fn the_liability_is_each_brands_own_and_all_of_it_the_analysts() {
    let office = Office::open();
    let path = "/v1/reports/liability";
    let all = office.get(&office.analyst, path).expect(200);
    assert!(units(&all).contains(&"KINO".to_owned()) && units(&all).len() >= 3, "{all}");
    let own = office.get(&office.harvest, path).expect(200);
    assert_eq!(units(&own), ["HARVEST"]);
    assert_eq!((&own["seq"], &own["checkpoint"]), (&all["seq"], &all["checkpoint"]));
    assert!(own["checkpoint"].as_str().expect("one").contains(" "), "{own}");
    let month = &own["months"][0];
    let number = |value: &Value| value.as_i64().expect("a number");
    let lines = month["lines"].as_array().expect("lines").iter().map(|line| number(&line["points"]));
    assert_eq!(number(&month["opening"]["points"]) + lines.sum::<i64>(), number(&month["closing"]["points"]));
    office.get(&office.harvest, &format!("{path}?unit=KINO")).refused(403, "not_yours");
    office.get(&office.analyst, &format!("{path}?unit=NOBODYS")).refused(404, "not_found");
    let no = office.get(&office.analyst, &format!("{path}?currency=USD")).refused(400, "query_invalid");
    assert!(no["detail"].as_str().expect("why").contains("EUR"), "{no}");
    office.get(&office.analyst, &format!("{path}?to=999999")).refused(400, "query_invalid");
    // As a table, on each basis, each row with the cut.
    let to = number(&own["seq"]) - 3;
    let text = office.csv(&office.harvest, &format!("{path}?deferred=true&vintages=true&to={to}"));
    let (head, rows) = text.split_once('\n').expect("a head");
    assert_eq!(head, "basis,unit,month,earned,line,points,currency,amount,cut,checkpoint");
    for basis in ["settlement,HARVEST,", "deferred,HARVEST,", "vintage,HARVEST,"] {
        assert!(rows.lines().any(|row| row.starts_with(basis)), "{basis}: {text}");
    }
    assert!(rows.lines().all(|row| row.contains(",HARVEST,") && row.contains(&format!(",{to},"))), "{text}");
    // An earlier cut is what it was then.
    let then = office.get(&office.harvest, &format!("{path}?to={to}")).expect(200);
    assert_eq!(then["seq"], json!(to));
    assert_ne!(then["checkpoint"], own["checkpoint"]);
}

#[test]
fn the_journal_is_each_participants_own_and_the_networks_the_analysts() {
    let office = Office::open();
    let path = "/v1/reports/journal";
    let network = office.get(&office.analyst, path).expect(200);
    let own = office.get(&office.harvest, path).expect(200);
    assert_eq!((&own["seq"], &own["checkpoint"]), (&network["seq"], &network["checkpoint"]));
    let mut balances: BTreeMap<(String, String), i64> = BTreeMap::new();
    for document in own["documents"].as_array().expect("documents") {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for one in document["postings"].as_array().expect("postings") {
            let text = |key: &str| one[key].as_str().expect(key).to_owned();
            let amount = one["amount"].as_i64().expect("an amount");
            *sums.entry(text("commodity")).or_default() += amount;
            *balances.entry((text("account"), text("commodity"))).or_default() += amount;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{document}");
    }
    let owed = |report: &Value, account: &str| {
        let closing = report["closing"].as_array().expect("balances").iter();
        closing.filter(|one| one["account"] == account).map(|one| one["amount"].as_i64().expect("one")).sum()
    };
    let closing: i64 = owed(&own, "Assets:Clearing:P-kino");
    assert_eq!(balances[&("Assets:Clearing:P-kino".to_owned(), "EUR".to_owned())], closing);
    assert_eq!(closing, owed(&network, "Assets:Clearing:P-harvest:P-kino"));
    assert!(closing < 0 && !own.to_string().contains("Points:KINO"), "{closing}");
    // Whose it is: a brand's own, whatever it asks for.
    office.get(&office.harvest, &format!("{path}?participant=pa_harvest")).expect(200);
    office.get(&office.harvest, &format!("{path}?participant=pa_kino")).refused(403, "not_yours");
    office.get(&office.analyst, &format!("{path}?participant=pa_nobody")).refused(404, "not_found");
    office.get(&office.analyst, &format!("{path}?from=9&to=3")).refused(400, "query_invalid");
    let asked = office.get(&office.analyst, &format!("{path}?participant=pa_harvest")).expect(200);
    assert_eq!(asked, own);
    // As programs read it: the same batch, and what they compare at the end.
    let batch = own["batch"].as_str().expect("a batch");
    let rows = office.csv(&office.harvest, path);
    assert!(rows.starts_with("batch,document,line,document_date,") && rows.contains(batch), "{rows}");
    let text = office.get(&office.harvest, &format!("{path}?for=hledger")).text();
    assert!(text.contains(&format!("; batch: {batch}")) && text.contains("balances after entry"), "{text}");
    let text = office.get(&office.harvest, &format!("{path}?for=beancount")).text();
    assert!(text.contains(batch) && text.contains(" balance Assets:Clearing:P-kino"), "{text}");
    office.get(&office.harvest, &format!("{path}?for=paper")).refused(400, "query_invalid");
}

#[test]
fn a_brand_gets_the_journal_in_its_own_chart_of_accounts() {
    let office = Office::open();
    let path = "/v1/reports/journal";
    let chart = json!([{"ledger": "Assets", "account": "1400", "cost_centre": "c7"},
        {"ledger": "Assets:Clearing:P-kino", "account": "1410", "tax_code": "V0"},
        {"ledger": "Expenses", "account": "6300"}, {"ledger": "Liabilities", "account": "1700"},
        {"ledger": "Income", "account": "4100"}]);
    let ask = |key: &str, body: Value| office.server.ask(&Ask::post(path).key(key).json(&body));
    let asked = ask(&office.harvest, json!({"chart": chart}));
    assert_eq!(asked.status, 200, "{}", asked.text());
    assert_eq!(asked.header("content-type"), Some("text/csv"));
    let (charted, plain) = (asked.text(), office.csv(&office.harvest, path));
    assert_eq!(charted.lines().count(), plain.lines().count());
    for (row, own) in charted.lines().zip(plain.lines()).skip(1) {
        let (row, own): (Vec<&str>, Vec<&str>) = (row.split(',').collect(), own.split(',').collect());
        let (account, wanted) = (
            &row[5..8],
            match own[5] {
                "Assets:Clearing:P-kino" => ["1410", "", "V0"],
                ledger if ledger.starts_with("Assets") => ["1400", "c7", ""],
                ledger if ledger.starts_with("Expenses") => ["6300", "", ""],
                ledger if ledger.starts_with("Liabilities") => ["1700", "", ""],
                _ => ["4100", "", ""],
            },
        );
        assert_eq!(account, wanted, "{own:?}");
        assert_eq!((&row[..5], &row[8..]), (&own[..5], &own[8..]), "all else is as it was");
    }
    assert!(charted.contains(",1410,,V0,"), "{charted}");
    // An account that the chart lacks is named, and nobody sees what is another's.
    let no = ask(&office.harvest, json!({"chart": [chart[0]]})).refused(400, "body_invalid");
    assert!(no["detail"].as_str().expect("why").contains("the chart has no row for "), "{no}");
    let no = ask(&office.harvest, json!({"chart": [chart[0], chart[0]]})).refused(400, "body_invalid");
    assert!(no["detail"].as_str().expect("why").contains("row 2 of the chart: Assets stands in"), "{no}");
    ask(&office.harvest, json!({"chart": chart, "participant": "pa_kino"})).refused(403, "not_yours");
    ask(&office.analyst, json!({"chart": chart, "participant": "pa_nobody"})).refused(404, "not_found");
    ask(&office.analyst, json!({"chart": chart, "from": 9, "to": 3})).refused(400, "query_invalid");
    let analysts = ask(&office.analyst, json!({"chart": chart, "participant": "pa_harvest"}));
    assert_eq!(analysts.text(), charted);
}

fn amounts(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|one| one["facts"]["amount"].as_u64().expect("an amount")).collect()
}

#[test]
fn disputes_are_listed_newest_first_for_whom_they_are_about() {
    let office = Office::open();
    let path = "/v1/disputes";
    assert_eq!(amounts(&office.get(&office.analyst, path).expect(200)), [400, 300, 200, 100]);
    assert_eq!(amounts(&office.get(&office.harvest, path).expect(200)), [400, 300, 200, 100]);
    assert_eq!(amounts(&office.get(&office.polar, path).expect(200)), [300]);
    let told = |query: &str| amounts(&office.get(&office.analyst, &format!("{path}?{query}")).expect(200));
    assert_eq!(told("open=true"), [400, 300, 100]);
    assert_eq!((told("open=false"), told("stage=withdrawn")), (vec![200], vec![200]));
    // Page by page, whatever was filed in between.
    let first = office.get(&office.analyst, &format!("{path}?open=true&limit=2")).expect(200);
    assert_eq!(amounts(&first), [400, 300]);
    let next = first["next"].as_str().expect("more");
    let second = office.get(&office.analyst, &format!("{path}?open=true&limit=2&cursor={next}")).expect(200);
    assert_eq!((amounts(&second), &second["next"]), (vec![100], &Value::Null));
    office.get(&office.analyst, &format!("/v1/objections?cursor={next}")).refused(400, "cursor_invalid");
    office.get(&office.analyst, &format!("{path}?stage=lost")).refused(400, "query_invalid");
    let one = &first["items"][0];
    let shown = office.get(&office.harvest, &format!("{path}/{}", one["dispute"].as_str().expect("an id")));
    assert_eq!(&shown.expect(200), one);
}

#[test]
fn objections_are_listed_by_cycle_and_by_what_became_of_them() {
    let office = Office::open();
    let path = "/v1/objections";
    let creditors = |key: &str, query: &str| -> Vec<String> {
        let page = office.get(key, &format!("{path}?{query}")).expect(200);
        let items = page["items"].as_array().expect("items").iter();
        items.map(|one| one["facts"]["creditor"].as_str().expect("one").to_owned()).collect()
    };
    assert_eq!(creditors(&office.analyst, ""), ["pa_polar", "pa_kino"]);
    assert_eq!(creditors(&office.harvest, "cycle=1"), ["pa_polar", "pa_kino"]);
    assert_eq!(creditors(&office.polar, ""), ["pa_polar"]);
    assert_eq!(creditors(&office.analyst, "state=open"), ["pa_polar"]);
    assert_eq!(creditors(&office.analyst, "state=rejected"), ["pa_kino"]);
    assert_eq!(creditors(&office.analyst, "state=accepted"), Vec::<String>::new());
    assert_eq!(creditors(&office.analyst, "cycle=2"), Vec::<String>::new());
    office.get(&office.analyst, &format!("{path}?state=maybe")).refused(400, "query_invalid");
}
