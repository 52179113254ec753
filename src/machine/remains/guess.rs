//! Requests that are made up, out of what an entry did and what is left of its evidence.
//!
//! Owns: what such a request is, and which ones are tried for which kind.
//! Promises: nothing is taken from the effects but what a request says; all that follows from a request is decided.
//! Refuses to know: whether any of them fits.

use super::super::command::{Body, Command};
use super::super::decide::Outcome;
use super::super::kind::Kind;
use super::super::verify::Broken;
use super::scene::Scene;
use super::{accounts, complaints, offers, payments, points};
use crate::book::{Account, ClawedBack, Draft, KeyRecord, KeyState, Principal, Stop};
use crate::clearing::{MoveComplaint, move_complaint_as};
use crate::network::{Asked, FreezeAccount, OpenAccount, give_key, keyless, set_frozen, set_state};
use crate::payments::{Asks, step_by_some_till};
use crate::points::{Batch, Lines, Verdict, take_back, use_token};
use crate::sign::HeldCaps;
use crate::types::{AccountId, AwardId, BrandId, Fingerprint, Hash, Ident, Kid, Points};

/// One that is tried.
pub(super) struct Guess {
    /// Who asks, under which id.
    pub asked: Asked,
    /// In whose name; of a whole command the key says it.
    pub principal: Option<Principal>,
    /// What for.
    pub act: Act,
    /// The account that got points and has none of them, so that no effect names it.
    pub somebody: Option<(AccountId, Account)>,
}

/// What is asked for. Where the signer is not known any more, only what follows once it may.
pub(super) enum Act {
    /// A whole command: everything is decided, whether its signer may is too.
    Asked(Box<Command>),
    /// A step of a payment, by some till of its brand.
    Step(Asks, Option<HeldCaps>),
    /// An account is opened by its brand, with approvals.
    Open(OpenAccount),
    /// An account is frozen or released.
    Freeze(FreezeAccount),
    /// A key's state is set.
    Revoke(Box<KeyRecord>, KeyState),
    /// A step of a complaint, in somebody's name.
    Complaint(Principal, MoveComplaint),
    /// Nothing changes; what is due on the account is booked.
    Look(AccountId),
    /// Nothing changes at all.
    Nothing,
    /// A token that gave no points.
    Token(BrandId, Ident),
    /// Points of an award are taken back by a brand's key; how many.
    ClawBack(Kid, BrandId, AwardId, Box<ClawedBack>, Points),
    /// A batch of which no line gave points, with what became of each.
    Batch(Box<Batch>, Vec<Verdict>),
}

impl Act {
    /// The command, if it is whole.
    pub fn command(&self) -> Option<&Command> {
        match self {
            Self::Asked(command) => Some(command),
            _ => None,
        }
    }

    /// The lines of a batch.
    pub fn lines(&self) -> Option<&Lines> {
        match self {
            Self::Batch(batch, _) => Some(&batch.lines),
            Self::Asked(command) => match &command.body {
                Body::Batch(batch) => Some(&batch.lines),
                _ => None,
            },
            _ => None,
        }
    }

    /// Books what follows where the command is not whole.
    pub fn book(&self, draft: &mut Draft, asked: &Asked, outcome: &mut Outcome) -> Result<(), Stop> {
        match self {
            Self::Asked(_) | Self::Nothing => Ok(()),
            Self::Step(asks, caps) => step_by_some_till(draft, asks, *caps),
            Self::Open(args) => {
                keyless(draft, args, false)?;
                give_key(draft, args)
            }
            Self::Freeze(args) => set_frozen(draft, args),
            Self::Revoke(key, state) => {
                if let Principal::Account(account) = key.owner {
                    draft.account(account)?;
                }
                set_state(draft, (**key).clone(), *state)
            }
            Self::Complaint(who, args) => move_complaint_as(draft, who, args),
            Self::Look(account) => draft.account(*account).map(drop),
            Self::ClawBack(kid, brand, id, back, points) => {
                take_back(draft, (*kid, brand), *id, (**back).clone(), *points)
            }
            Self::Token(iss, jti) => use_token(draft, iss, jti, asked),
            Self::Batch(batch, verdicts) => {
                use_token(draft, &batch.claims.iss, &batch.claims.jti, asked)?;
                for part in (1u16..).take(verdicts.len()) {
                    draft.begin_line(part);
                    draft.end_line(false)?;
                }
                outcome.verdicts.clone_from(verdicts);
                Ok(())
            }
        }
    }
}

impl Guess {
    /// A whole command.
    pub fn command(asked: Asked, body: Body) -> Self {
        let command = Command { asked: asked.clone(), body, jws: vec![], http: None };
        Self { asked, principal: None, act: Act::Asked(Box::new(command)), somebody: None }
    }

    /// What follows from a command, in somebody's name.
    pub fn act(asked: Asked, principal: Principal, act: Act) -> Self {
        Self { asked, principal: Some(principal), act, somebody: None }
    }

    /// A token or a batch that gave no points.
    pub fn idle(fingerprint: Fingerprint, act: Act) -> Self {
        let kid = Kid(Hash::default());
        let asked = Asked { kid, approvals: vec![], cid: None, fingerprint };
        Self { asked, principal: None, act, somebody: None }
    }
}

/// What is tried, in order.
pub(super) fn guesses(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    match scene.kind {
        Kind::AccountOpened => accounts::opened(scene),
        Kind::AccountFrozen => accounts::frozen(scene),
        Kind::AccountKeyRevoked => accounts::revoked(scene),
        Kind::PointsIssued => points::issued(scene),
        Kind::PointsBatch => points::batch(scene),
        Kind::PointsClawedBack => points::clawed_back(scene),
        Kind::ComplaintFiled => complaints::filed(scene),
        Kind::ComplaintMoved => complaints::moved(scene),
        Kind::ConsentOpened => payments::opened(scene),
        Kind::PaymentAuthorised => payments::authorised(scene),
        Kind::OfferMade => offers::made(scene),
        Kind::OfferCancelled => offers::cancelled(scene),
        Kind::ExchangeMade => offers::exchanged(scene),
        Kind::PaymentCaptured | Kind::PaymentVoided | Kind::PaymentRefunded => payments::step(scene),
        _ => Ok(vec![]),
    }
}

impl Scene<'_> {
    /// Who asked under which id: as the evidence says that is left, or as it was recorded.
    pub fn asked(&self, kid: Kid) -> Option<Asked> {
        if let Some((asked, _)) = &self.left.first {
            return Some(asked.clone());
        }
        let (_, cid, command) = self.command()?;
        Some(Asked { kid, approvals: vec![], cid: Some(cid.clone()), fingerprint: command.fingerprint })
    }
}
