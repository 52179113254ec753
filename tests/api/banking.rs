//! The house's bank over HTTP: details, notices, orders, what the bank says; and what a crash between log and file does.

#[path = "house.rs"]
mod house;

use crate::common::funds::second_analyst;
use crate::common::house::{House, eur, step};
use crate::common::http::{Ask, Reply, Server, api_config};
use crate::common::world::{Key, id};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tallyhouse::clearing::{
    AcceptStatement, Balance, Line, Move, MoveCycle, Reference, SaltedDetails, Statement, StatementKind,
};
use tallyhouse::config::Api;
use tallyhouse::formats::write_statement_csv;
use tallyhouse::machine::{Request, Role};
use tallyhouse::types::{Hash, Time, b64};
use tallyhouse::vault::Whom;

const HOUSE: &str = "DE89370400440532013000";
const IBANS: [&str; 3] = ["GB29NWBK60161331926819", "FR1420041010050500013M02606", "AT611904300234573201"];

/// A network in which a cycle asks payers to pay, served; who works there.
pub struct Office {
    pub server: Server,
    pub analyst: Key,
    pub approvers: Vec<Key>,
    /// An analyst's API key.
    pub reads: String,
    folder: tempfile::TempDir,
}

pub fn salted(n: usize, participant: &str) -> SaltedDetails {
    let details = json!({"participant": participant, "currency": "EUR", "name": format!("Firma {n} & Söhne"), "iban": IBANS[n]});
    serde_json::from_value(json!({"salt": b64(&[n as u8; 32]), "details": details})).expect("details")
}

impl Office {
    /// Who is paid gave details, if `all`; else it has none. The vault has none before they are kept.
    pub fn open(all: bool) -> Self {
        Self::after(all, |house, cycle| {
            house.approve(cycle);
            house.pay_in(cycle);
        })
    }

    /// The same, with a cycle of which this much was done once it was sealed.
    pub fn after(all: bool, then: impl FnOnce(&mut House, u64)) -> Self {
        let mut house = House::new(17, true);
        for request in house.world.approving() {
            house.send(request).expect("certified");
        }
        let another = second_analyst(&house.world);
        house.send(another).expect("certified");
        for unit in ["HARVEST", "KINO", "POLAR"] {
            house.award(unit, 0, 10_000_000);
        }
        house.now = house.now.plus_seconds(3 * 86_400);
        for (shop, unit, amount) in [(2, "KINO", 30_000), (1, "HARVEST", 10_000), (0, "POLAR", 5_050)] {
            house.pay(shop, unit, 0, amount, true).expect("paid");
        }
        if all {
            for (n, who) in ["pa_harvest", "pa_kino", "pa_polar"].into_iter().enumerate() {
                house.details(n, 1, salted(n, who).commitment());
            }
        }
        let cycle = house.seal();
        then(&mut house, cycle);
        let folder = tempfile::tempdir().expect("a folder");
        let accounts = folder.path().join("accounts.toml");
        let text = format!("[EUR]\nname = \"The House\"\niban = \"{HOUSE}\"\nbic = \"COBADEFF\"\n");
        std::fs::write(&accounts, text).expect("written");
        let config = Api { settlement_accounts: accounts.display().to_string(), ..api_config() };
        let (analyst, approvers) = (house.analyst, house.approvers);
        let server = Server::of(house.world, &house.node.asked, config);
        let reads = server.api_key(Whom::Operator, Role::Analyst);
        Self { server, analyst, approvers, reads, folder }
    }

    pub fn get(&self, target: &str) -> Reply {
        self.server.get_as(&self.reads, target)
    }

    fn post(&self, target: &str, body: &Value) -> Reply {
        self.server.ask(&Ask::post(target).key(&self.reads).json(body))
    }

    /// Keeps what the log has commitments to.
    pub fn keep(&self) {
        for (n, who) in ["pa_harvest", "pa_kino", "pa_polar"].into_iter().enumerate() {
            let (salted, root) = (salted(n, who), &self.server.world.brands[n].root);
            let body = serde_json::to_value(&salted).expect("JSON");
            let kept =
                self.server.signed_post(root, "/v1/bank-details:keep", &self.server.fresh("keep"), &body);
            let kept = self.server.ask(&kept).expect(201);
            assert_eq!(kept["commitment"], json!(salted.commitment()));
        }
    }

    pub fn command(
        &self,
        key: &Key,
        by: &[Key],
        kind: &str,
        path: &str,
        args: &impl serde::Serialize,
    ) -> Reply {
        let world = &self.server.world;
        let first = world.command(key, &self.server.fresh("bank"), kind, args);
        let approvals = by.iter().map(|key| world.approve(key, &first));
        let request = Request::of(std::iter::once(first.clone()).chain(approvals).collect());
        let reply = self.server.submit(path, &request);
        self.server.service().engine().settle().expect("settled");
        reply
    }

    /// With two approvers of the operator, and the root of Kino's brand if it consents.
    pub fn agreed(&self, kind: &str, path: &str, args: &impl serde::Serialize, consents: bool) -> Reply {
        let world = &self.server.world;
        let first = world.command(&self.analyst, &self.server.fresh("bank"), kind, args);
        let own = Some(&world.brands[1].root).filter(|_| consents);
        let by = self.approvers[..2].iter().chain(own);
        let approvals = by.map(|key| world.approve(key, &first));
        let request = Request::of(std::iter::once(first.clone()).chain(approvals).collect());
        let reply = self.server.submit(path, &request);
        self.server.service().engine().settle().expect("settled");
        reply
    }

    pub fn sent(&self, kind: &str, path: &str, args: &impl serde::Serialize) -> Reply {
        self.command(&self.analyst, &[], kind, path, args)
    }

    pub fn pay_out(&self, sha256: &str) -> Reply {
        let file = Some(Hash::parse(sha256).expect("a hash"));
        let args = MoveCycle { currency: Some(eur()), file, ..step(1, Move::PayOut) };
        self.command(&self.analyst, &self.approvers[..2], "cycle.move", "/v1/cycles/moves", &args)
    }

    pub fn file(&self) -> Reply {
        let ask = Ask::get("/v1/cycles/1/orders/EUR").key(&self.reads);
        self.server.ask(&ask.with("accept", "application/xml"))
    }

    /// A statement of the bank's: imported as matched, accepted by somebody else.
    pub fn booked(&self, name: &str, opening: i64, lines: Vec<Line>) -> Value {
        let read = self.read(name, opening, lines);
        for import in read["imports"].as_array().expect("imports") {
            self.sent("statement.import", "/v1/bank-statements", import).expect(201);
            let args = AcceptStatement {
                currency: eur(),
                statement: id(import["statement"].as_str().expect("a name")),
            };
            let path = "/v1/bank-statements/acceptances";
            self.command(&self.approvers[0], &[], "statement.accept", path, &args).expect(201);
        }
        read
    }

    pub fn read(&self, name: &str, opening: i64, lines: Vec<Line>) -> Value {
        let on = "2026-12-01".parse().expect("a date");
        let closing = opening + lines.iter().map(|line| line.amount).sum::<i64>();
        let statement = Statement {
            kind: StatementKind::Statement,
            id: name.into(),
            number: None,
            account: HOUSE.into(),
            currency: eur(),
            opening: Some(Balance { amount: opening, on }),
            closing: Some(Balance { amount: closing, on }),
            lines,
        };
        let csv = String::from_utf8(write_statement_csv(&statement, 2).expect("written")).expect("UTF-8");
        let read = self.post("/v1/bank-statements:match", &json!({"document": csv})).expect(200);
        read["items"][0].clone()
    }

    pub fn stage(&self) -> String {
        self.get("/v1/cycles/1").expect(200)["stage"].as_str().expect("a stage").to_owned()
    }

    /// The program, on the folder of a server that was stopped.
    fn tool(&self, line: &str) -> Command {
        let config = self.folder.path().join("node.toml");
        let accounts = self.folder.path().join("accounts.toml");
        let text = format!("[api]\nsettlement_accounts = \"{}\"\n", accounts.display());
        let store = self.server.database().map(|at| format!("[store]\ndatabase = \"{at}\"\n"));
        std::fs::write(&config, text + &store.unwrap_or_default()).expect("written");
        let mut tool = Command::new(env!("CARGO_BIN_EXE_tallyhouse"));
        tool.arg("--data").arg(self.server.dir()).arg("--config").arg(config).args(line.split_whitespace());
        tool
    }
}

pub fn line(entry: &str, amount: i64, end_to_end: Option<&str>, reference: Option<&str>) -> Line {
    Line {
        entry: entry.into(),
        unnamed: false,
        detail: 0,
        booked: "2026-12-01".parse().expect("a date"),
        amount,
        reversal: false,
        return_reason: None,
        end_to_end: end_to_end.map(str::to_owned),
        reference: reference.map(|text| text.parse::<Reference>().expect("a reference")),
        mistyped: None,
        text: None,
        name: Some("Somebody".into()),
        account: None,
    }
}

pub fn sha256(reply: &Reply) -> String {
    Hash::sha256(&reply.body).to_string()
}

pub fn cents(text: &Value) -> i64 {
    text.as_str().expect("a decimal").replace('.', "").parse().expect("cents")
}

/// Pays what the notices ask for, by their references.
pub fn pay_in(office: &Office) -> i64 {
    let notices = office.get("/v1/cycles/1/notices/EUR").expect(200);
    let notices = notices["items"].as_array().expect("notices").clone();
    assert_eq!(notices.len(), 2, "{notices:?}");
    // Money without a reference may be somebody's: who that is, is named as everywhere else.
    let guess = office.read("GUESS", 0, vec![line("G", cents(&notices[0]["amount"]), None, None)]);
    let candidates = &guess["exceptions"][0]["exception"]["candidates"];
    assert_eq!(candidates, &json!([notices[0]["instruction"]]), "{guess}");
    // What a person looks at has amounts as the notice has; what is signed has them as the log does.
    let (asked, doubt) = (&notices[0]["amount"], &guess["exceptions"][0]);
    assert_eq!((&doubt["exception"]["amount"], &doubt["line"]["amount"]), (asked, asked), "{guess}");
    assert_eq!(guess["imports"][0]["lines"][0]["amount"], json!(cents(asked) * 100), "{guess}");
    let paid = |(n, one): (usize, &Value)| {
        line(&format!("IN{n}"), cents(&one["amount"]), None, one["reference"].as_str())
    };
    let lines: Vec<Line> = notices.iter().enumerate().map(paid).collect();
    let sum = lines.iter().map(|line| line.amount).sum();
    let read = office.booked("IN", 0, lines);
    assert_eq!((&read["matched"], &read["exceptions"]), (&json!(2), &json!([])), "{read}");
    assert_eq!(office.stage(), "funded");
    // Who has paid is not asked again.
    assert_eq!(office.get("/v1/cycles/1/notices/EUR").expect(200)["items"], json!([]));
    sum
}

#[test]
fn orders_leave_once_they_are_in_the_log_and_are_the_same_after_every_crash() {
    let mut office = Office::open(true);
    // The log has commitments, the vault nothing yet.
    office.get("/v1/cycles/1/orders/EUR").refused(409, "not_ready");
    office.keep();
    let sum = pay_in(&office);
    let shown = office.get("/v1/cycles/1/orders/EUR").expect(200);
    let hash = shown["sha256"].as_str().expect("a hash").to_owned();
    assert_eq!((shown["released"].clone(), shown["sum"].clone()), (json!(false), json!(sum * 100)));
    assert_eq!(shown["payments"][0]["account"], "…3201", "pa_polar's");
    let early = office.file().refused(409, "not_ready");
    assert!(early["detail"].as_str().expect("why").contains(&hash), "{early}");
    // Approved for another file: this one does not leave.
    office
        .command(
            &office.analyst,
            &office.approvers[..1],
            "cycle.move",
            "/v1/cycles/moves",
            &MoveCycle { currency: Some(eur()), file: Hash::parse(&hash).ok(), ..step(1, Move::PayOut) },
        )
        .refused(422, "people_missing");
    office.file().refused(409, "not_ready");
    office.pay_out(&hash).expect(201);
    // A crash between commit and file: nothing left yet, and the file is made again.
    office.server.restart();
    let file = office.file();
    assert_eq!((file.status, sha256(&file)), (200, hash.clone()));
    // Between file and acknowledgement: the bank gets it twice, with one message id and one EndToEndId a payment.
    office.server.restart();
    assert_eq!(office.file().body, file.body);
    office.pay_out(&hash).refused(422, "cycle_stage");
    let text = file.text();
    let order = shown["payments"][0]["instruction"].as_str().expect("an id").replace('_', "-");
    assert_eq!(text.matches(&format!("<EndToEndId>{order}</EndToEndId>")).count(), 1, "{text}");
    for part in ["Firma 2 + Soehne", IBANS[2], HOUSE, "<BICFI>COBADEFF"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let message = text.split("<MsgId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    acknowledged(&office, message, &order);
    // The bank carries it out; what it says twice counts once, and what it pays twice is noticed.
    let out = line("OUT1", -sum, Some(&order), None);
    office.booked("OUT", sum, vec![out.clone()]);
    assert_eq!(office.get("/v1/cycles/1").expect(200)["sums"][0]["paid_out"], json!(sum * 100));
    let again = office.read("OUT", sum, vec![out.clone()]);
    assert_eq!(
        (&again["exceptions"][0]["exception"]["why"], &again["imports"]),
        (&json!("statement_twice"), &json!([]))
    );
    let told = office.read("LATER", 0, vec![line("NEW", sum, None, None), out]);
    assert_eq!(
        (&told["repeated"], &told["exceptions"][0]["exception"]["why"]),
        (&json!(1), &json!("unknown_reference"))
    );
    let twice =
        office.read("TWICE", 0, vec![line("NEW", sum, None, None), line("OUT2", -sum, Some(&order), None)]);
    assert_eq!(twice["exceptions"][1]["exception"]["why"], "paid_already", "{twice}");
    let (euros, rest) = (sum / 100, sum % 100);
    assert_eq!(twice["exceptions"][1]["line"]["amount"], json!(format!("-{euros}.{rest:02}")), "{twice}");
    office.sent("cycle.move", "/v1/cycles/moves", &step(1, Move::Settle)).expect(201);
    assert_eq!(office.stage(), "settled");
    let no = office.get("/v1/cycles/1/notices/EUR").refused(409, "not_ready");
    assert!(no["detail"].as_str().expect("why").contains("asks nobody to pay any more"), "{no}");
    reported(&office);
    killed(office, &file.body);
}

/// The final report, for the house and for one brand: its nets are those of the lines, its entries have proofs.
fn reported(office: &Office) {
    let report = office.get("/v1/cycles/1/report").expect(200);
    assert_eq!((&report["stage"], report["lines"].as_array().map(Vec::len)), (&json!("settled"), Some(3)));
    let documents = report["sides"][0]["documents"].as_array().expect("documents").clone();
    let numbers: Vec<u64> = documents.iter().map(|one| one["number"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let gross: u64 = documents.iter().map(|one| one["debt"]["amount"].as_u64().expect("an amount")).sum();
    assert_eq!(report["sides"][0]["figures"]["gross"]["value"], json!(gross));
    for one in report["entries"].as_array().expect("entries") {
        let seq = one["seq"].as_u64().expect("a number");
        assert!(seq < report["cut"].as_u64().expect("a number"));
        office.server.get(&format!("/v1/entries/{seq}/proof")).expect(200);
    }
    let csv =
        office.server.ask(&Ask::get("/v1/cycles/1/report").key(&office.reads).with("accept", "text/csv"));
    assert!(csv.text().starts_with("record,cycle,currency,number"), "{}", csv.text());
    assert_eq!(csv.text().lines().count(), 1 + 1 + 3 + 3 + 3 + 3);
    let kino = office.server.api_key(Whom::Brand(id("br_kino")), Role::BrandFinance);
    let own = office.server.get_as(&kino, "/v1/cycles/1/report").expect(200);
    assert_eq!(
        (own["lines"].as_array().map(Vec::len), own["entries"].as_array().map(Vec::len)),
        (Some(1), Some(2))
    );
    assert!(!own.to_string().contains("pa_polar\",\"currency\":\"EUR\",\"net"), "{own}");
    // Its own documents, under the numbers that they have, and no sum over others.
    let side = &own["sides"][0];
    let numbers: Vec<_> =
        side["documents"].as_array().expect("documents").iter().map(|one| &one["number"]).collect();
    assert_eq!((numbers.len(), &side["figures"], &side["set_off"]), (2, &Value::Null, &Value::Null), "{own}");
    let csv =
        office.server.ask(&Ask::get("/v1/cycles/1/report").key(&kino).with("accept", "text/csv")).text();
    assert!(csv.contains("\nline,1,") && !csv.contains("\nfigure,"), "{csv}");
    office.get("/v1/cycles/2/report").refused(409, "not_ready");
    tabled(office);
}

/// Reports as tables: as many rows as the JSON has items, each with the cut and the checkpoint of the same answer.
fn tabled(office: &Office) {
    for (path, head) in [
        ("aging", "debtor,creditor,currency,open,to_30_days,to_60,to_90,older,total,disputed,cut,checkpoint"),
        ("exposure", "participant,currency,position,debt,reserved,limit,headroom,state,cut,checkpoint"),
        ("what-if/pa_kino", "cycle,stage,currency,not_paid,borne_by,amount,settled,cut,checkpoint"),
    ] {
        let path = format!("/v1/reports/{path}");
        let report = office.get(&path).expect(200);
        let reply = office.server.ask(&Ask::get(path.as_str()).key(&office.reads).with("accept", "text/csv"));
        let text = reply.text();
        let (first, rows) = text.split_once('\n').expect("a head");
        assert_eq!((reply.status, first), (200, head));
        let rows: Vec<&str> = rows.lines().collect();
        assert_eq!(rows.len(), report["items"].as_array().expect("items").len(), "{path}");
        let (seq, checkpoint) = (&report["cut"]["seq"], report["cut"]["checkpoint"].as_str().expect("one"));
        assert!(rows.iter().all(|row| row.ends_with(&format!(",{seq},{checkpoint}"))), "{text}");
        let kino = office.server.api_key(Whom::Brand(id("br_kino")), Role::BrandFinance);
        let foreign = Ask::get(path.as_str()).key(&kino).with("accept", "text/csv");
        office.server.ask(&foreign).refused(403, "not_yours");
    }
}

/// What the bank says of the message, and of the payment.
fn acknowledged(office: &Office, message: &str, order: &str) {
    let report = |of: &str| {
        format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>R-1</MsgId></GrpHdr>{of}</CstmrPmtStsRpt></Document>"
        )
    };
    let original = |status: &str| {
        format!("<OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>{status}</OrgnlGrpInfAndSts>")
    };
    let read =
        |document: String| office.post("/v1/status-reports:read", &json!({"document": document})).expect(200);
    let whole = read(report(&original("<GrpSts>ACCP</GrpSts>")));
    let one = read(report(&format!(
        "{}<OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}-1</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>{order}</OrgnlEndToEndId><TxSts>ACSP</TxSts></TxInfAndSts><TxInfAndSts><OrgnlEndToEndId>ins-9.9</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts></OrgnlPmtInfAndSts>",
        original("")
    )));
    assert_eq!(whole["moves"], one["moves"]);
    assert_eq!(one["moves"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(one["others"][0]["name"], "ins-9.9");
    office.sent("instruction.move", "/v1/instructions/moves", &one["moves"][0]).expect(201);
    // Said again, it makes no step again.
    assert_eq!(read(report(&original("<GrpSts>ACCP</GrpSts>")))["moves"], json!([]));
}

/// The program writes the same file, however often it is killed on the way: either it is not there or it is whole.
fn killed(mut office: Office, wanted: &[u8]) {
    office.server.stop();
    let out: PathBuf = office.folder.path().join("orders.xml");
    let line = format!("bank orders 1 --currency EUR --out {}", out.display());
    let mut seen = 0;
    for wait in [0, 2, 5, 10, 20, 40] {
        let mut child =
            office.tool(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().expect("ends");
        if let Ok(bytes) = std::fs::read(&out) {
            assert_eq!(bytes, wanted, "after {wait} ms");
            seen += 1;
        }
    }
    // What a kill may leave behind is in nobody's way.
    std::fs::write(out.with_file_name("orders.xml.new"), &wanted[..wanted.len() / 2]).expect("written");
    let output = office.tool(&line).output().expect("runs");
    assert!(output.status.success(), "{seen}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read(&out).expect("there"), wanted);
    let output = office.tool(&format!("{line} --on 2027-01-04")).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "another day is another file");
    let output = office.tool("bank details pa_polar --currency EUR").output().expect("runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(said.contains(IBANS[2]) && said.contains("counts from cycle 1"), "{said}");
}

/// A notification (camt.054) of pay-ins: the bank's reference, cents and the payer's reference of each.
fn notification(id: &str, all: &[(Option<&str>, i64, &str)]) -> String {
    let entry = |(named, cents, reference): &(Option<&str>, i64, &str)| {
        let named = named.map(|named| format!("<AcctSvcrRef>{named}</AcctSvcrRef>")).unwrap_or_default();
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        format!(
            "<Ntry><NtryRef>1</NtryRef><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-12-01</Dt></BookgDt>{named}<NtryDtls><TxDtls><RmtInf><Strd><CdtrRefInf><Ref>{reference}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry>"
        )
    };
    let entries: String = all.iter().map(entry).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.054.001.08\"><BkToCstmrDbtCdtNtfctn><Ntfctn><Id>{id}</Id><Acct><Id><IBAN>{HOUSE}</IBAN></Id><Ccy>EUR</Ccy></Acct>{entries}</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    )
}

#[test]
fn a_notification_confirms_and_the_statement_that_repeats_it_does_not_count_again() {
    let office = Office::open(false);
    let notices = office.get("/v1/cycles/1/notices/EUR").expect(200);
    let of = |n: usize| {
        let one = &notices["items"][n];
        (cents(&one["amount"]), one["reference"].as_str().expect("a reference").to_owned())
    };
    let ((first, one), (second, other)) = (of(0), of(1));
    let read = |document: &str| {
        office.post("/v1/bank-statements:match", &json!({"document": document})).expect(200)["items"][0]
            .clone()
    };
    let document = notification("N-1", &[(Some("IN0"), first, &one), (None, second, &other)]);
    let told = read(&document);
    assert_eq!((&told["kind"], &told["matched"]), (&json!("notification"), &json!(1)), "{told}");
    assert_eq!(told["exceptions"][0]["exception"]["why"], "unnamed");
    let import = &told["imports"][0];
    assert_eq!((import["lines"].as_array().map(Vec::len), import.get("opening")), (Some(1), None), "{told}");
    office.sent("statement.import", "/v1/bank-statements", import).expect(201);
    let args =
        AcceptStatement { currency: eur(), statement: id(import["statement"].as_str().expect("a name")) };
    let path = "/v1/bank-statements/acceptances";
    office.command(&office.analyst, &[], "statement.accept", path, &args).refused(422, "people_missing");
    let paid_in = || office.get("/v1/cycles/1").expect(200)["sums"][0]["paid_in"].clone();
    assert_eq!(paid_in(), json!(0), "imported is not accepted");
    // In a currency in which the house has no account, it says which setting names one.
    let francs = json!({"document": document.replace("EUR", "CHF")});
    let none = office.post("/v1/bank-statements:match", &francs).refused(409, "not_ready");
    assert!(none["detail"].as_str().is_some_and(|why| why.contains("`api.settlement_accounts`")), "{none}");
    office.command(&office.approvers[0], &[], "statement.accept", path, &args).expect(201);
    assert_eq!(paid_in(), json!(first * 100));
    let again = read(&document);
    assert_eq!(
        (&again["exceptions"][0]["exception"]["why"], &again["imports"]),
        (&json!("statement_twice"), &json!([]))
    );
    // In another notification it is known, and there is nothing to import.
    let again = read(&notification("N-2", &[(Some("IN0"), first, &one)]));
    assert_eq!((&again["repeated"], &again["imports"]), (&json!(1), &json!([])), "{again}");
    // The statement has both; the account's balance is its word alone.
    let lines = vec![line("IN0", first, None, Some(&one)), line("IN1", second, None, Some(&other))];
    let told = office.booked("S-1", 0, lines);
    assert_eq!((&told["repeated"], &told["matched"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(paid_in(), json!((first + second) * 100));
    assert_eq!(office.stage(), "funded");
}

#[test]
fn a_sandbox_stands_still_until_one_of_the_operators_people_moves_it_on() {
    let office = Office::open(false);
    let world = &office.server.world;
    let time =
        || office.server.get("/v1/network").expect(200)["time"].as_str().expect("an instant").to_owned();
    let before: Time = time().parse().expect("an instant");
    let sealed = |key: &Key, kind: &str, path: &str, args: Value, at: String| {
        let jws = [world.command(key, &office.server.fresh("later"), kind, &args)];
        office.server.ask(&Ask::statements(path, &jws).with("tallyhouse-time", at))
    };
    let seal = |at: String| sealed(&office.analyst, "cycle.seal", "/v1/cycles", json!({"cycle": 2}), at);
    let root = &world.brands[0].root;
    let tax = json!({"participant": "pa_harvest", "version": 1, "service": "redemption", "tax": {"category": "exempt", "rate": 0}});
    let later = before.plus_seconds(40 * 86_400).to_string();
    sealed(root, "tax.publish", "/v1/tax", tax, later.clone()).refused(403, "not_yours");
    seal("tomorrow".into()).refused(400, "header_invalid");
    seal(before.plus_seconds(367 * 86_400).to_string()).refused(400, "header_invalid");
    assert_eq!(time(), before.to_string());
    // What falls due on the way is booked first, at that instant; the command is the next.
    let at = seal(later.clone()).expect(201)["at"].as_str().expect("an instant").to_owned();
    assert_eq!(at[..19], later[..19]);
    let early = sealed(&office.analyst, "cycle.seal", "/v1/cycles", json!({"cycle": 3}), before.to_string());
    early.refused(422, "time_backwards");
    let then: Time = time().parse().expect("an instant");
    assert_eq!(then.seconds(), before.seconds() + 40 * 86_400);
    // What stands in the log anybody can send again: it moves nothing.
    let jws = [world.command(&office.analyst, "sent-again", "cycle.seal", &json!({"cycle": 3}))];
    let send = |at: Time| {
        office.server.ask(&Ask::statements("/v1/cycles", &jws).with("tallyhouse-time", at.to_string()))
    };
    let first = send(then.plus_seconds(60)).expect(201);
    let moved = time();
    assert_eq!(send(then.plus_seconds(30 * 86_400)).expect(201)["seq"], first["seq"]);
    assert_eq!(time(), moved);
}

#[test]
fn without_bank_details_nothing_leaves_and_nobody_reads_what_is_not_theirs() {
    let office = Office::open(false);
    // A payer reads its own notice, a receiver none.
    let brand = |n: usize| {
        office.server.api_key(Whom::Brand(office.server.world.brands[n].id.clone()), Role::BrandFinance)
    };
    let (kino, polar) = (brand(1), brand(2));
    let own = office.server.get_as(&kino, "/v1/cycles/1/notices/EUR").expect(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(own["items"][0]["participant"], "pa_kino");
    assert_eq!(office.server.get_as(&polar, "/v1/cycles/1/notices/EUR").expect(200)["items"], json!([]));
    pay_in(&office);
    let no = office.get("/v1/cycles/1/orders/EUR").refused(409, "not_ready");
    assert!(
        no["detail"].as_str().expect("why").contains("does not have version 1 of pa_polar's bank details"),
        "{no}"
    );
    office.get("/v1/cycles/1/orders/USD").refused(409, "not_ready");
    office.get("/v1/cycles/9/orders/EUR").refused(409, "not_ready");
    // Orders and statements are the operator's.
    office.server.get_as(&kino, "/v1/cycles/1/orders/EUR").refused(403, "not_yours");
    let ask = Ask::post("/v1/bank-statements:match").key(&kino).json(&json!({"document": "x"}));
    office.server.ask(&ask).refused(403, "not_yours");
    office
        .post("/v1/bank-statements:match", &json!({"document": "<not a statement"}))
        .refused(409, "not_ready");
    // Details: a brand keeps its own only, and only they and the house read them.
    let root = &office.server.world.brands[0].root;
    let body = serde_json::to_value(salted(1, "pa_kino")).expect("JSON");
    let foreign = office.server.signed_post(root, "/v1/bank-details:keep", "keep-foreign-0000000000", &body);
    office.server.ask(&foreign).refused(403, "not_yours");
    office.server.get_as(&kino, "/v1/participants/pa_polar/bank-details/EUR").refused(404, "not_found");
}

#[test]
fn a_brand_compares_its_own_takings_with_the_logs() {
    let office = Office::open(false);
    let kino = office.server.api_key(Whom::Brand(id("br_kino")), Role::BrandFinance);
    let asked = |rows: Value| {
        let body = json!({"currency": "EUR", "from": "2026-01-01", "to": "2026-01-31", "rows": rows});
        office.server.ask(&Ask::post("/v1/reconciliations").key(&kino).json(&body))
    };
    let listed = office.server.get_as(&kino, "/v1/payments").expect(200);
    let one = &listed["items"][0];
    let day = one["at"].as_str().expect("an instant")[..10].to_owned();
    let row = |captured: u64| json!({"store": one["store"], "till": one["till"], "day": day, "payments": 1, "captured": captured});
    let told = asked(json!([row(10_000)])).expect(200);
    assert_eq!((&told["matched"], &told["sum"]["captured"]), (&json!(1), &json!(10_000)), "{told}");
    let told = asked(json!([row(9_999)])).expect(200);
    assert_eq!(told["differs"][0]["here"]["captured"], json!(10_000));
    let told = asked(json!([])).expect(200);
    assert_eq!(told["missing_there"].as_array().map(Vec::len), Some(1), "{told}");
    let mut ghost = row(5);
    ghost["till"] = json!("till-99");
    assert_eq!(asked(json!([ghost, row(10_000)])).expect(200)["missing_here"][0]["till"]["till"], "till-99");
    asked(json!([row(1), row(1)])).refused(400, "body_invalid");
    let dollars = json!({"currency": "USD", "from": "2026-01-01", "to": "2026-01-31", "rows": []});
    let no = office.server.ask(&Ask::post("/v1/reconciliations").key(&kino).json(&dollars));
    let no = no.refused(400, "body_invalid");
    assert!(no["detail"].as_str().expect("why").contains("one of the network's, EUR"), "{no}");
    let mut late = row(5);
    late["day"] = json!("2026-02-01");
    asked(json!([late])).refused(400, "body_invalid");
}
