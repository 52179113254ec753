//! Signed HTTP messages there and back, and the vector of RFC 9421.

use super::*;

const URI: &str = "https://points.example/v1/captures";
const NONCE: &str = "0123456789abcdef";

fn key() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn post() -> HttpMessage {
    HttpMessage::post(URI, "\"cap-1\"", r#"{"payment":"pay_7.0"}"#)
}

/// The fields as a server gets them, beside signatures of others.
fn arrive(message: &HttpMessage) -> Result<HttpSigned, Refused> {
    let headers = message.headers();
    let field = |name: &str| headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str());
    let input = format!(
        "proxy=(\"@method\" \"x\";req);tag=\"a, \\\"b\\\"\", {}",
        field("signature-input").expect("signed")
    );
    let signature = format!("{}, proxy=:AAAA:", field("signature").expect("signed"));
    HttpFields {
        method: &message.method,
        target_uri: &message.target_uri,
        content_type: field("content-type"),
        content_digest: field("content-digest"),
        idempotency_key: field("idempotency-key"),
        authorization: message.authorization.as_deref(),
        signature_input: &input,
        signature: &signature,
        body: message.body.as_deref().unwrap_or_default().as_bytes(),
    }
    .read()
}

/// RFC 9421, B.2.6: `test-key-ed25519` over `test-request`.
#[test]
fn the_vector_of_the_rfc() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs","d":"n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"}"#;
    let key = SecretKey::from_jwk_private(jwk).expect("the key of B.1.4");
    let params = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@method", "POST"),
        ("@path", "/foo"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    ];
    let base = signature_base(&components, params);
    let wanted = concat!(
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n",
        "\"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n",
        "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")",
        ";created=1618884473;keyid=\"test-key-ed25519\""
    );
    assert_eq!(base, wanted);
    let signature =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    let signature: [u8; 64] =
        data_encoding::BASE64.decode(signature.as_bytes()).expect("base64").try_into().expect("64 bytes");
    assert!(key.public().verify_strict(base.as_bytes(), &signature));
    assert_eq!(key.sign(base.as_bytes()), signature);
    assert!(!key.public().verify_strict(base.replace("POST", "PUT").as_bytes(), &signature));
}

/// RFC 9530, appendix B: a digest of known bytes.
#[test]
fn the_digest_is_the_one_of_the_rfc() {
    let digest = content_digest(b"{\"hello\": \"world\"}\n");
    assert_eq!(digest, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
}

#[test]
fn a_message_there_and_back() {
    let key = key();
    let sent = post().sign(&key, 1_000, NONCE);
    let signed = arrive(&sent).expect("our own message");
    assert_eq!(signed.message(), &sent, "what arrives is what was sent");
    assert_eq!(signed.verify(&key.public()), Ok(()));
    assert_eq!((signed.kid(), signed.created(), signed.expires()), (key.public().kid(), 1_000, 1_300));
    assert_eq!((signed.nonce(), sent.id()), (NONCE, Some("cap-1")));
    // In the log it stands as JSON and reads back.
    let kept: HttpMessage = crate::types::decode(&crate::types::encode(&sent)).expect("canonical");
    assert_eq!(kept, sent);
    assert!(!format!("{signed:?}").contains("pay_7.0"));
    let other = SecretKey::from_seed([8; 32]).public();
    assert_eq!(signed.verify(&other).map_err(|no| no.code), Err(Refusal::SignatureInvalid));
}

#[test]
fn a_read_may_bring_a_secret_that_is_not_kept() {
    let key = key();
    let mut message = HttpMessage::get("https://points.example/v1/events?after=7");
    message.authorization = Some("Bearer th_test_x".into());
    let sent = message.sign(&key, 1_000, NONCE);
    let signed = arrive(&sent).expect("our own message");
    assert_eq!(signed.verify(&key.public()), Ok(()));
    let kept = String::from_utf8(crate::types::encode(signed.message())).expect("text");
    assert!(!kept.contains("th_test_x"), "{kept}");
    let mut other = sent.clone();
    other.authorization = Some("Bearer th_test_y".into());
    let signed = arrive(&other).expect("well formed");
    assert_eq!(signed.verify(&key.public()).map_err(|no| no.code), Err(Refusal::SignatureInvalid));
}

#[test]
fn every_byte_that_is_covered_counts() {
    let key = key();
    let sent = post().sign(&key, 1_000, NONCE);
    let changes: &[fn(&mut HttpMessage)] = &[
        |m| m.method = "PUT".into(),
        |m| m.target_uri.push_str("?dry_run=true"),
        |m| m.target_uri = m.target_uri.replace("points", "other"),
        |m| m.content_type = Some("application/jose".into()),
        |m| m.idempotency_key = Some("cap-1".into()),
        |m| m.body = m.body.take().map(|body| body.replace('7', "8")),
        |m| m.signature_input = m.signature_input.replace("created=1000", "created=1001"),
        |m| {
            m.signature_input =
                m.signature_input.replace("\"@method\" \"@target-uri\"", "\"@target-uri\" \"@method\"")
        },
        |m| m.signature_input = m.signature_input.replace(";alg=\"ed25519\"", ""),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut other = sent.clone();
        change(&mut other);
        assert_ne!(other, sent, "change {at}");
        let signed = arrive(&other).unwrap_or_else(|no| panic!("change {at}: {no}"));
        assert_eq!(
            signed.verify(&key.public()).map_err(|no| no.code),
            Err(Refusal::SignatureInvalid),
            "{at}"
        );
    }
}

#[test]
fn the_order_of_parameters_is_the_signers() {
    let (key, kid) = (key(), key().public().kid());
    let mut message = post();
    message.signature_input = format!(
        "(\"idempotency-key\" \"content-digest\" \"@target-uri\" \"content-type\" \"@method\");tag=\"{TAG}\";keyid=\"{kid}\";nonce=\"{NONCE}\";expires=1100;created=1000"
    );
    let names = ["idempotency-key", "content-digest", "@target-uri", "content-type", "@method"];
    message.signature = b64(&key.sign(message.base(&names).as_bytes()));
    assert_eq!(arrive(&message).and_then(|signed| signed.verify(&key.public())), Ok(()));
}

#[test]
fn it_counts_for_its_time() {
    let signed = arrive(&post().sign(&key(), 1_000, NONCE)).expect("our own message");
    let counts: Vec<u64> = (900..1_400).filter(|now| signed.fresh(*now).is_ok()).collect();
    assert_eq!((counts.first(), counts.last(), counts.len()), (Some(&970), Some(&1_299), 330));
    assert_eq!(signed.fresh(1_300).map_err(|no| no.code), Err(Refusal::SignatureStale));
}
