//! Schemas: what `schemas/*.schema.json` says is what the code reads and writes.
//!
//! Owns: the comparison, and `schemas/vectors/entries.json` (`UPDATE_VECTORS=1` writes it anew after an
//! intended change of the format).
//! Promises: every kind, record, refusal, purpose and command has its schema; real ones validate; and of
//! a real one spoiled in any small way, a schema never takes what the code does not read.
//! Refuses to know: what entries mean.

mod common;

use common::ordered::Json;
use common::tour::Tour;
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tallyhouse::book::{Name, Record};
use tallyhouse::log::{Envelope, Proof, Slot, leaf_hash, open, parts_root};
use tallyhouse::machine::{Genesis, Kind, PartBody, PubBody, Request, Sealed, Snapshot};
use tallyhouse::sign::{Award, Jws, Purpose, Typ};
use tallyhouse::types::{Hash, Malformed, Refusal, decode};

const FILES: [&str; 5] = ["common", "entries", "proof", "state", "tokens"];

static TOUR: LazyLock<Tour> = LazyLock::new(Tour::take);
static SCHEMAS: LazyLock<Vec<(&str, Value)>> = LazyLock::new(|| {
    let read = |name: &&'static str| {
        let path = folder().join(format!("{name}.schema.json"));
        let text = std::fs::read_to_string(path).expect("a schema");
        (*name, serde_json::from_str(&text).expect("JSON"))
    };
    FILES.iter().map(read).collect()
});

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn schema(name: &str) -> &'static Value {
    SCHEMAS.iter().find(|(have, _)| *have == name).map(|(_, schema)| schema).expect("a schema")
}

/// A validator for one place in the schemas: `entries`, `entries#/$defs/tick`.
fn validator(place: &str) -> Validator {
    let mut registry = Registry::new();
    for (_, schema) in SCHEMAS.iter() {
        let id = schema["$id"].as_str().expect("$id");
        registry = registry.add(id, schema.clone()).expect("a schema with its own $id");
    }
    let registry = registry.prepare().expect("references that lead somewhere");
    let (file, fragment) = place.split_once('#').unwrap_or((place, ""));
    let id = schema(file)["$id"].as_str().expect("$id");
    let reference = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": format!("{id}#{fragment}")});
    jsonschema::options().with_registry(&registry).build(&reference).expect("a schema")
}

fn must_be_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

/// The names under `$defs` that `oneOf` of a schema lists.
fn listed(file: &str) -> BTreeSet<String> {
    let list = schema(file)["oneOf"].as_array().expect("oneOf");
    list.iter().map(|one| one["$ref"].as_str().expect("$ref").replace("#/$defs/", "")).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

/// An entry as the schemas see it, with its members in order.
fn entry_json(entry: &Sealed) -> Json {
    let parts = entry.parts.iter().map(|part| Json::read(part)).collect();
    Json::Object(vec![("envelope".into(), Json::read(&entry.envelope)), ("parts".into(), Json::List(parts))])
}

fn kind_of(entry: &Sealed) -> Kind {
    Envelope::decode(&entry.envelope).expect("our own envelope").kind.parse().expect("a kind")
}

/// Whether the entry's command came as a signed HTTP message.
fn over_http(entry: &Sealed) -> bool {
    let texts = std::iter::once(&entry.envelope).chain(&entry.parts);
    texts.map(|text| String::from_utf8_lossy(text)).any(|text| text.contains(r#""http":{"method":"POST""#))
}

/// For each kind its entries with the most in them: at most three, and one that came over HTTP.
fn samples() -> Vec<(Kind, &'static Sealed)> {
    let mut samples = vec![];
    for kind in Kind::ALL {
        let mut of_kind: Vec<&Sealed> = TOUR.node.entries.iter().filter(|e| kind_of(e) == *kind).collect();
        let size =
            |e: &&Sealed| std::cmp::Reverse(e.envelope.len() + e.parts.iter().map(Vec::len).sum::<usize>());
        of_kind.sort_by_key(size);
        let http = of_kind.iter().skip(3).find(|entry| over_http(entry)).copied();
        let http = http.filter(|_| !of_kind.iter().take(3).any(|entry| over_http(entry)));
        samples.extend(of_kind.into_iter().take(3).chain(http).map(|entry| (*kind, entry)));
    }
    samples
}

/// Whether the code reads an entry of this form. Sums, roots and decisions are not asked about here.
fn reads(kind: Kind, entry: &Json) -> Result<(), Malformed> {
    let malformed = |what: &str| Malformed(what.into());
    let envelope = entry.member("envelope").ok_or_else(|| malformed("no envelope"))?;
    let envelope = Envelope::decode(&envelope.text()).map_err(|e| Malformed(e.to_string()))?;
    if envelope.kind != kind.text() || envelope.public.is_some() != kind.is_public() {
        return Err(malformed("another kind"));
    }
    if let Some(public) = envelope.public.as_ref().map(|raw| raw.get().as_bytes()) {
        match kind {
            Kind::Genesis => decode::<Genesis>(public)?.check()?,
            Kind::Snapshot => decode::<Snapshot>(public).map(drop)?,
            _ => decode::<PubBody>(public).map(drop)?,
        }
    }
    for part in entry.member("parts").ok_or_else(|| malformed("no parts"))?.items() {
        decode::<PartBody>(&open(&part.text())?.1)?;
    }
    Ok(())
}

#[test]
fn the_schemas_are_schemas() {
    for (name, schema) in SCHEMAS.iter() {
        assert!(jsonschema::meta::validate(schema).is_ok(), "{name}");
        assert_eq!(schema["$id"], format!("https://tallyhouse.example/schemas/{name}.schema.json"));
        validator(name);
    }
}

#[test]
fn nothing_lacks_a_schema() {
    assert_eq!(listed("entries"), Kind::ALL.iter().map(|kind| kind.text().to_owned()).collect());
    let defs = schema("common")["$defs"].clone();
    assert_eq!(texts(&defs["refusal"]["enum"]), Refusal::ALL.iter().map(|no| no.code().to_owned()).collect());
    assert_eq!(texts(&defs["purpose"]["enum"]), Purpose::ALL.iter().map(|p| p.code().to_owned()).collect());
    let commands = Kind::ALL.iter().map(|kind| kind.command()).filter(|command| !command.is_empty());
    let tokens = schema("tokens")["$defs"].as_object().expect("$defs");
    let described = |name: &String| name.strip_prefix("command:").map(str::to_owned);
    let described: BTreeSet<String> = tokens.keys().filter_map(described).collect();
    assert_eq!(described, commands.map(str::to_owned).collect());
    // Two types have a name already and nothing that takes them yet.
    let later = [Typ::VoucherClaim, Typ::SpendCode];
    for typ in Typ::ALL.into_iter().filter(|typ| !later.contains(typ)) {
        assert!(tokens.contains_key(&typ.to_string()), "{typ}");
    }
}

#[test]
fn every_real_entry_is_valid() {
    let any = validator("entries");
    for (at, entry) in TOUR.node.entries.iter().enumerate() {
        let (kind, entry) = (kind_of(entry), entry_json(entry));
        assert_eq!(reads(kind, &entry), Ok(()), "entry {at} ({kind})");
        must_be_valid(&any, &entry.value(), &format!("entry {at} ({kind})"));
    }
}

#[test]
fn a_spoiled_entry_is_not_valid() {
    let (mut refused, mut taken) = (0, 0);
    for (kind, entry) in samples() {
        let validator = validator(&format!("entries#/$defs/{kind}"));
        for (what, spoiled) in entry_json(entry).spoiled() {
            if validator.is_valid(&spoiled.value()) {
                taken += 1;
                assert_eq!(reads(kind, &spoiled), Ok(()), "{kind}, {what}: the schema takes it\n{spoiled:?}");
            } else {
                refused += 1;
            }
        }
    }
    assert!(samples().iter().filter(|(_, entry)| over_http(entry)).count() >= 5);
    assert!(refused > 10_000 && taken < refused / 20, "{refused} refused, {taken} taken");
}

#[test]
fn an_entry_of_one_kind_is_none_of_another() {
    let validators: Vec<Validator> =
        Kind::ALL.iter().map(|k| validator(&format!("entries#/$defs/{k}"))).collect();
    for (kind, entry) in samples() {
        let value = entry_json(entry).value();
        for (other, validator) in Kind::ALL.iter().zip(&validators) {
            assert_eq!(validator.is_valid(&value), *other == kind, "{kind} as {other}");
        }
    }
}

fn record_json(name: &Name, record: &Record) -> Json {
    Json::List(vec![Json::Text(name.to_string()), Json::read(&record.encode())])
}

fn reads_record(pair: &Json) -> bool {
    let [name, record] = pair.items() else { return false };
    let name = name.str().and_then(|text| text.parse::<Name>().ok());
    name.is_some_and(|name| Record::decode(&name, &record.text()).is_ok())
}

#[test]
fn state_records_are_valid_and_spoiled_ones_are_not() {
    let any = validator("state");
    let kinds: Vec<(String, Validator)> = listed("state")
        .into_iter()
        .map(|name| (name.clone(), validator(&format!("state#/$defs/{name}"))))
        .collect();
    let mut seen = BTreeSet::new();
    let mut records: Vec<_> = TOUR.node.state.0.iter().collect();
    records.sort_by_key(|(name, _)| name.to_string());
    for (name, record) in records {
        let pair = record_json(name, record);
        let value = pair.value();
        must_be_valid(&any, &value, &name.to_string());
        let fitting: Vec<&String> =
            kinds.iter().filter(|(_, v)| v.is_valid(&value)).map(|(k, _)| k).collect();
        assert_eq!(fitting.len(), 1, "{name} is one of {fitting:?}");
        // The first few of each sort are spoiled; the others are like them.
        if !seen.insert(fitting[0].clone()) && !name.to_string().contains("/ac_") {
            continue;
        }
        for (what, spoiled) in pair.spoiled() {
            let taken = any.is_valid(&spoiled.value());
            assert!(!taken || reads_record(&spoiled), "{name}, {what}: the schema takes it");
        }
    }
    assert_eq!(seen, listed("state"), "the tour leaves a sort of record out");
}

/// All statements of the log: the evidence in its entries, each once.
fn statements() -> Vec<Jws> {
    let mut all = vec![];
    for entry in &TOUR.node.entries {
        let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
        let kind = kind_of(entry);
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        if matches!(kind, Kind::Genesis | Kind::Snapshot) {
            continue;
        }
        let stored = tallyhouse::machine::Stored { envelope: &envelope, parts: &slots };
        let request: Request = tallyhouse::machine::request(stored, kind).expect("our own entry");
        all.extend(request.jws.iter().map(|text| Jws::parse(text).expect("our own statement")));
    }
    all
}

/// Whether the code reads these claims of this typ.
fn reads_claims(typ: Typ, claims: &[u8]) -> bool {
    use tallyhouse::sign::{
        Approval, CommandClaims, KeyBudget, KeyCert, PaymentConsent, PointBatch, PointToken, SpendCode,
    };
    fn all<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
        serde_json::from_slice::<T>(bytes).is_ok()
    }
    match typ {
        Typ::PointToken => all::<PointToken>(claims),
        Typ::PointBatch => all::<PointBatch>(claims),
        Typ::PaymentConsent => all::<PaymentConsent>(claims),
        Typ::SpendCode => all::<SpendCode>(claims),
        Typ::KeyCert => all::<KeyCert>(claims),
        Typ::KeyBudget => all::<KeyBudget>(claims),
        Typ::Approval => all::<Approval>(claims),
        _ => serde_json::from_slice::<CommandClaims>(claims).is_ok_and(|c| reads_args(&c.kind, c.args.get())),
    }
}

fn reads_args(kind: &str, args: &str) -> bool {
    use tallyhouse::{clearing as c, network as n, payments as p, prices};
    fn all<T: serde::de::DeserializeOwned>(text: &str) -> bool {
        serde_json::from_str::<T>(text).is_ok()
    }
    match kind {
        "participant.register" => all::<n::RegisterParticipant>(args),
        "brand.register" => all::<n::RegisterBrand>(args),
        "brand.freeze" => all::<n::FreezeBrand>(args),
        "evidence.erase" => all::<n::EraseEvidence>(args),
        "network.freeze" => all::<n::FreezeNetwork>(args),
        "cycle.seal" => all::<c::SealCycle>(args),
        "cycle.compute" => all::<c::ComputeCycle>(args),
        "cycle.move" => all::<c::MoveCycle>(args),
        "objection.file" => all::<c::FileObjection>(args),
        "objection.answer" => all::<c::AnswerObjection>(args),
        "statement.import" => all::<c::ImportStatement>(args),
        "statement.accept" => all::<c::AcceptStatement>(args),
        "statement.reject" => all::<c::RejectStatement>(args),
        "instruction.move" => all::<c::MoveInstruction>(args),
        "funding.set" => all::<c::SetFunding>(args),
        "reserve.set" => all::<c::SetReserve>(args),
        "cover.move" => all::<c::MoveCover>(args),
        "margin.call" => all::<c::CallMargin>(args),
        "netting.set" => all::<c::SetNetting>(args),
        "cycle.set_off" => all::<c::SetOffCycle>(args),
        "due.confirm" => all::<c::ConfirmDue>(args),
        "due.claim" => all::<c::ClaimDue>(args),
        "line.assign" => all::<c::AssignLine>(args),
        "schedule.set" => all::<c::SetSchedule>(args),
        "period.close" => all::<c::ClosePeriod>(args),
        "details.set" => all::<c::SetDetails>(args),
        "details.confirm" => all::<c::ConfirmDetails>(args),
        "points.claw_back" => all::<tallyhouse::points::ClawBack>(args),
        "dispute.file" => all::<c::FileDispute>(args),
        "dispute.move" => all::<c::MoveDispute>(args),
        "complaint.file" => all::<c::FileComplaint>(args),
        "complaint.move" => all::<c::MoveComplaint>(args),
        "key.revoke" | "account.key_revoke" => all::<n::RevokeKey>(args),
        "unit.define" => all::<n::DefineUnit>(args),
        "unit.freeze" => all::<n::FreezeUnit>(args),
        "prices.publish" => all::<prices::PublishPrices>(args),
        "acceptance.publish" => all::<prices::PublishAcceptance>(args),
        "breakage.publish" => all::<prices::PublishBreakage>(args),
        "fees.publish" => all::<prices::PublishFees>(args),
        "tax.publish" => all::<prices::PublishTax>(args),
        "account.set_tier" => all::<n::SetTier>(args),
        "account.open" => all::<n::OpenAccount>(args),
        "account.freeze" => all::<n::FreezeAccount>(args),
        "consent.open" => all::<p::OpenConsent>(args),
        "payment.authorise" => all::<p::Authorise>(args),
        "payment.capture" => all::<p::Capture>(args),
        "payment.void" => all::<p::Void>(args),
        "payment.refund" => all::<p::Refund>(args),
        _ => false,
    }
}

#[test]
fn every_statement_is_valid_and_spoiled_ones_are_not() {
    let any = validator("tokens");
    let mut spoilt = BTreeSet::new();
    for jws in statements() {
        let header = data_encoding::BASE64URL_NOPAD
            .decode(jws.text().split('.').next().expect("a header").as_bytes())
            .expect("base64url");
        let claims = Json::read(jws.payload_bytes());
        let header: Value = serde_json::from_slice(&header).expect("JSON");
        let (typ, about) = (jws.typ(), format!("{} {:?}", jws.typ(), claims.member("kind")));
        must_be_valid(&any, &json!({"header": header, "claims": claims.value()}), &about);
        if !spoilt.insert(about.clone()) {
            continue;
        }
        for (what, spoiled) in claims.spoiled() {
            let taken = any.is_valid(&json!({"header": header, "claims": spoiled.value()}));
            assert!(!taken || reads_claims(typ, &spoiled.text()), "{about}, {what}: the schema takes it");
        }
        for other in ["JWT", "voucher-claim+jwt", ""] {
            let mut header = header.clone();
            header["typ"] = json!(other);
            assert!(
                !any.is_valid(&json!({"header": header, "claims": claims.value()})),
                "{about} as {other}"
            );
        }
    }
    // Seven types of their own, and every command.
    assert_eq!(spoilt.len(), 7 + Kind::ALL.iter().filter(|kind| !kind.command().is_empty()).count());
}

#[test]
fn award_lines_are_valid_and_spoiled_ones_are_not() {
    let validator = validator("tokens#/$defs/award-line");
    let bodies = TOUR.node.entries.iter().filter(|e| kind_of(e) == Kind::PointsBatch).flat_map(|e| &e.parts);
    let mut verdicts = 0;
    for part in bodies {
        let body: PartBody = decode(&open(part).expect("our own part").1).expect("our own part");
        let Some(line) = body.line else { continue };
        verdicts += 1;
        let line = Json::read(line.as_bytes());
        let real = serde_json::from_slice::<Award>(&line.text()).is_ok();
        assert_eq!(validator.is_valid(&line.value()), real, "{line:?}");
        for (what, spoiled) in line.spoiled().into_iter().filter(|_| real) {
            let taken = validator.is_valid(&spoiled.value());
            assert!(
                !taken || serde_json::from_slice::<Award>(&spoiled.text()).is_ok(),
                "{what}: the schema takes it"
            );
        }
    }
    assert_eq!(verdicts, 6);
}

#[test]
fn a_proof_is_valid_and_spoiled_ones_are_not() {
    let validator = validator("proof");
    let log = std::fs::read(folder().join("vectors/log.json")).expect("the log's vectors");
    let proof = Json::read(&log);
    let proof = proof.member("proof").expect("a proof");
    must_be_valid(&validator, &proof.value(), "the proof in the vectors");
    for (what, spoiled) in proof.spoiled() {
        let taken = validator.is_valid(&spoiled.value());
        let read = serde_json::from_slice::<Proof>(&spoiled.text());
        assert!(!taken || read.is_ok(), "{what}: the schema takes it");
    }
}

/// One entry of each kind, the one with the most in it; and one of each that came over HTTP.
fn vectors() -> Value {
    let mut seen = BTreeSet::new();
    let mut entries = vec![];
    for (kind, entry) in samples() {
        let first = !seen.iter().any(|(have, _)| *have == kind);
        let new = seen.insert((kind, over_http(entry)));
        if !(first || new && over_http(entry)) {
            continue;
        }
        let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
        let part = |part: &Vec<u8>| json!({"part": String::from_utf8_lossy(part), "leaf": leaf_hash(part)});
        entries.push(json!({
            "kind": kind.text(),
            "envelope": String::from_utf8_lossy(&entry.envelope),
            "blake3": entry.hash,
            "leaf": entry.leaf,
            "parts": entry.parts.iter().map(part).collect::<Vec<_>>(),
            "parts_root": parts_root(&slots),
        }));
    }
    let about = "One entry of each kind, and one of each that came as a signed HTTP request, from a test network. Hashes are hexadecimal; blake3 is over the envelope's \
                 bytes and is prev of the next; leaf and parts_root are RFC 6962 with SHA-256.";
    json!({"about": about, "net": TOUR.world.net, "entries": entries})
}

#[test]
fn the_golden_entries_are_what_the_code_makes() {
    let path = folder().join("vectors/entries.json");
    let made = serde_json::to_string_pretty(&vectors()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &made).expect("schemas/vectors can be written");
    }
    let file = std::fs::read_to_string(&path).expect("schemas/vectors/entries.json is there");
    assert!(
        file == made,
        "schemas/vectors/entries.json differs from what the code makes; UPDATE_VECTORS=1 rewrites it"
    );
}

/// Reads the file as a stranger would.
#[test]
fn the_golden_entries_hold() {
    let file = std::fs::read(folder().join("vectors/entries.json")).expect("the vectors");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let hash = |value: &Value| Hash::parse(&text(value)).expect("a hash");
    let entries = file["entries"].as_array().expect("entries");
    let mut kinds: Vec<String> = entries.iter().map(|entry| text(&entry["kind"])).collect();
    kinds.dedup();
    let http = |entry: &&Value| entry.to_string().contains(r#"\"http\":{"#);
    assert_eq!(entries.iter().filter(http).count(), 6, "what came over HTTP");
    assert_eq!(kinds, Kind::ALL.iter().map(|kind| kind.text().to_owned()).collect::<Vec<_>>());
    for entry in entries {
        let bytes = text(&entry["envelope"]).into_bytes();
        let envelope = Envelope::decode(&bytes).expect("an envelope");
        assert_eq!(envelope.encode(), bytes);
        assert_eq!(Hash::blake3(&bytes), hash(&entry["blake3"]));
        assert_eq!(leaf_hash(&bytes), hash(&entry["leaf"]));
        let parts = entry["parts"].as_array().expect("parts");
        let slots: Vec<Slot> = parts.iter().map(|p| Slot::Whole(text(&p["part"]).into_bytes())).collect();
        assert_eq!(parts_root(&slots), hash(&entry["parts_root"]));
        assert_eq!(envelope.parts.root, hash(&entry["parts_root"]));
        assert!(slots.iter().zip(parts).all(|(slot, part)| slot.leaf_hash() == hash(&part["leaf"])));
    }
}
