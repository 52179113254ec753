//! Problems: every answer that is not what was asked for, in the form of RFC 9457.
//!
//! Owns: which status a refusal has, the codes of what can go wrong on the way to the machine, the body.
//! Promises: a code never changes its meaning; a fault says nothing of its cause, only an id under which the
//! cause stands in this node's own log.
//! Refuses to know: why something was refused.

use crate::engine::Failure;
use crate::types::{Action, Refusal, Refused};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::any::Any;
use std::fmt;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($name:ident $code:literal $status:ident $action:ident $text:literal)*) => {
        /// What can go wrong before the machine is asked, or when something broke.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code { $(#[doc = $text] $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status of the answer.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What a till should do.
            pub fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)* }
            }

            /// What it means and what to do.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    Unauthenticated "unauthenticated" UNAUTHORIZED FixRequest "Who asks? Send an API key as `Authorization: Bearer th_…`, or sign the request (RFC 9421)."
    ApiKeyUnknown "api_key_unknown" UNAUTHORIZED FixRequest "There is no such API key. It may be of another network."
    ApiKeyExpired "api_key_expired" UNAUTHORIZED CallIssuer "The API key has expired or was revoked. Make a new one."
    SignatureReplayed "signature_replayed" UNAUTHORIZED FixRequest "This signature was used before. Sign each request anew, with a nonce of its own."
    ScopeMissing "scope_missing" FORBIDDEN FixRequest "These credentials do not have the scope that the operation needs. The detail names it."
    NotYours "not_yours" FORBIDDEN FixRequest "This belongs to somebody else."
    AlreadyTaken "already_taken" CONFLICT FixRequest "This is taken, or decided, already."
    DocumentMismatch "document_mismatch" UNPROCESSABLE_ENTITY FixRequest "The document's SHA-256 is none that you brought in this dispute or complaint. Bring the hash first, in a statement; then hand in exactly those bytes."
    FileMismatch "file_mismatch" UNPROCESSABLE_ENTITY FixRequest "The SHA-256 is not that of the file of payment orders that would leave, so under it nothing could. The detail says where the file is looked at: approve the hash that stands there."
    DocumentErased "document_erased" GONE FixRequest "This document was erased by the operator's root. Its hash stays in the log. The detail says when, and which key signed for it."
    NotFound "not_found" NOT_FOUND FixRequest "There is nothing here."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED FixRequest "This address does not take this method. The header Allow names those that it takes."
    MediaTypeUnsupported "media_type_unsupported" UNSUPPORTED_MEDIA_TYPE FixRequest "The body is not of a media type that this operation takes. The detail names them."
    IdempotencyKeyMissing "idempotency_key_missing" BAD_REQUEST FixRequest "A write needs an Idempotency-Key: an id of your own, the same for every retry."
    IdempotencyKeyMismatch "idempotency_key_mismatch" BAD_REQUEST FixRequest "The header Idempotency-Key and the id in the statement differ. Leave the header out, or make them equal."
    QueryInvalid "query_invalid" BAD_REQUEST FixRequest "The query or the path is not of the documented form. The detail names the place."
    CursorInvalid "cursor_invalid" BAD_REQUEST FixRequest "The cursor is not one that this list gave. Begin without a cursor."
    BodyInvalid "body_invalid" BAD_REQUEST FixRequest "The body is not of the documented form. `errors` names the places."
    HeaderInvalid "header_invalid" BAD_REQUEST FixRequest "A header is not of the documented form. The detail names it."
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE FixRequest "The body is larger than this operation takes. Split it."
    BodyTooSlow "body_too_slow" REQUEST_TIMEOUT Retry "The body did not arrive in time. Send it again."
    RateLimited "rate_limited" TOO_MANY_REQUESTS Retry "Too many requests. The headers RateLimit and Retry-After say when to go on."
    HeldKeyMissing "held_key_missing" FORBIDDEN FixRequest "An API key writes with a key that the network holds, and it holds none of the needed purpose for you. Make one at /v1/held-keys, or sign the request yourself."
    NotYetThere "not_yet_there" SERVICE_UNAVAILABLE Retry "This node does not show the entry of Min-Seq yet. Ask again in a moment."
    Stale "stale" SERVICE_UNAVAILABLE Retry "This node has not seen the end of the log for a while, so what it knows may be old. Ask again in a moment; another node may know more."
    NotReady "not_ready" CONFLICT FixRequest "This cannot be made or read now. The detail says what must be done first."
    Busy "busy" SERVICE_UNAVAILABLE Retry "The network is busy or not ready. Send the same again, under the same Idempotency-Key, in a moment."
    Broken "internal" INTERNAL_SERVER_ERROR Retry "Something broke here. Nothing was told of its outcome: send the same again, under the same Idempotency-Key."
}

/// One wrong place in a body.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Wrong {
    /// A JSON pointer (RFC 6901) to the place.
    #[schema(example = "/amount")]
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// An answer that is not what was asked for (RFC 9457).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/v1/refusals#insufficient_points")]
    kind: String,
    /// What it means and what to do.
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What exactly it was about.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// The stable code: a refusal, or what went wrong before.
    #[schema(example = "insufficient_points")]
    code: &'static str,
    /// What a till should do: `fix_request`, `other_tender`, `retry` or `call_issuer`.
    #[schema(example = "other_tender")]
    action: &'static str,
    /// Names this request in the node's own log.
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
    /// Wrong places in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
    #[serde(skip)]
    retry_after: Option<u32>,
    #[serde(skip)]
    allow: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, action: Action, title: &'static str) -> Self {
        Self {
            kind: format!("/v1/refusals#{code}"),
            title,
            status: status.as_u16(),
            detail: String::new(),
            code,
            action: action.code(),
            request_id: String::new(),
            errors: vec![],
            retry_after: status.is_server_error().then_some(1),
            allow: None,
        }
    }

    /// With what exactly it was about. Never a secret, never a cause inside this node.
    pub fn about(code: Code, detail: impl fmt::Display) -> Self {
        Self { detail: detail.to_string(), ..code.into() }
    }

    /// Names the wrong places.
    pub fn with_errors(self, errors: Vec<Wrong>) -> Self {
        Self { errors, ..self }
    }

    /// Says when to come again, in seconds.
    pub fn after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Names the methods that an address takes.
    pub fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// Names the request.
    pub fn of_request(mut self, id: &str) -> Self {
        id.clone_into(&mut self.request_id);
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A fault: its cause goes to this node's log only.
    pub fn fault(cause: impl fmt::Display + Any) -> Self {
        tracing::error!(%cause, "fault");
        if is_away(&cause) { Code::Busy.into() } else { Code::Broken.into() }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code.status(), code.code(), code.action(), code.text())
    }
}

impl From<Refused> for Problem {
    fn from(no: Refused) -> Self {
        let base = Self::new(status(no.code), no.code.code(), no.code.action(), no.code.text());
        let errors = if no.code == Refusal::Malformed { place(&no.about) } else { None };
        Self { detail: no.about, errors: errors.into_iter().collect(), ..base }
    }
}

/// The place that the machine names in a body, `sale.currency: missing`. Other things that it names (header fields,
/// parts of a target) have signs in them that no member's name has.
fn place(about: &str) -> Option<Wrong> {
    let (path, why) = about.split_once(": ")?;
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let pointer = || format!("/{}", path.replace('.', "/"));
    path.split('.').all(is_name).then(|| Wrong { pointer: pointer(), detail: why.to_owned() })
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(no) => no.into(),
            // No defect of this node, and under a flood there would be a line for each request.
            Failure::Busy => Code::Busy.into(),
            Failure::Deposed => {
                tracing::error!("another writer took over");
                Code::Busy.into()
            }
            Failure::Unavailable(cause) => {
                tracing::error!(%cause, "unavailable");
                Code::Busy.into()
            }
        }
    }
}

impl From<crate::store::Fault> for Problem {
    fn from(fault: crate::store::Fault) -> Self {
        Self::fault(fault)
    }
}

impl From<crate::banking::Fault> for Problem {
    fn from(fault: crate::banking::Fault) -> Self {
        use crate::banking::Fault;
        match fault {
            Fault::No(why) => Self::about(Code::NotReady, why),
            Fault::Store(fault) => Self::fault(fault),
            Fault::Vault(fault) => Self::fault(fault),
            fault @ Fault::Damaged(_) => Self::fault(fault),
        }
    }
}

impl From<crate::reading::Fault> for Problem {
    fn from(fault: crate::reading::Fault) -> Self {
        match fault {
            crate::reading::Fault::Tiles(fault) => fault.into(),
            fault => Self::fault(fault),
        }
    }
}

impl From<crate::tiles::Fault> for Problem {
    fn from(fault: crate::tiles::Fault) -> Self {
        match fault {
            crate::tiles::Fault::Absent(what) => Self::about(Code::NotFound, what),
            fault => Self::fault(fault),
        }
    }
}

/// Whether a fault is that the database is away: nothing is broken, and the same may be asked again.
fn is_away(cause: &dyn Any) -> bool {
    use crate::{reading, store, tiles, vault};
    let of_tiles = |fault: &tiles::Fault| matches!(fault, tiles::Fault::Store(fault) if fault.is_away());
    cause.downcast_ref::<store::Fault>().is_some_and(store::Fault::is_away)
        || matches!(cause.downcast_ref(), Some(vault::Fault::Store(fault)) if fault.is_away())
        || cause.downcast_ref::<tiles::Fault>().is_some_and(of_tiles)
        || match cause.downcast_ref() {
            Some(reading::Fault::Store(fault)) => fault.is_away(),
            Some(reading::Fault::Tiles(fault)) => of_tiles(fault),
            _ => false,
        }
}

/// The status of a refusal.
pub fn status(code: Refusal) -> StatusCode {
    use Refusal as R;
    match code {
        R::TooLarge | R::TokenTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        R::Malformed
        | R::TokenMalformed
        | R::TokenHeader
        | R::TokenType
        | R::TokenPayload
        | R::AudienceMismatch
        | R::NotDriven
        | R::BatchMismatch => StatusCode::BAD_REQUEST,
        R::SignatureMalformed
        | R::SignatureCoverage
        | R::DigestMismatch
        | R::SignatureStale
        | R::SignatureInvalid
        | R::KeyUnknown
        | R::KeyRetired
        | R::KeyCompromised
        | R::KeyExpired => StatusCode::UNAUTHORIZED,
        R::KeyPurpose | R::KeyOwner => StatusCode::FORBIDDEN,
        R::TokenConflict | R::RefConflict | R::ConsentUsed | R::AlreadyExists | R::SerialStale => {
            StatusCode::CONFLICT
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if let Some(methods) = &self.allow {
            answer.insert_header((header::ALLOW, methods.as_str()));
        }
        if self.status == 401 {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        answer.insert_header((header::CONTENT_TYPE, MEDIA_TYPE)).json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_stable_words_and_none_stands_twice() {
        let refusals = Refusal::ALL.iter().map(|code| code.code());
        let all: Vec<&str> = refusals.chain(Code::ALL.iter().map(|code| code.code())).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for code in all {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn the_machine_names_places_in_bodies_and_other_things() {
        let pointer = |about: &str| place(about).map(|wrong| (wrong.pointer, wrong.detail));
        let some = |pointer: &str, why: &str| Some((pointer.to_owned(), why.to_owned()));
        assert_eq!(pointer("amount: missing"), some("/amount", "missing"));
        assert_eq!(pointer("sale.currency: unknown member"), some("/sale/currency", "unknown member"));
        for other in ["not JSON", "@target-uri: no path", "content-type: application/json is wanted", ": x"] {
            assert_eq!(pointer(other), None, "{other}");
        }
    }

    #[test]
    fn a_refusal_is_never_our_fault_and_a_fault_says_no_cause() {
        for code in Refusal::ALL {
            assert!(status(*code).is_client_error(), "{code}");
        }
        let problem = Problem::from(Failure::Unavailable("the disk /var/x is full".into()));
        let text = serde_json::to_string(&problem).expect("JSON");
        assert!(!text.contains("disk") && text.contains("\"status\":503"), "{text}");
        let away = || crate::store::Fault::Unreachable { path: "postgres://h/d".into(), why: "no".into() };
        let all = [
            Problem::from(away()),
            Problem::fault(crate::vault::Fault::Store(away())),
            Problem::from(crate::tiles::Fault::Store(away())),
            Problem::from(crate::reading::Fault::Store(away())),
            Problem::from(crate::reading::Fault::Tiles(crate::tiles::Fault::Store(away()))),
        ];
        for problem in all {
            assert_eq!((problem.status, problem.retry_after), (503, Some(1)), "{problem:?}");
        }
        assert_eq!(Problem::from(crate::store::Fault::Unfit("x".into())).status, 500);
    }
}
