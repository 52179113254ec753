//! A request as it arrived: finds our signature among those that it carries.

use super::input::malformed;
use super::{HttpMessage, HttpSigned, MAX_BODY, TAG};
use crate::types::{Refusal, Refused, b64};
use sfv::{Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256};

/// The field `Content-Digest` of a body (RFC 9530), in the one form that is taken.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", data_encoding::BASE64.encode(&Sha256::digest(body)))
}

/// The fields of a request. A field that stands in several lines is joined with a comma and a space, as
/// RFC 9110 says; `target_uri` is made of the network's own public address and the path and query as they
/// came, never of forwarded fields.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct HttpFields<'a> {
    pub method: &'a str,
    pub target_uri: &'a str,
    pub content_type: Option<&'a str>,
    pub content_digest: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    pub authorization: Option<&'a str>,
    pub signature_input: &'a str,
    pub signature: &'a str,
    /// Empty if there is none.
    pub body: &'a [u8],
}

impl HttpFields<'_> {
    /// The signed message among these fields, its coverage and the digest of its body checked; not its
    /// signature, and not its time.
    pub fn read(&self) -> Result<HttpSigned, Refused> {
        self.read_within(MAX_BODY)
    }

    /// [`HttpFields::read`] for a request that the log does not keep: its body may have this many bytes.
    pub fn read_within(&self, longest: usize) -> Result<HttpSigned, Refused> {
        let (label, input) = ours(self.signature_input)?;
        let signature = signature_of(self.signature, label)?;
        let body = match self.body {
            [] => None,
            bytes => Some(std::str::from_utf8(bytes).map_err(|_| malformed("body: not UTF-8"))?),
        };
        let field = |value: Option<&str>| value.map(|value| value.trim().to_owned());
        let message = HttpMessage {
            method: self.method.into(),
            target_uri: self.target_uri.into(),
            content_type: field(self.content_type.filter(|_| body.is_some())),
            idempotency_key: field(self.idempotency_key),
            signature_input: input.into(),
            signature: b64(&signature),
            body: body.map(str::to_owned),
            authorization: field(self.authorization),
        };
        let signed = HttpSigned::parse_within(message, longest)?;
        let Some(body) = body else { return Ok(signed) };
        match self.content_digest.map(str::trim) {
            Some(given) if given == content_digest(body.as_bytes()) => Ok(signed),
            Some(given) if given.starts_with("sha-256=:") && !given.contains(',') => {
                Err(Refused::about(Refusal::DigestMismatch, "content-digest: of other bytes than the body"))
            }
            Some(_) => Err(Refused::about(
                Refusal::DigestMismatch,
                "content-digest: exactly one sha-256=:…: is wanted",
            )),
            None => {
                Err(Refused::about(Refusal::DigestMismatch, "content-digest: missing, and there is a body"))
            }
        }
    }
}

/// The one member that carries our tag: its label, and its text as it came.
fn ours(field: &str) -> Result<(&str, &str), Refused> {
    let (parsed, members) = members("signature-input", field)?;
    let tagged = |label: &str| match parsed.get(label) {
        Some(ListEntry::InnerList(list)) => {
            list.params.get("tag").and_then(|tag| tag.as_string()).is_some_and(|tag| tag.as_str() == TAG)
        }
        _ => false,
    };
    let mut ours = members.into_iter().filter(|(label, _)| tagged(label));
    match (ours.next(), ours.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(malformed(format!("signature-input: no signature with tag={TAG:?}"))),
        (Some(_), Some(_)) => Err(malformed(format!("signature-input: two signatures with tag={TAG:?}"))),
    }
}

fn signature_of(field: &str, label: &str) -> Result<[u8; 64], Refused> {
    let (parsed, _) = members("signature", field)?;
    let bytes = match parsed.get(label) {
        Some(ListEntry::Item(item)) if item.params.is_empty() => item.bare_item.as_byte_sequence(),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| malformed(format!("signature: {label}=:…: is missing")))?;
    bytes.try_into().map_err(|_| malformed("signature: not 64 bytes"))
}

/// Members of a dictionary as they came: label and text.
type Members<'a> = Vec<(&'a str, &'a str)>;

/// A dictionary, read and also as the texts of its members.
fn members<'a>(name: &str, field: &'a str) -> Result<(Dictionary, Members<'a>), Refused> {
    let parsed: Dictionary = Parser::new(field).parse().map_err(|e| malformed(format!("{name}: {e}")))?;
    let mut all = vec![];
    if field.trim().is_empty() {
        return Ok((parsed, all));
    }
    let (mut quoted, mut escaped) = (false, false);
    let ends = |c: char| {
        let comma = c == ',' && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        comma
    };
    for member in field.split(ends) {
        let (label, text) = member.split_once('=').unwrap_or((member, ""));
        all.push((label.trim(), text.trim()));
    }
    if all.len() != parsed.len() {
        return Err(malformed(format!("{name}: a label stands twice")));
    }
    Ok((parsed, all))
}
