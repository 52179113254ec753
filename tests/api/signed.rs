//! Who signed: requests that are signed well, and every way in which they are not, each with what it is told.

use crate::common::carried::ADDRESS;
use crate::common::http::{Ask, Reply, Server, now};
use crate::common::world::{Key, id};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tallyhouse::book::KeyState;
use tallyhouse::sign::{HttpMessage, content_digest};
use tallyhouse::types::UnitCode;

/// An award that the test signs itself, piece by piece.
struct Draft<'a> {
    server: &'a Server,
    key: &'a Key,
    target: String,
    id: String,
    body: String,
    /// The names that are covered, in their order.
    covers: Vec<&'static str>,
    created: u64,
    life: u64,
    nonce: String,
    alg: &'static str,
    tag: &'static str,
    label: &'static str,
}

impl<'a> Draft<'a> {
    fn new(server: &'a Server, key: &'a Key) -> Self {
        let unit: UnitCode = id("HARVEST");
        let account = server.world.holder(unit, 0).account;
        let body = json!({"iss": "br_harvest", "unit": unit, "sub": account, "amount": 7});
        Self {
            server,
            key,
            target: format!("{ADDRESS}/v1/awards"),
            id: server.fresh("award"),
            body: body.to_string(),
            covers: vec!["@method", "@target-uri", "content-type", "content-digest", "idempotency-key"],
            created: now(),
            life: 300,
            nonce: server.fresh("nonce"),
            alg: ";alg=\"ed25519\"",
            tag: ";tag=\"tallyhouse-v1\"",
            label: "tallyhouse",
        }
    }

    /// The parameters in the usual order.
    fn parameters(&self) -> String {
        let Self { created, life, nonce, alg, tag, .. } = self;
        let expires = created + life;
        format!(";created={created};expires={expires};nonce=\"{nonce}\";keyid=\"{}\"{alg}{tag}", self.key.kid)
    }

    /// The request, signed as it says.
    fn ask(&self) -> Ask {
        self.with_parameters(&self.parameters())
    }

    fn with_parameters(&self, parameters: &str) -> Ask {
        let digest = content_digest(self.body.as_bytes());
        let value = |name: &str| match name {
            "@method" => "POST".to_owned(),
            "@target-uri" => self.target.clone(),
            "content-type" => "application/json".to_owned(),
            "content-digest" => digest.clone(),
            "idempotency-key" => self.id.clone(),
            "host" => "test".to_owned(),
            name => panic!("{name} has no value"),
        };
        let names: Vec<String> = self.covers.iter().map(|name| format!("\"{name}\"")).collect();
        let input = format!("({}){parameters}", names.join(" "));
        let lines: String = self.covers.iter().map(|name| format!("\"{name}\": {}\n", value(name))).collect();
        let base = format!("{lines}\"@signature-params\": {input}");
        let signature = BASE64.encode(&self.key.secret.sign(base.as_bytes()));
        Ask::post("/v1/awards")
            .body("application/json", self.body.clone())
            .with("content-digest", digest)
            .with("idempotency-key", self.id.clone())
            .with("signature-input", format!("{}={input}", self.label))
            .with("signature", format!("{}=:{signature}:", self.label))
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Ask {
        let Self { server, key, .. } = self;
        let mut other = Draft::new(server, key);
        change(&mut other);
        other.ask()
    }
}

fn header(ask: &Ask, name: &str) -> String {
    ask.headers.iter().find(|(have, _)| have == name).expect("a header").1.clone()
}

#[test]
fn a_request_that_is_signed_well_is_done() {
    let server = Server::founded(4);
    let key = &server.world.brands[0].issuing[0];
    let draft = || Draft::new(&server, key);
    let fresh = || draft().ask();
    let (first, at) = (draft(), now());
    let shuffled = format!(
        ";tag=\"tallyhouse-v1\";keyid=\"{}\";nonce=\"{}\";expires={};created={at}",
        key.kid,
        first.nonce,
        at + 60
    );
    let beside = fresh();
    let (input, signature) = (header(&beside, "signature-input"), header(&beside, "signature"));
    let before = beside
        .clone()
        .instead(
            "signature-input",
            format!("proxy=(\"@method\");created=1;keyid=\"p\";alg=\"hmac-sha256\", {input}"),
        )
        .instead("signature", format!("proxy=:AAAA:, {signature}"));
    let other = fresh();
    let lines = other
        .clone()
        .with("signature-input", "cdn=(\"@authority\");created=1;tag=\"cdn\"")
        .with("signature", "cdn=:AAAA:");
    let rows = [
        ("as the client signs", fresh()),
        ("parameters in another order, no alg", first.with_parameters(&shuffled)),
        ("components in another order", draft().changed(|d| d.covers.reverse())),
        ("under another label", draft().changed(|d| d.label = "sig1")),
        ("beside a proxy's signature", before),
        ("beside a signature in a line of its own", lines),
        ("an id in quotation marks", draft().changed(|d| d.id = format!("\"{}\"", d.id))),
        ("forwarded", fresh().with("forwarded", "host=evil.test;proto=http")),
        (
            "with a forwarded host",
            fresh().with("x-forwarded-host", "evil.test").with("x-forwarded-proto", "ftp"),
        ),
        ("by a clock that is 29 s ahead", draft().changed(|d| d.created += 29)),
        ("a moment before it is stale", draft().changed(|d| d.created -= 280)),
    ];
    for (name, ask) in rows {
        let reply = server.ask(&ask);
        assert_eq!(reply.status, 201, "{name}: {}", reply.text());
        assert_eq!(reply.json()["kind"], "points.issued", "{name}");
    }
}

#[test]
fn a_request_that_is_not_signed_well_is_refused() {
    let server = Server::founded(4);
    let world = &server.world;
    let key = &world.brands[0].issuing[0];
    let draft = || Draft::new(&server, key);
    let fresh = || draft().ask();
    let by = |key| Draft::new(&server, key).ask();
    let of = |key, brand: &str, unit: &str| {
        let mut draft = Draft::new(&server, key);
        draft.body = draft.body.replace("br_harvest", brand).replace("HARVEST", unit);
        draft.ask()
    };
    let stranger = Key::derive(1, "a stranger");
    let (kino, polar) = (&world.brands[1], &world.brands[2]);
    let revoke = |brand: &crate::common::world::Brand, key: &Key, state| {
        let request = world.revoke_key(&brand.root, &server.fresh("revoke"), key.kid, state);
        server.submit("/v1/keys/revocations", &request).expect(201);
    };
    revoke(kino, &kino.issuing[1], KeyState::Retired);
    revoke(polar, &polar.tills[1].key, KeyState::Compromised);
    let twice = fresh();
    let (input, signature) = (header(&twice, "signature-input"), header(&twice, "signature"));
    let again = |text: &str| text.replace("tallyhouse=", "again=");
    let rows: Vec<(&str, Ask, u16, &str)> = vec![
        ("another body", Ask { body: b"{}".to_vec(), ..fresh() }, 401, "digest_mismatch"),
        ("no digest", fresh().without("content-digest"), 401, "digest_mismatch"),
        (
            "another body, its digest",
            {
                let body = draft().body.replace('7', "8");
                let ask = fresh().instead("content-digest", content_digest(body.as_bytes()));
                Ask { body: body.into_bytes(), ..ask }
            },
            401,
            "signature_invalid",
        ),
        (
            "the digest of something else",
            fresh().instead("content-digest", content_digest(b"x")),
            401,
            "digest_mismatch",
        ),
        ("another query", Ask { target: "/v1/awards?dry_run=false".into(), ..fresh() }, 400, "malformed"),
        ("another path", Ask { target: "/v1/captures".into(), ..fresh() }, 400, "malformed"),
        (
            "another method",
            Ask { method: "DELETE".into(), target: "/v1/api-keys/ak_x".into(), ..fresh() },
            401,
            "signature_invalid",
        ),
        (
            "another content type",
            fresh().instead("content-type", "application/json; charset=utf-8"),
            401,
            "signature_invalid",
        ),
        ("another id", fresh().instead("idempotency-key", "another"), 401, "signature_invalid"),
        ("no id", fresh().without("idempotency-key"), 401, "signature_coverage"),
        ("stale", draft().changed(|d| d.created -= 301), 401, "signature_stale"),
        ("of the future", draft().changed(|d| d.created += 60), 401, "signature_stale"),
        ("for longer than 300 s", draft().changed(|d| d.life = 301), 401, "signature_stale"),
        (
            "ends before it begins",
            draft().changed(|d| {
                d.created -= 10;
                d.life = 0;
            }),
            401,
            "signature_stale",
        ),
        (
            "without the target",
            draft().changed(|d| d.covers.retain(|name| *name != "@target-uri")),
            401,
            "signature_coverage",
        ),
        (
            "without the id",
            draft().changed(|d| d.covers.retain(|name| *name != "idempotency-key")),
            401,
            "signature_coverage",
        ),
        (
            "without the digest",
            draft().changed(|d| d.covers.retain(|name| *name != "content-digest")),
            401,
            "signature_coverage",
        ),
        (
            "over a field that proxies change",
            draft().changed(|d| d.covers.push("host")),
            401,
            "signature_coverage",
        ),
        (
            "for another address",
            draft().changed(|d| d.target = "https://elsewhere.test/v1/awards".into()),
            401,
            "signature_invalid",
        ),
        (
            "two signatures of ours",
            twice
                .instead("signature-input", format!("{input}, {}", again(&input)))
                .instead("signature", format!("{signature}, {}", again(&signature))),
            401,
            "signature_malformed",
        ),
        (
            "another algorithm",
            draft().changed(|d| d.alg = ";alg=\"hmac-sha256\""),
            401,
            "signature_malformed",
        ),
        ("another tag", draft().changed(|d| d.tag = ";tag=\"somebody\""), 401, "signature_malformed"),
        ("a short nonce", draft().changed(|d| d.nonce = "short".into()), 401, "signature_malformed"),
        ("no signature", fresh().without("signature"), 401, "signature_malformed"),
        (
            "a signature cut short",
            fresh().instead("signature", "tallyhouse=:AAAA:"),
            401,
            "signature_malformed",
        ),
        (
            "not a structured field",
            fresh().instead("signature-input", "tallyhouse=("),
            401,
            "signature_malformed",
        ),
        ("with an API key too", fresh().key("th_test_x"), 401, "signature_coverage"),
        ("by a stranger", by(&stranger), 401, "key_unknown"),
        ("by a key that is retired", of(&kino.issuing[1], "br_kino", "KINOPLUS"), 401, "key_retired"),
        ("by a key that was stolen", of(&polar.tills[1].key, "br_polar", "POLAR"), 401, "key_compromised"),
        ("by a till without a budget", by(&world.brands[0].tills[0].key), 422, "budget_missing"),
        ("by the operator", by(&world.roots[0]), 403, "key_purpose"),
        ("by another brand's key", by(&kino.issuing[0]), 403, "key_owner"),
        (
            "a dry run's signature, meant",
            draft().changed(|d| d.target += "?dry_run=true"),
            401,
            "signature_invalid",
        ),
        (
            "a signature that was meant, dry",
            Ask { target: "/v1/awards?dry_run=true".into(), ..fresh() },
            401,
            "signature_invalid",
        ),
        (
            "another wish in the query",
            Ask { target: "/v1/awards?dry_run=yes".into(), ..fresh() },
            400,
            "query_invalid",
        ),
    ];
    let before = server.service().engine().progress().committed;
    let mut wrong = vec![];
    for (name, ask, status, code) in rows {
        let reply = server.ask(&ask);
        if (reply.status, reply.code().as_str()) != (status, code) {
            wrong.push(format!("{name}: not {status} {code} but {}", reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.service().engine().progress().committed, before, "nothing was written");
}

#[test]
fn a_signed_read_counts_once() {
    let server = Server::founded(4);
    let root = &server.world.brands[0].root;
    let read = server.signed_get(root, "/v1/me");
    assert_eq!(server.ask(&read).expect(200)["role"], "brand_admin");
    server.ask(&read).refused(401, "signature_replayed");
    // The same nonce under another key is another request.
    let nonce = "one-nonce-for-two-keys";
    for brand in &server.world.brands[..2] {
        let message = HttpMessage::get(format!("{ADDRESS}/v1/me")).sign(&brand.root.secret, now(), nonce);
        server.ask(&Ask::message(&message)).expect(200);
    }
    // A signature of a read is none of another one's.
    let other = Ask { target: "/v1/obligations".into(), ..server.signed_get(root, "/v1/me") };
    server.ask(&other).refused(401, "signature_invalid");
    let wrong = Ask { target: "/v1/me?x=1".into(), ..server.signed_get(root, "/v1/me") };
    server.ask(&wrong).refused(401, "signature_invalid");
    let stale =
        HttpMessage::get(format!("{ADDRESS}/v1/me")).sign(&root.secret, now() - 301, &server.fresh("nonce"));
    server.ask(&Ask::message(&stale)).refused(401, "signature_stale");
    let message = HttpMessage::get(format!("{ADDRESS}/v1/me"));
    let bearer = HttpMessage { authorization: Some("Bearer th_test_x".into()), ..message };
    let signed = server.sign(root, bearer);
    // With a header that it covers, the signature says who asks.
    server.ask(&Ask::message(&signed).key("th_test_x")).expect(200);
}

#[test]
fn a_signed_write_that_comes_again_has_one_effect_and_one_answer() {
    let server = Server::founded(4);
    let key = &server.world.brands[0].issuing[0];
    let draft = Draft::new(&server, key);
    let first = server.ask(&draft.ask());
    let body: Value = first.expect(201);
    let replayed = |reply: &Reply| reply.header("idempotency-replayed").map(str::to_owned);
    assert_eq!(replayed(&first), None);
    let again = server.ask(&draft.ask());
    assert_eq!((again.expect(201), replayed(&again)), (body.clone(), Some("true".into())));
    // Signed anew, as a client does that waited too long.
    let late = Draft { nonce: server.fresh("later"), created: now() - 5, ..draft };
    let again = server.ask(&late.ask());
    assert_eq!((again.expect(201), replayed(&again)), (body, Some("true".into())));
    // Something else under the same id.
    let other = Draft { body: late.body.replace('7', "8"), ..late };
    server.ask(&other.ask()).refused(409, "token_conflict");
}

#[test]
fn a_key_counts_no_more_from_the_answer_on_that_revoked_it() {
    let server = Server::founded(0x5eed);
    let (world, kino) = (&server.world, &server.world.brands[1]);
    // State follows the log by milliseconds: nothing of that is seen here, in neither direction.
    for (round, key) in kino.tills.iter().map(|till| &till.key).enumerate() {
        server.get_signed(key, "/v1/me").expect(200);
        for (state, status) in [(KeyState::Retired, 401), (KeyState::Active, 200), (KeyState::Retired, 401)] {
            let request = world.revoke_key(&kino.root, &server.fresh("revoke"), key.kid, state);
            server.submit("/v1/keys/revocations", &request).expect(201);
            let read = server.get_signed(key, "/v1/me");
            assert_eq!(read.status, status, "round {round}, {state:?}: {}", read.text());
        }
    }
}
