//! Malformed, under-covered and stale HTTP signatures: each with its refusal.
//!
//! A row is a name, what is changed in a sound request, and the wanted refusal with a word of its detail. A
//! change is `FIELD: TEXT` or `FIELD -` to take the field away; a change of `input` is `PART => OTHER` within
//! our member. What was changed is not signed again: all of these are refused before anybody asks for a key.

use super::*;

const NONCE: &str = "0123456789abcdef";

const TABLE: &str = r#"
sound                      |                                                  | ok
empty input                | signature-input:                                 | signature_malformed tag=
no input at all            | signature-input: x=1                             | signature_malformed tag=
not a dictionary           | signature-input: ("@method");tag="tallyhouse-v1" | signature_malformed signature-input
wrong tag                  | input tallyhouse-v1 => tallyhouse-v2             | signature_malformed tag=
tag as a token             | input "tallyhouse-v1" => tallyhouse              | signature_malformed tag=
no tag                     | input ;tag="tallyhouse-v1" =>                    | signature_malformed tag=
two labels                 | twice                                            | signature_malformed two signatures
the label twice            | same label                                       | signature_malformed twice
an item, not a list        | input ("@method" "@target-uri" "content-type" "content-digest" "idempotency-key") => "@method" | signature_malformed tag=
another label's signature  | signature: other=:AAAA:                          | signature_malformed signature: tallyhouse
no signature               | signature:                                       | signature_malformed signature: tallyhouse
a short signature          | signature: tallyhouse=:AAAA:                     | signature_malformed 64 bytes
a text as signature        | signature: tallyhouse="AAAA"                     | signature_malformed signature: tallyhouse
a signature with a parameter | signature: tallyhouse=:AAAA:;a=1               | signature_malformed signature: tallyhouse
wrong alg                  | input ed25519 => rsa-pss-sha512                  | signature_malformed alg
alg as a token             | input "ed25519" => ed25519                       | signature_malformed alg
unknown parameter          | input ;alg="ed25519" => ;context="x"             | signature_malformed context
no created                 | input ;created=1000 =>                           | signature_malformed created: missing
no expires                 | input ;expires=1300 =>                           | signature_malformed expires: missing
no nonce                   | input ;nonce="0123456789abcdef" =>               | signature_malformed nonce: missing
a short nonce              | input 0123456789abcdef => 0123456789abcde        | signature_malformed nonce
a number as nonce          | input "0123456789abcdef" => 12345678901          | signature_malformed nonce
no keyid                   | input {keyid} =>                                 | signature_malformed keyid: missing
a name as keyid            | input {keyid} => ;keyid="till-1"                 | signature_malformed keyid
created as text            | input 1000 => "1000"                             | signature_malformed created
created with a fraction    | input 1000 => 1000.5                             | signature_malformed created
created before 1970        | input 1000 => -1000                              | signature_malformed created
created as a date          | input 1000 => @1000                              | signature_malformed created
created with a zero        | input 1000 => 01000                              | signature_malformed form
created twice              | input ;expires => ;created=1001;expires          | signature_malformed form
white space within         | input ;expires => ; expires                      | signature_malformed form
two spaces                 | input "@method" " => "@method"  "                | signature_malformed form
a component twice          | input "content-type" => "@method"                | signature_malformed twice
a token as component       | input "@method" => method                        | signature_malformed a component
counts too long            | input 1300 => 1301                               | signature_stale 300 s
counts for no time         | input 1300 => 1000                               | signature_stale 300 s
over before it begins      | input 1300 => 999                                | signature_stale 300 s
method not covered         | input "@method"_ =>                              | signature_coverage @method: not covered
target not covered         | input _"@target-uri" =>                          | signature_coverage @target-uri: not covered
type not covered           | input _"content-type" =>                         | signature_coverage content-type: not covered
digest not covered         | input _"content-digest" =>                       | signature_coverage content-digest: not covered
id not covered             | input _"idempotency-key" =>                      | signature_coverage idempotency-key: not covered
covers nothing             | input "@method" "@target-uri" "content-type" "content-digest" "idempotency-key" => | signature_coverage @method: not covered
covers content-length      | input "content-type" => "content-type" "content-length" | signature_coverage content-length: not taken
covers only a path         | input "@target-uri" => "@path"                   | signature_coverage @path: not taken
covers the authority       | input "@method" => "@method" "@authority"        | signature_coverage @authority: not taken
covers authorization that is not sent | input "@method" => "@method" "authorization" | signature_coverage authorization: not taken
a component of a request   | input "@method" => "@method";req                 | signature_coverage @method;req
a component in bytes       | input "content-type" => "content-type";bs        | signature_coverage content-type;bs
covers a body that is not there | body:                                       | signature_coverage content-type: not taken
a write with a secret      | authorization: Bearer th_test_x                  | signature_coverage authorization: a signed write
a write without an id      | idempotency-key -                                | signature_coverage idempotency-key: a write
no digest                  | content-digest -                                 | digest_mismatch missing
a digest of something else | body: {"payment":"pay_8.0"}                      | digest_mismatch other bytes
an empty digest            | content-digest:                                  | digest_mismatch exactly one
another algorithm          | content-digest: sha-512=:AAAA:                   | digest_mismatch exactly one
two digests                | content-digest: {digest}, sha-512=:AAAA:         | digest_mismatch exactly one
a digest in base64url      | content-digest: sha-256=:AA-_:                   | digest_mismatch other bytes
no type                    | content-type -                                   | signature_malformed content-type: missing
a long id                  | idempotency-key: {257}                           | signature_malformed idempotency-key
an id of two lines         | idempotency-key: a{newline}b                     | signature_malformed idempotency-key
an id that is not ASCII    | idempotency-key: ä                               | signature_malformed idempotency-key
an empty id                | idempotency-key:                                 | signature_malformed idempotency-key
a small method             | method: post                                     | signature_malformed @method
a relative target          | target: /v1/captures                             | signature_malformed @target-uri
a target of another sort   | target: ftp://points.example/v1/captures         | signature_malformed @target-uri
a target with a fragment   | target: https://points.example/v1/captures#x     | signature_malformed @target-uri
a target with a space      | target: https://points.example/v1/cap tures      | signature_malformed @target-uri
a large body               | body: {4097}                                     | too_large 4096
"#;

/// The fields of a sound request, to be changed.
struct Fields {
    method: String,
    target: String,
    content_type: Option<String>,
    digest: Option<String>,
    id: Option<String>,
    authorization: Option<String>,
    input: String,
    signature: String,
    body: String,
}

impl Fields {
    fn sound() -> Self {
        let key = SecretKey::from_seed([9; 32]);
        let message =
            HttpMessage::post("https://points.example/v1/captures", "cap-1", r#"{"payment":"pay_7.0"}"#);
        let message = message.sign(&key, 1_000, NONCE);
        let headers = message.headers();
        let field = |name| headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.clone());
        Self {
            method: message.method.clone(),
            target: message.target_uri.clone(),
            content_type: field("content-type"),
            digest: field("content-digest"),
            id: field("idempotency-key"),
            authorization: None,
            input: field("signature-input").expect("signed"),
            signature: field("signature").expect("signed"),
            body: message.body.expect("a body"),
        }
    }

    fn change(&mut self, how: &str) {
        let keyid = format!(";keyid=\"{}\"", SecretKey::from_seed([9; 32]).public().kid());
        let how =
            how.replace("{digest}", self.digest.as_deref().unwrap_or_default()).replace("{keyid}", &keyid);
        let how = how
            .replace("{257}", &"x".repeat(257))
            .replace("{4097}", &"x".repeat(4097))
            .replace("{newline}", "\n");
        match how.as_str() {
            "" => return,
            "twice" => {
                return self.input =
                    format!("{}, b={}", self.input, self.input.split_once('=').expect("a member").1);
            }
            "same label" => return self.input = format!("{0}, {0}", self.input),
            _ => {}
        }
        if let Some(within) = how.strip_prefix("input ") {
            // An underscore stands for the space beside a component.
            let (from, to) = within.split_once(" =>").expect("from => to");
            let (from, to) = (from.replace('_', " "), to.strip_prefix(' ').unwrap_or_default());
            assert!(self.input.contains(&from), "{from:?} is not in {}", self.input);
            return self.input = self.input.replacen(&from, to, 1);
        }
        if let Some(name) = how.strip_suffix(" -") {
            let field = match name {
                "content-type" => &mut self.content_type,
                "content-digest" => &mut self.digest,
                "idempotency-key" => &mut self.id,
                other => panic!("{other} cannot be taken away"),
            };
            return *field = None;
        }
        let (name, text) = how.split_once(':').expect("a field and its text");
        let text = text.strip_prefix(' ').unwrap_or(text).to_owned();
        match name {
            "signature-input" => self.input = text,
            "signature" => self.signature = text,
            "content-digest" => self.digest = Some(text),
            "idempotency-key" => self.id = Some(text),
            "authorization" => self.authorization = Some(text),
            "method" => self.method = text,
            "target" => self.target = text,
            "body" => self.body = text,
            other => panic!("{other} cannot be changed"),
        }
    }

    fn read(&self) -> Result<HttpSigned, Refused> {
        HttpFields {
            method: &self.method,
            target_uri: &self.target,
            content_type: self.content_type.as_deref(),
            content_digest: self.digest.as_deref(),
            idempotency_key: self.id.as_deref(),
            authorization: self.authorization.as_deref(),
            signature_input: &self.input,
            signature: &self.signature,
            body: self.body.as_bytes(),
        }
        .read()
    }
}

#[test]
fn malformed_requests_and_their_refusals() {
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, change, wanted] = cells[..] else { panic!("three cells: {row}") };
        let mut fields = Fields::sound();
        fields.change(change);
        let (code, word) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let (got, about) = match fields.read() {
            Ok(_) => ("ok", String::new()),
            Err(no) => (no.code.code(), no.about),
        };
        if got != code || !about.contains(word) {
            wrong.push(format!("{name}: {got} ({about}), not {wanted}"));
        }
        names.push(name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "a name stands twice");
}

#[test]
fn a_body_that_is_not_text_is_refused() {
    let fields = Fields::sound();
    let mut asked = HttpFields { body: &[0xff, 0xfe], ..HttpFields::default() };
    (asked.signature_input, asked.signature) = (&fields.input, &fields.signature);
    assert_eq!(asked.read().map_err(|no| no.code).err(), Some(Refusal::SignatureMalformed));
}
