//! Fields: headers, parameters and credentials, as the document describes them.
//!
//! Owns: what is said of each of them.
//! Promises: what a form in a browser begins with is what a caller would want to send.
//! Refuses to know: which operation takes which.

use serde_json::{Value, json};

/// A reference to a component.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The ways to say who one is.
pub fn security() -> Value {
    json!({
        "api_key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "th_test_… or th_live_…",
            "description": "An API key. It reads; it writes with keys that the network holds."
        },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "An HTTP Message Signature (RFC 9421), together with Signature-Input."
        },
        "signature_input": {
            "type": "apiKey", "in": "header", "name": "Signature-Input",
            "description": "What the signature covers, and its parameters (RFC 9421), together with Signature."
        }
    })
}

/// Statements as lines of text.
pub fn statement_lines() -> Value {
    json!({
        "type": "string",
        "description": "Signed statements, one compact JWS (RFC 7515) a line: the command, token or certificate first, \
            then what approves it or consents to it.",
        "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+(\\s+[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+)*\\s*$",
        "examples": [concat!(
            "eyJhbGciOiJFZERTQSIsInR5cCI6ImNvbW1hbmQrand0Iiwia2lkIjoiYXRaUjYzdE5HM1cyR2hQcFZsZUtuZnJ3MU43TjZMQXFPZTVnckUyU0JSNCJ9",
            ".eyJhdWQiOiJleGFtcGxlIiwibiI6OX0",
            ".kqLpuUmg2Qd6BUaoFd9vAyWJveGevboYN68XKalJUSdbBqResykDxeuSFpj9ym9b3caDiHNn_clVeOcqxh70AQ"
        )]
    })
}

fn header(name: &str, about: &str, pattern: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": about,
        "schema": {"type": "string", "pattern": pattern}
    })
}

/// A line of printable ASCII.
const LINE: &str = "^[!-~]([ -~]*[!-~])?$";
/// Compact JWSs, separated by commas.
const LIST: &str = "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+( *, *[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+)*$";

/// What many operations take. None of them has an `example`: forms in browsers would begin with it.
pub fn parameters() -> Value {
    json!({
        "IdempotencyKey": header("Idempotency-Key",
            "The write's id, your own, the same for every retry: up to 64 letters, digits, `.`, `_` and `-`, bare or in \
             double quotes; a ULID or a UUID. A statement (JWS) brings its own. The page at `/docs/` makes one where the \
             field is left empty.", "^([A-Za-z0-9._-]{1,64}|\"[A-Za-z0-9._-]{1,64}\")$"),
        "HeldKey": header("Tallyhouse-Held-Key",
            "With an API key: which held key signs, by its thumbprint, where there are several.", "^[A-Za-z0-9_-]{43}$"),
        "Consents": header("Tallyhouse-Consents",
            "Consents of the holders (`payment-consent+jwt`), or the code that opens one (`spend-code+jwt`): compact JWSs \
             separated by commas.", LIST),
        "Batch": header(
            "Tallyhouse-Batch",
            "The statement (`point-batch+jwt`, a compact JWS) that signs all lines together.",
            "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
        ),
        "Time": header("Tallyhouse-Time",
            "In a sandbox on its own time: when the command happens, at most 366 days after the last entry; for those who \
             work for the operator. Such a network stands still between commands.",
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?Z$"),
        "Prefer": header("Prefer", "`return=proof`: the answer carries its proof (RFC 7240).", LINE),
        "ContentDigest": header("Content-Digest",
            "The body's digest (RFC 9530), of a signed request: `sha-256=:…:`.", LINE),
        "SignatureInput": header("Signature-Input",
            "What is signed (RFC 9421), of a signed request: `sig=(\"@method\" \"@target-uri\" \"content-type\" \
             \"content-digest\" \"idempotency-key\");created=…;expires=…;nonce=\"…\";keyid=\"…\";tag=\"tallyhouse-v1\"`.", LINE),
        "Signature": header("Signature", "The signature (RFC 9421), of a signed request: `sig=:…:`.", LINE),
        "MinSeq": {
            "name": "Min-Seq", "in": "header", "required": false,
            "description": "The answer shows this entry at least, or is 503. Send back the `Tallyhouse-Seq` of your write.",
            "schema": {"type": "integer", "minimum": 0}
        },
        "DryRun": {
            "name": "dry_run", "in": "query", "required": false,
            "description": "Say what would happen, and write nothing.",
            // No default: generated clients send defaults, and the query is part of what is signed.
            "schema": {"type": "boolean"}
        }
    })
}

/// What answers carry.
pub fn headers() -> Value {
    let integer = |about: &str| json!({"description": about, "schema": {"type": "integer", "minimum": 0}});
    let text = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    json!({
        "TallyhouseSeq": integer("The last entry that the answer shows; send it back as `Min-Seq` to see it at least."),
        "IdempotencyReplayed": text("`true`: this answer was given before, to the same request."),
        "PreferenceApplied": text("`return=proof`: the answer carries its proof."),
        "RateLimit": text("What is left and for how long: `\"default\";r=…;t=…`."),
        "RequestId": text("Names this request in the node's own log."),
        "Location": text("Where what was made is shown."),
        "Link": text("The next page (`rel=\"next\"`, RFC 8288); absent on the last."),
        "RetryAfter": integer("Seconds to wait.")
    })
}

/// A header's name on the wire.
pub fn header_name(component: &str) -> &str {
    match component {
        "TallyhouseSeq" => "Tallyhouse-Seq",
        "IdempotencyReplayed" => "Idempotency-Replayed",
        "PreferenceApplied" => "Preference-Applied",
        "RequestId" => "Request-Id",
        "RetryAfter" => "Retry-After",
        same => same,
    }
}

/// Puts the example of a parameter where it helps: a form begins with what is needed, and with nothing that would
/// narrow what is asked for.
pub fn show(parameter: &mut Value, schemas: &Value) {
    let Some(members) = parameter.as_object_mut() else { return };
    let schema = members.get("schema").cloned().unwrap_or_default();
    let named = schema["$ref"].as_str().and_then(|text| text.rsplit('/').next());
    let of_type = named.map(|name| schemas[name]["examples"][0].clone()).filter(|example| !example.is_null());
    let example = members.remove("example").or(of_type);
    let Some(example) = example else { return };
    if members.get("required").and_then(serde_json::Value::as_bool) == Some(true) {
        members.insert("example".into(), example);
    } else if let Some(schema) = members.get_mut("schema") {
        schema["examples"] = json!([example]);
    }
}
