//! What is left of the evidence of an entry, read as closely as when nothing is missing.
//!
//! Owns: which statement stands where, and what it says.
//! Promises: a statement that is left is of the sort that belongs into its place, is meant for this network, and
//! is for an entry of this kind.
//! Refuses to know: whether it fits the effects; deciding with it shows that.

use super::super::command::{Body, audience, given, read_approval, read_first};
use super::super::entry::bodies;
use super::super::http::read_http;
use super::super::kind::Kind;
use super::super::verify::Stored;
use crate::log::Slot;
use crate::network::Asked;
use crate::payments::{Code, Consent};
use crate::sign::{Approval, HttpSigned, Jws, PaymentConsent, SpendCode, Typ};
use crate::types::{Hash, Kid, Malformed, Refused};

/// What is left.
#[derive(Debug, Default)]
pub(in super::super) struct Left {
    /// The command itself.
    pub first: Option<(Asked, Body)>,
    /// Consents, by their place behind the command.
    pub consents: Vec<Option<Consent>>,
    /// The code that was shown.
    pub code: Option<Code>,
    /// How many statements there were, those that are gone among them.
    pub statements: usize,
    /// All statements that are left, to verify them.
    pub jws: Vec<Jws>,
    /// The signed request, if it is left.
    pub http: Option<Box<HttpSigned>>,
}

fn bad(what: impl Into<String>) -> Malformed {
    Malformed(what.into())
}

fn refused(no: Refused) -> Malformed {
    Malformed(no.to_string())
}

impl Left {
    /// Reads the parts before the effects; each of them is evidence, or gone.
    pub fn read(entry: Stored, kind: Kind, net: Hash) -> Result<Self, Malformed> {
        let mut left = Self::default();
        for slot in entry.parts {
            let body = match slot {
                Slot::Erased(_) => None,
                Slot::Whole(bytes) => match bodies(std::iter::once(bytes.as_slice()))?.pop() {
                    Some(body) if body.is_evidence() => Some(body),
                    _ => break,
                },
            };
            let at = left.statements;
            left.statements = at.saturating_add(1);
            match (at, body) {
                (_, None) => left.gone(at, kind),
                (_, Some(body)) if body.http.is_some() => {
                    let http = body.http.filter(|_| at == 0);
                    left.message(
                        *http.ok_or_else(|| bad("a signed request that does not stand first"))?,
                        kind,
                        net,
                    )?;
                }
                (_, Some(body)) => left.statement(at, body.jws, kind, net)?,
            }
        }
        Ok(left)
    }

    fn gone(&mut self, at: usize, kind: Kind) {
        if at > 0 && kind == Kind::PaymentAuthorised {
            self.consents.push(None);
        }
    }

    fn message(&mut self, message: crate::sign::HttpMessage, kind: Kind, net: Hash) -> Result<(), Malformed> {
        let signed = HttpSigned::parse(message).map_err(refused)?;
        let read = read_http(&signed, net).map_err(refused)?;
        if read.body.kind() != kind || read.dry_run {
            return Err(bad(format!("a signed request that does not make a {kind}")));
        }
        let (kid, approvals) = (signed.kid(), vec![]);
        let asked = Asked { kid, approvals, cid: read.cid, fingerprint: read.fingerprint };
        self.first = Some((asked, read.body));
        self.http = Some(Box::new(signed));
        Ok(())
    }

    fn statement(&mut self, at: usize, jws: Option<Jws>, kind: Kind, net: Hash) -> Result<(), Malformed> {
        let jws = jws.ok_or_else(|| bad("a part that says nothing"))?;
        if at == 0 {
            let (body, cid) = read_first(&jws, net, None).map_err(refused)?;
            if body.kind() != kind {
                return Err(bad(format!("a {} that does not make a {kind}", jws.typ())));
            }
            let fingerprint = crate::types::Fingerprint::of(&jws.identity().0);
            self.first = Some((Asked { kid: jws.kid(), approvals: vec![], cid, fingerprint }, body));
        } else {
            self.other(&jws, kind, net)?;
        }
        self.jws.push(jws);
        Ok(())
    }

    /// What stands beside the command.
    fn other(&mut self, jws: &Jws, kind: Kind, net: Hash) -> Result<(), Malformed> {
        match (kind, jws.typ()) {
            (Kind::PaymentAuthorised, Typ::PaymentConsent) => {
                let claims: PaymentConsent = jws.payload().map_err(refused)?;
                audience(claims.aud, net).map_err(refused)?;
                self.consents.push(Some(given(jws, claims)));
            }
            (Kind::ConsentOpened, Typ::SpendCode) => {
                let claims: SpendCode = jws.payload().map_err(refused)?;
                audience(claims.aud, net).map_err(refused)?;
                self.code = Some(given(jws, claims));
            }
            (
                Kind::AccountOpened | Kind::AccountFrozen | Kind::AccountKeyRevoked | Kind::ExchangeMade,
                Typ::Approval,
            ) => {
                if self.http.is_some() {
                    return Err(bad("an approval of a signed request"));
                }
                let kid = match self.jws.first().filter(|_| self.first.is_some()) {
                    Some(first) => read_approval(jws, first, net).map_err(refused)?,
                    // Of what, is not known any more.
                    None => {
                        let claims: Approval = jws.payload().map_err(refused)?;
                        audience(claims.aud, net).map_err(refused)?;
                        jws.kid()
                    }
                };
                self.approved(kid)?;
            }
            (_, typ) => return Err(bad(format!("a {typ} beside what makes a {kind}"))),
        }
        Ok(())
    }

    fn approved(&mut self, kid: Kid) -> Result<(), Malformed> {
        if self.jws.iter().any(|one| one.typ() == Typ::Approval && one.kid() == kid) {
            return Err(bad("two approvals by one key"));
        }
        if let Some((asked, _)) = &mut self.first {
            asked.approvals.push(kid);
        }
        Ok(())
    }
}
