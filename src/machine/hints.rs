//! Hints: what a command is going to touch, as far as it and the records it names say.
//!
//! Owns: which records are looked up before a decision, many commands together; a look-up for each while it is
//! decided costs far more.
//! Promises: nothing. A hint is never an answer, and a decision that lacks something asks for it.
//! Refuses to know: what is done with the records.

use super::command::{Body, Command};
use crate::book::{Found, Name, Principal, Record, Source};
use crate::types::{AccountId, BrandId, Ident, Kid, PaymentId};
use std::sync::Arc;

/// How often it is worth asking again when [`Hints::more`] says so: a payment names its shares, a share its account.
pub const ROUNDS: usize = 3;

/// Names of records.
pub struct Hints<'a> {
    source: &'a dyn Source,
    /// What is going to be touched.
    pub names: Vec<Name>,
    /// Whether one of them is not at hand and will name more.
    pub more: bool,
}

/// What a command is going to touch.
pub fn hints<'a>(source: &'a dyn Source, command: &Command) -> Hints<'a> {
    let mut hints = Hints::of(source, vec![Name::Network]);
    hints.command(command);
    hints
}

impl<'a> Hints<'a> {
    /// These names, and none that they name.
    pub fn of(source: &'a dyn Source, names: Vec<Name>) -> Self {
        Self { source, names, more: false }
    }

    /// A record that names others.
    fn look(&mut self, name: Name) -> Option<Arc<Record>> {
        let found = self.source.find(&name);
        self.names.push(name);
        match found {
            Found::Known(record) => Some(record),
            Found::Absent => None,
            Found::NotLoaded => {
                self.more = true;
                None
            }
        }
    }

    fn owner(&mut self, kid: Kid) -> Option<Principal> {
        Some(self.look(Name::Key(kid))?.key()?.owner.clone())
    }

    /// The account that a key is of.
    fn holder(&mut self, kid: Kid) -> Option<AccountId> {
        match self.owner(kid)? {
            Principal::Account(account) => {
                self.names.push(Name::Account(account));
                Some(account)
            }
            _ => None,
        }
    }

    /// What a bill's terms are taken from if there is no offer: the fees, if there are any.
    fn fees(&mut self) {
        let network = self.look(Name::Network);
        if network.is_some_and(|record| record.network().is_some_and(|network| network.fees)) {
            self.names.push(Name::Fees);
        }
    }

    fn award(&mut self, iss: &BrandId, sub: AccountId, till: Option<&Ident>, reference: Option<&Ident>) {
        self.names.push(Name::Account(sub));
        if let Some(reference) = reference {
            let till = till.cloned().unwrap_or_default();
            self.names.push(Name::UsedRef(iss.clone(), till, reference.clone()));
        }
    }

    /// A payment that is there, what it rests on, and whose points those were.
    fn payment(&mut self, id: PaymentId) {
        let Some(record) = self.look(Name::Payment(id)) else { return };
        for terms in record.payment().iter().flat_map(|payment| &payment.shares) {
            let share = self.look(Name::Share(id, terms.unit));
            self.names.extend(share.and_then(|record| Some(Name::Account(record.share()?.account))));
        }
    }

    fn command(&mut self, command: &Command) {
        let asked = &command.asked;
        self.names.extend(command.kids().filter(|kid| *kid != asked.kid).map(Name::Key));
        let owner = self.owner(asked.kid);
        if let (Some(cid), Some(owner)) = (&asked.cid, owner) {
            self.names.push(Name::Command(owner, cid.clone()));
        }
        match &command.body {
            Body::Issue(token) => {
                self.names.push(Name::UsedToken(token.iss.clone(), token.jti.clone()));
                self.names.extend([Name::Unit(token.unit), Name::Brand(token.iss.clone())]);
                self.names.push(Name::Budget(asked.kid));
                self.award(&token.iss, token.sub, token.till.as_ref(), token.reference.as_ref());
            }
            Body::Batch(batch) => {
                let iss = &batch.claims.iss;
                self.names.push(Name::UsedToken(iss.clone(), batch.claims.jti.clone()));
                self.names.extend([Name::Unit(batch.claims.unit), Name::Brand(iss.clone())]);
                self.names.push(Name::Budget(asked.kid));
                for line in batch.awards().flatten() {
                    let award = &line.award;
                    self.award(iss, award.sub, award.till.as_ref(), award.reference.as_ref());
                }
            }
            Body::ClawBack(_) => self.names.push(Name::Budget(asked.kid)),
            Body::OpenConsent(_, Some(code)) => {
                if let Some(account) = self.holder(code.kid) {
                    self.names.push(Name::UsedConsent(account, code.claims.jti.clone()));
                }
            }
            Body::Authorise(args, consents) => {
                match args.offer {
                    Some(offer) => self.names.push(Name::Offer(offer)),
                    None => self.fees(),
                }
                for under in args.under.iter().flatten() {
                    self.names.push(Name::Consent(under.consent));
                    let shown = self.look(Name::Shown(under.consent));
                    if let Some(shown) = shown.as_ref().and_then(|record| record.shown()) {
                        self.names.extend([Name::Account(shown.account), Name::Key(shown.key)]);
                    }
                }
                for consent in consents {
                    let claims = &consent.claims;
                    self.names.push(Name::Account(claims.account));
                    self.names.push(Name::UsedConsent(claims.account, claims.jti.clone()));
                }
                self.names.extend(consents.first().map(|c| Name::Acceptance(c.claims.payee.clone())));
            }
            Body::Capture(args) => self.payment(args.payment),
            Body::Void(args) => self.payment(args.payment),
            Body::Refund(args) => self.payment(args.payment),
            Body::MakeOffer(args) => {
                self.fees();
                self.holder(asked.kid);
                let units = args.payment.iter().flat_map(|bill| bill.shares.iter().map(|share| share.unit));
                let units = units.chain(args.exchange.as_ref().map(|wanted| wanted.to));
                self.names.extend(units.flat_map(|unit| [Name::Unit(unit), Name::Prices(unit)]));
            }
            Body::CancelOffer(args) => {
                self.names.push(Name::Offer(args.offer));
                self.holder(asked.kid);
            }
            Body::Exchange(args) => {
                self.names.push(Name::Offer(args.offer));
                self.holder(asked.kid);
                for kid in &asked.approvals {
                    self.holder(*kid);
                }
            }
            Body::FileDispute(args) => {
                self.names.extend(args.payment.map(Name::Payment));
                self.names.extend(args.exchange.map(Name::Exchange));
                self.names.extend(args.award.map(Name::Sponsored));
            }
            Body::MoveDispute(args) => self.names.push(Name::Dispute(args.dispute)),
            Body::OpenAccount(args) => {
                self.names.extend([Name::Account(args.account), Name::Unit(args.unit)])
            }
            Body::FreezeAccount(args) => self.names.push(Name::Account(args.account)),
            Body::SetTier(args) => self.names.push(Name::Account(args.account)),
            _ => {}
        }
    }
}
