//! Calls: what a handler is given of a request.
//!
//! Owns: who asks, as the gate found out; the body of a write, in bounds of size and time.
//! Promises: a handler that asks for a [`Caller`] is not reached without one.
//! Refuses to know: credentials; the gate looked at them.

use super::problem::{Code, Problem};
use super::service::Service;
use crate::book::Principal;
use crate::machine::{Reader, Role, Route, Scope};
use crate::types::{AccountId, BrandId, Kid, UnitCode};
use crate::vault::WalletId;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use std::future::{Ready, ready};
use std::time::Duration;

/// On whose behalf somebody asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// The operator of the network, or one who works for it.
    Operator,
    /// A brand.
    Brand(BrandId),
    /// The holder of an account.
    Account(AccountId),
    /// A person.
    Wallet(WalletId),
    /// Whoever has the token of an application.
    Applicant(String),
}

impl Whom {
    /// Whoever owns a key.
    pub fn of(owner: &Principal) -> Self {
        match owner {
            Principal::Operator => Self::Operator,
            Principal::Brand(brand) => Self::Brand(brand.clone()),
            Principal::Account(account) => Self::Account(*account),
        }
    }
}

/// How it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// An API key, by its id.
    ApiKey(String),
    /// A signature by this key.
    Signature(Kid),
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// On whose behalf.
    pub whom: Whom,
    /// As what.
    pub role: Role,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// How it is known.
    pub via: Via,
}

/// Whose key signs requests in a role that may more than an API key.
fn signer(role: &Role) -> Option<&'static str> {
    match role {
        Role::Operator => Some("a root of the operator"),
        Role::Operations => Some("an analyst's key"),
        Role::BrandAdmin => Some("the brand's root"),
        Role::Consumer => Some("the account's key"),
        Role::Approver => Some("an approver's key"),
        Role::BrandFinance | Role::Till | Role::Analyst | Role::Auditor => None,
    }
}

impl Caller {
    /// Refuses who lacks a scope.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let role = self.role;
        let who = Role::ALL.iter().filter(|role| role.scopes().contains(&scope)).filter_map(signer);
        let who = who.collect::<Vec<_>>().join(", ");
        let about = match self.via {
            Via::ApiKey(_) if !scope.for_api_keys() => format!(
                "needed: {scope}, which no API key has. It is signed, by {who}: `tallyhouse sign …`; role: {role}"
            ),
            Via::Signature(_) if !who.is_empty() => format!("needed: {scope}, as {who} has; role: {role}"),
            _ => format!("needed: {scope}; role: {role}"),
        };
        Err(Problem::about(Code::ScopeMissing, about))
    }

    /// Whether they may see what everybody's accounts hold: the operator, whoever works on its disputes, its auditors.
    pub fn sees_all(&self) -> bool {
        self.whom == Whom::Operator && matches!(self.role, Role::Operator | Role::Operations | Role::Auditor)
    }

    /// The brand that they act for.
    pub fn brand(&self) -> Option<&BrandId> {
        match &self.whom {
            Whom::Brand(brand) => Some(brand),
            _ => None,
        }
    }

    /// The brand whose things are asked for: their own, or one that the operator names.
    pub fn brand_or<'a>(&'a self, named: Option<&'a BrandId>) -> Result<&'a BrandId, Problem> {
        match (self.brand(), named) {
            (Some(own), None) => Ok(own),
            (Some(own), Some(named)) if own == named => Ok(own),
            (Some(_), Some(_)) => Err(Problem::from(Code::NotYours)),
            (None, Some(named)) if self.whom == Whom::Operator => Ok(named),
            (None, None) if self.whom == Whom::Operator => {
                Err(Problem::about(Code::QueryInvalid, "brand: whose? The operator must name one"))
            }
            _ => Err(Problem::from(Code::NotYours)),
        }
    }
}

impl Service {
    /// As whom somebody reads the log. Who has no name there reads what is everybody's.
    pub fn reader(&self, whom: &Whom) -> Result<Reader, Problem> {
        Ok(match whom {
            Whom::Operator => Reader::Operator,
            Whom::Brand(brand) => self.entries.known().brand(brand)?.ok_or(Code::NotYours)?,
            Whom::Account(account) => Reader::Accounts(vec![*account]),
            Whom::Wallet(wallet) => {
                let accounts = self.vault.accounts(*wallet).map_err(Problem::fault)?;
                Reader::Accounts(accounts.into_iter().map(|(_, account)| account).collect())
            }
            Whom::Applicant(_) => Reader::Accounts(vec![]),
        })
    }

    /// Refuses who may not see an account: it is for its holder, the holder's wallet, its unit's brand, and
    /// those who see all. Whether there is such an account is told to nobody else.
    pub fn may_see_account(
        &self,
        caller: &Caller,
        account: AccountId,
        unit: Option<UnitCode>,
    ) -> Result<(), Problem> {
        let may = match &caller.whom {
            _ if caller.sees_all() => true,
            Whom::Account(own) => *own == account,
            Whom::Brand(brand) => match unit {
                Some(unit) => self.brand_of(unit)?.as_ref() == Some(brand),
                None => false,
            },
            Whom::Wallet(wallet) => {
                let holder = self.vault.wallet_of_account(account).map_err(Problem::fault)?;
                holder == Some(*wallet)
            }
            Whom::Operator | Whom::Applicant(_) => false,
        };
        if may {
            Ok(())
        } else {
            Err(Problem::about(Code::NotFound, "no such account, or it is not yours to see"))
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| Code::Unauthenticated.into()))
    }
}

/// The service of a request.
pub fn service(request: &HttpRequest) -> Result<web::Data<Service>, Problem> {
    let data = request.app_data::<web::Data<Service>>().cloned();
    data.ok_or_else(|| Problem::fault("a server without a service"))
}

/// The route of a request, as the gate found it.
pub fn route(request: &HttpRequest) -> Result<&'static Route, Problem> {
    request.extensions().get::<&'static Route>().copied().ok_or_else(|| Code::NotFound.into())
}

/// A header as text.
pub fn header(request: &HttpRequest, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut all = request.headers().get_all(&name);
    let (first, more) = (all.next(), all.next());
    match (first, more) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::about(Code::HeaderInvalid, format!("{name} stands twice"))),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(Problem::about(Code::HeaderInvalid, format!("{name} is not plain text"))),
        },
    }
}

/// A body of more bytes than are taken.
pub fn too_large(most: usize) -> Problem {
    Problem::about(Code::BodyTooLarge, format!("at most {most} bytes"))
}

/// Reads the body, in bounds of size and time.
pub async fn body(payload: &mut Payload, most: usize, within: Duration) -> Result<web::Bytes, Problem> {
    let reading = async {
        let mut whole = web::BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::about(Code::BodyInvalid, "the body ended early"))?;
            if whole.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    };
    match actix_web::rt::time::timeout(within, reading).await {
        Ok(whole) => whole,
        Err(_) => Err(Code::BodyTooSlow.into()),
    }
}
