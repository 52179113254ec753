//! What must be written nowhere: what people type, and secrets.

use super::scene::{award_json, award_message, held_issuing};
use crate::common::carried::ADDRESS;
use crate::common::cluster;
use crate::common::http::{Ask, Reply, Server};
use crate::common::world::Key;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tallyhouse::machine::Request;
use tallyhouse::network::RegisterBrand;

const MARKER: &str = "marker.of.a.person@mail.example";

/// Every line that this process logs, however chatty.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a buffer").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged() -> &'static Logged {
    static LOGGED: OnceLock<Logged> = OnceLock::new();
    LOGGED.get_or_init(|| {
        let logged = Logged::default();
        let writer = logged.clone();
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .init();
        logged
    })
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// The files that a server keeps things in: its folder's and, if it has one, its database's.
fn kept(server: &Server) -> Vec<PathBuf> {
    let mut all = files(server.dir());
    if let Some(address) = server.database() {
        let ask = "SELECT oid FROM pg_database WHERE datname = current_database()";
        let cluster = cluster::shared();
        let folder = cluster.dir().join("data/base").join(cluster.sql(address, ask).trim());
        cluster.sql(address, "CHECKPOINT");
        all.extend(files(&folder));
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// Refuses texts in files, log lines and metrics.
fn nowhere(server: &Server, texts: &[&str]) {
    server.service().engine().settle().expect("settled");
    let (mut seen, metrics) = (0, server.get("/metrics"));
    for text in texts {
        for path in kept(server) {
            let bytes = std::fs::read(&path).expect("read");
            seen += bytes.len();
            assert!(!holds(&bytes, text), "{text} stands in {}", path.display());
        }
        assert!(!holds(&logged().0.lock().expect("a buffer"), text), "{text} was logged");
        assert!(!holds(&metrics.body, text), "{text} is in the metrics");
    }
    assert!(seen > 100_000 && metrics.body.len() > 500);
    let lines = logged().0.lock().expect("a buffer").len();
    assert!(lines > 1_000, "the log was listened to: {lines}");
}

#[test]
fn what_people_type_stands_nowhere() {
    logged();
    let server = Server::founded(10);
    let (root, brand) = (&server.world.roots[0], &server.world.brands[0]);
    let finance = held_issuing(&server);
    let post = |path: &str, body: &serde_json::Value| {
        server.ask(&server.signed_post(root, path, &server.fresh("typed"), body))
    };
    // Taken in, and kept where it belongs.
    let wallet = post("/v1/wallets", &json!({"alias": MARKER})).expect(201)["wallet"]
        .as_str()
        .expect("an id")
        .to_owned();
    let aliases = format!("/v1/wallets/{wallet}/aliases");
    post(&aliases, &json!({"alias": format!("second.{MARKER}")})).expect(201);
    assert!(server.get_signed(root, &aliases).expect(200).to_string().contains(MARKER));
    let resolve = json!({"alias": format!("third.{MARKER}"), "unit": "HARVEST"});
    server.ask(&Ask::post("/v1/accounts:resolve").key(&finance).json(&resolve)).expect(200);
    let named = json!({"name": MARKER, "role": "till"});
    server.ask(&server.signed_post(&brand.root, "/v1/api-keys", "named", &named)).expect(201);
    let new = Key::derive(server.world.seed, "br_new root");
    let args = RegisterBrand {
        brand: "br_new".parse().expect("a brand"),
        participant: "pa_new".parse().expect("a participant"),
        root: new.public,
        recovery: None,
    };
    let registration = server.world.command(&new, "apply-1", "brand.register", &args);
    let apply =
        json!({"participant": "pa_new", "currency": "EUR", "registration": registration, "contact": MARKER});
    server.ask(&Ask::post("/v1/applications").json(&apply)).expect(201);
    // Refused, or not looked at: anywhere in a request.
    let award = award_json(&server, 0, 5);
    let with = |name: &str| {
        let mut body = award.clone();
        body[name] = json!(MARKER);
        body
    };
    let mut answers: Vec<Reply> = vec![];
    for name in ["iss", "unit", "sub", "amount", "reason", "campaign", "ref", "store", "surprise", MARKER] {
        let message = award_message(&server.fresh("typed"), &with(name));
        answers.push(server.ask(&Ask::message(&server.sign(&brand.issuing[0], message))));
        let by_key = Ask::post("/v1/awards").key(&finance).with("idempotency-key", server.fresh("typed"));
        answers.push(server.ask(&by_key.json(&with(name))));
    }
    for body in [
        MARKER.to_owned(),
        format!("{{\"alias\":\"{MARKER}\""),
        json!([MARKER]).to_string(),
        json!({"role": MARKER}).to_string(),
    ] {
        for path in [
            "/v1/awards",
            "/v1/wallets",
            "/v1/api-keys",
            "/v1/payments",
            "/v1/applications",
            "/v1/accounts:resolve",
        ] {
            answers.push(
                server.ask(
                    &Ask::post(path)
                        .key(&finance)
                        .with("idempotency-key", server.fresh("typed"))
                        .body("application/json", body.clone()),
                ),
            );
        }
        for path in ["/v1/tokens", "/v1/awards", "/v1/keys"] {
            answers.push(server.ask(&Ask::post(path).body("application/jose", body.clone())));
        }
        for path in ["/v1/awards:batch", "/v1/payments:batch"] {
            answers.push(server.ask(&Ask::post(path).body("application/x-ndjson", body.clone())));
        }
    }
    for name in [
        "user-agent",
        "referer",
        "cookie",
        "authorization",
        "idempotency-key",
        "prefer",
        "min-seq",
        "content-type",
        "tallyhouse-consents",
        "tallyhouse-batch",
        "tallyhouse-held-key",
        "tallyhouse-time",
        "signature",
        "signature-input",
        "content-digest",
        "last-event-id",
        "accept",
        "x-forwarded-for",
        "forwarded",
    ] {
        answers.push(server.ask(&Ask::get("/v1/units").with(name, MARKER)));
        answers.push(
            server.ask(
                &Ask::post("/v1/awards").body("application/json", award.to_string()).instead(name, MARKER),
            ),
        );
    }
    for path in
        ["/v1/units", "/v1/wallets", "/v1/entries/0", "/v1/accounts", "/v1/nothing", "/docs/", "/tile/0/000"]
    {
        answers.push(server.get(&format!("{path}?alias={MARKER}&cursor={MARKER}")));
        answers.push(server.get(&format!("{path}/{MARKER}")));
    }
    assert!(answers.iter().all(|answer| answer.status != 201 && answer.status < 500 || answer.status == 503));
    nowhere(&server, &[MARKER]);
}

#[test]
fn secrets_are_told_once_and_stand_nowhere() {
    logged();
    let server = Server::founded(10);
    let brand = &server.world.brands[0];
    let made = server.signed_post(
        &brand.root,
        "/v1/api-keys",
        "made",
        &json!({"name": "canary", "role": "brand_finance"}),
    );
    let made = server.ask(&made).expect(201);
    let (secret, id) =
        (made["secret"].as_str().expect("told").to_owned(), made["id"].as_str().expect("an id").to_owned());
    let new = Key::derive(server.world.seed, "br_new root");
    let args = RegisterBrand {
        brand: "br_new".parse().expect("a brand"),
        participant: "pa_new".parse().expect("a participant"),
        root: new.public,
        recovery: None,
    };
    let registration = server.world.command(&new, "apply-1", "brand.register", &args);
    let apply = json!({"participant": "pa_new", "currency": "EUR", "registration": registration});
    let applied = server.ask(&Ask::post("/v1/applications").json(&apply)).expect(201);
    let token = applied["token"].as_str().expect("told").to_owned();
    let writer = held_issuing(&server);
    let held =
        server.service().vault.held_keys(&tallyhouse::vault::Holder::Brand(brand.id.clone())).expect("keys");
    let signer = server.service().vault.signer(held[0].kid).expect("read").expect("there");
    let jwk: serde_json::Value = serde_json::from_str(&signer.secret().to_jwk_private()).expect("JSON");
    let seed = jwk["d"].as_str().expect("a seed").to_owned();
    // All of them are used, well and badly.
    let mut answers = vec![];
    for path in
        ["/v1/me", "/v1/units", "/v1/events", "/v1/payments", "/v1/wallets", "/v1/api-keys", "/v1/held-keys"]
    {
        answers.push(server.get_as(&secret, path));
        answers.push(server.get_as(&writer, path));
        answers.push(server.get_as(&token, path));
        answers.push(server.get_signed(&brand.root, path));
        answers.push(server.ask(&Ask::get(path).with("authorization", format!("Basic {secret}"))));
        answers.push(server.ask(&Ask::get(path).key(&format!("{secret}x"))));
    }
    answers
        .push(server.get_as(&token, &format!("/v1/applications/{}", applied["id"].as_str().expect("an id"))));
    answers.push(server.get_signed(&brand.root, &format!("/v1/api-keys/{id}")));
    let award = Ask::post("/v1/awards")
        .key(&writer)
        .with("idempotency-key", "by-a-held-key")
        .json(&award_json(&server, 0, 5));
    let done = server.ask(&award);
    done.expect(201);
    answers.push(server.get_signed(&brand.root, &format!("/v1/entries/{}", done.seq())));
    answers.push(done);
    let request = Request::of(vec![secret.clone(), token.clone()]);
    answers.push(server.submit("/v1/tokens", &request));
    for shown in [&secret, &token, &writer] {
        answers.push(server.get(&format!("/v1/units?key={shown}")));
        let signed = server.signed_get(&brand.root, &format!("/v1/me?key={shown}"));
        answers.push(server.ask(&signed));
    }
    let revoke = tallyhouse::sign::HttpMessage {
        method: "DELETE".into(),
        target_uri: format!("{ADDRESS}/v1/api-keys/{id}"),
        idempotency_key: Some("revoked".into()),
        ..Default::default()
    };
    let revoked = server.ask(&Ask::message(&server.sign(&brand.root, revoke)));
    assert_eq!(revoked.expect(200)["revoked"].as_str().map(str::is_empty), Some(false));
    server.get_as(&secret, "/v1/me").refused(401, "api_key_expired");
    answers.push(revoked);
    for answer in &answers {
        for hidden in [&secret, &token, &seed] {
            assert!(!holds(&answer.body, hidden), "{}", answer.text());
        }
    }
    nowhere(
        &server,
        &[&secret, &secret["th_test_".len()..], &token, &token["th_app_".len()..], &writer, &seed],
    );
    let raw = tallyhouse::types::b64_decode(&seed).expect("bytes");
    for path in files(server.dir()) {
        let bytes = std::fs::read(&path).expect("read");
        assert!(
            !bytes.windows(raw.len()).any(|window| window == raw),
            "the seed stands in {}",
            path.display()
        );
    }
}
