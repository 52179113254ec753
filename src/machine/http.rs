//! Commands that come as signed HTTP requests: the kind follows from the route, the body is the arguments,
//! the id is the idempotency key.

use super::command::{Args, Body, read_args};
use super::kind::Kind;
use super::route::Route;
use crate::sign::{AwardOrder, HttpSigned, Typ, read_body};
use crate::types::{Fingerprint, Hash, Ident, MAX_INT, Refusal, Refused};

/// The query that asks what would happen. Who signed it has not asked that it happen.
const DRY_RUN: &str = "dry_run=true";

/// Where a request goes, by its absolute URI. The authority is for whoever receives it: it knows its own
/// address, and the log outlives it.
struct Target<'a> {
    path: &'a str,
    dry_run: bool,
}

impl<'a> Target<'a> {
    fn of(uri: &'a str) -> Result<Self, Refused> {
        let wrong = |about: &str| Refused::about(Refusal::Malformed, format!("@target-uri: {about}"));
        let (_, rest) = uri.split_once("://").ok_or_else(|| wrong("not absolute"))?;
        // The authority ends before the path; a query that begins before it leaves no path.
        let at = rest.find(['/', '?']).filter(|at| rest.get(*at..).is_some_and(|path| path.starts_with('/')));
        let at = at.ok_or_else(|| wrong("no path"))?;
        let (_, path) = rest.split_at(at);
        match path.split_once('?') {
            None => Ok(Self { path, dry_run: false }),
            Some((path, DRY_RUN)) => Ok(Self { path, dry_run: true }),
            Some(_) => Err(wrong("the query of a command is dry_run=true or absent")),
        }
    }
}

/// What a signed request asks for.
pub(super) struct Read {
    pub body: Body,
    /// `None` for an award: its id is the token's.
    pub cid: Option<Ident>,
    pub fingerprint: Fingerprint,
    pub dry_run: bool,
}

/// Reads a signed request as a command; consents are not among it.
pub(super) fn read_http(signed: &HttpSigned, net: Hash) -> Result<Read, Refused> {
    let message = signed.message();
    let target = Target::of(&message.target_uri)?;
    let no_command = || {
        let about = format!("{} {} takes no signed request as a command", message.method, target.path);
        Refused::about(Refusal::Malformed, about)
    };
    let kind = Route::signed_kind(&message.method, target.path).ok_or_else(no_command)?;
    let content = message.content_type.as_deref().unwrap_or_default();
    if !is_json(content) {
        return Err(Refused::about(Refusal::Malformed, "content-type: application/json is wanted"));
    }
    let id = message.id().and_then(|id| id.parse::<Ident>().ok()).ok_or_else(|| {
        Refused::about(Refusal::Malformed, "idempotency-key: 1 to 64 of A-Z a-z 0-9 . _ -, quoted or bare")
    })?;
    let text = message.body.as_deref().unwrap_or_default();
    let fingerprint = Fingerprint::of_all(&[
        message.method.as_bytes(),
        b" ",
        target.path.as_bytes(),
        b"\n",
        text.as_bytes(),
    ]);
    let (body, cid) = match kind {
        Kind::PointsIssued => {
            // It counts as long as its signature, which is judged for itself: where commands bring their own
            // time the two clocks have nothing to do with each other.
            let token = read_body::<AwardOrder>(text)?.token(net, id, MAX_INT);
            (Body::Issue(Box::new(token)), None)
        }
        kind => (read_args(kind, Args::Body(text))?, Some(id)),
    };
    Ok(Read { body, cid, fingerprint, dry_run: target.dry_run })
}

/// As which statement a key's purpose must allow it: the same as if it came as a statement.
pub(super) fn typ_of(kind: Kind) -> Typ {
    if kind == Kind::PointsIssued { Typ::PointToken } else { Typ::Command }
}

/// JSON is UTF-8, whether that is said or not.
fn is_json(content_type: &str) -> bool {
    let (essence, parameter) = content_type.split_once(';').unwrap_or((content_type, "charset=utf-8"));
    essence.trim().eq_ignore_ascii_case("application/json")
        && parameter.trim().eq_ignore_ascii_case("charset=utf-8")
}
