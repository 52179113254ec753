//! The decision: one command, on one draft, at one instant.

use super::command::{Body, Command};
use super::entry::{Answer, EntryBody, assemble};
use super::http::typ_of;
use crate::book::{self, Draft, Effects, Found, Name, PartKey, PartOut, Principal, Record, Source, Stop};
use crate::network::{self, Asked};
use crate::sign::Typ;
use crate::types::{AccountId, Kid, OfferId, PaymentId, Refusal, Refused};
use crate::{clearing, payments, points, prices};
use std::sync::Arc;

/// A decided command: its entry, its answer and the records after it.
#[derive(Debug)]
pub struct Decision {
    /// What the log gets.
    pub entry: EntryBody,
    /// What the caller gets.
    pub answer: Answer,
    /// The effects, part by part, for followers.
    pub parts: Vec<PartOut>,
    /// What state becomes.
    pub records: Vec<(Name, Option<Arc<Record>>)>,
}

/// Decides a command. The order is: fresh, known id, keys' purposes, then the command's own rules.
pub fn decide(mut draft: Draft, command: &Command) -> Result<Decision, Stop> {
    let (seq, at) = (draft.seq, draft.at);
    if let Some(http) = &command.http {
        // On real time nobody can keep a signed request and apply it later. Where commands bring their own
        // time, whoever received it has looked at the clock.
        if !draft.network()?.driven {
            http.fresh(at.seconds())?;
        }
    }
    let principal = principal(&mut draft, command)?;
    // Whoever brings a key that nobody knows yet has asked for nothing before, and learns nothing of the ids of whom they
    // claim to be.
    if draft.get(&Name::Key(command.asked.kid))?.is_some() {
        known(&mut draft, &principal, &command.asked)?;
    }
    check_purposes(&mut draft, command)?;
    let mut outcome = Outcome::default();
    run(&mut draft, command, &mut outcome)?;
    record_id(&mut draft, &principal, &command.asked)?;
    let Effects { parts, records } = draft.finish()?;
    let kind = command.body.kind();
    let entry = assemble(kind, command, &parts, &outcome.verdicts)?;
    let puts = parts.iter().flat_map(|part| part.done.puts());
    let answer = Answer::new(seq, at, kind, outcome.payment, &outcome.verdicts).offering(puts);
    Ok(Decision { entry, answer, parts, records })
}

/// Records that a command's id took effect, if it has one of its own.
pub(super) fn record_id(draft: &mut Draft, principal: &Principal, asked: &Asked) -> Result<(), Stop> {
    let Some(cid) = &asked.cid else { return Ok(()) };
    let name = Name::Command(principal.clone(), cid.clone());
    let record = book::Command { seq: draft.seq, fingerprint: asked.fingerprint, refused: None };
    draft.put(part_of(principal), name, Some(Record::Command(record)))
}

/// What a decision tells besides its effects.
#[derive(Default)]
pub(super) struct Outcome {
    payment: Option<PaymentId>,
    pub verdicts: Vec<points::Verdict>,
}

/// Which part the record of a command's id stands in.
pub(super) fn part_of(principal: &Principal) -> PartKey {
    match principal {
        Principal::Operator => PartKey::Public,
        Principal::Brand(brand) => PartKey::Brand(brand.clone()),
        Principal::Account(account) => PartKey::Holder(*account),
    }
}

/// Who asks: the owner of the key that signed, or, for a statement that brings its own key, whom it
/// introduces.
pub(super) fn principal(draft: &mut Draft, command: &Command) -> Result<Principal, Stop> {
    match (&command.body, draft.get(&Name::Key(command.asked.kid))?) {
        (_, Some(record)) => match record.key() {
            Some(key) => Ok(key.owner.clone()),
            None => Err(Stop::Bug("a key's record is no key".into())),
        },
        (Body::RegisterBrand(args), None) => Ok(Principal::Brand(args.brand.clone())),
        (Body::OpenAccount(args), None) => Ok(Principal::Account(args.account)),
        (_, None) => Err(Refused::about(Refusal::KeyUnknown, command.asked.kid).into()),
    }
}

/// The same id again: the same answer, or a conflict.
pub(super) fn known(draft: &mut Draft, principal: &Principal, asked: &Asked) -> Result<(), Stop> {
    let Some(cid) = &asked.cid else {
        return Ok(());
    };
    let record = draft.get(&Name::Command(principal.clone(), cid.clone()))?;
    match record.as_deref().and_then(Record::command) {
        None => Ok(()),
        Some(before) if before.fingerprint != asked.fingerprint => {
            Err(Refused::about(Refusal::IdReused, cid).into())
        }
        Some(before) => Err(match before.refused {
            Some(code) => Refused::about(code, format!("as refused in entry {}", before.seq)).into(),
            None => Stop::Known(before.seq),
        }),
    }
}

/// Every registered key that signed something here may sign that sort of thing.
fn check_purposes(draft: &mut Draft, command: &Command) -> Result<(), Stop> {
    let http = command.http.iter().map(|http| (http.kid(), typ_of(command.body.kind())));
    may_sign(draft, http.chain(command.jws.iter().map(|jws| (jws.kid(), jws.typ()))))
}

/// Every registered one of these keys may sign what it signed.
pub(super) fn may_sign(draft: &mut Draft, signed: impl Iterator<Item = (Kid, Typ)>) -> Result<(), Stop> {
    for (kid, typ) in signed {
        if let Some(record) = draft.get(&Name::Key(kid))?
            && record.key().is_some_and(|key| !key.purpose.may_sign(typ))
        {
            return Err(Refused::about(Refusal::KeyPurpose, typ).into());
        }
    }
    Ok(())
}

pub(super) fn run(draft: &mut Draft, command: &Command, outcome: &mut Outcome) -> Result<(), Stop> {
    let asked = &command.asked;
    match &command.body {
        Body::RegisterParticipant(args) => network::register_participant(draft, asked, args),
        Body::RegisterBrand(args) => network::register_brand(draft, asked, args),
        Body::Certify(cert) => network::certify(draft, asked, cert),
        Body::Revoke(args) => network::revoke(draft, asked, args, false),
        Body::RevokeAccountKey(args) => network::revoke(draft, asked, args, true),
        Body::SetBudget(claims) => network::set_budget(draft, asked, claims),
        Body::DefineUnit(args) => network::define_unit(draft, asked, args),
        Body::PublishPrices(args) => prices::publish_prices(draft, asked, args),
        Body::PublishAcceptance(args) => prices::publish_acceptance(draft, asked, args),
        Body::PublishBreakage(args) => prices::publish_breakage(draft, asked, args),
        Body::PublishFees(args) => prices::publish_fees(draft, asked, args),
        Body::PublishTax(args) => prices::publish_tax(draft, asked, args),
        Body::FreezeNetwork(args) => network::freeze_network(draft, asked, args),
        Body::EraseEvidence(args) => network::erase(draft, asked, args),
        Body::FreezeBrand(args) => network::freeze_brand(draft, asked, args),
        Body::FreezeUnit(args) => network::freeze_unit(draft, asked, args),
        Body::FreezeAccount(args) => network::freeze_account(draft, asked, args),
        Body::SetTier(args) => network::set_tier(draft, asked, args),
        Body::OpenAccount(args) => network::open_account(draft, asked, args),
        Body::Issue(token) => points::issue(draft, asked, token),
        Body::Batch(batch) => {
            outcome.verdicts = points::take_batch(draft, asked, batch)?;
            Ok(())
        }
        Body::OpenConsent(args, code) => payments::open_consent(draft, asked, args, code.as_ref()),
        Body::Authorise(args, consents) => {
            outcome.payment = Some(payments::authorise(draft, asked, args, consents)?);
            Ok(())
        }
        Body::Capture(args) => {
            outcome.payment = Some(args.payment);
            payments::capture(draft, asked, args)
        }
        Body::Void(args) => {
            outcome.payment = Some(args.payment);
            payments::void(draft, asked, args)
        }
        Body::Refund(args) => {
            outcome.payment = Some(args.payment);
            payments::refund(draft, asked, args)
        }
        Body::MakeOffer(args) => payments::make_offer(draft, asked, args).map(drop),
        Body::CancelOffer(args) => payments::cancel_offer(draft, asked, args),
        Body::Exchange(args) => payments::exchange(draft, asked, args).map(drop),
        Body::SealCycle(args) => clearing::seal_cycle(draft, asked, args),
        Body::ComputeCycle(args) => clearing::compute_cycle(draft, asked, args),
        Body::MoveCycle(args) => clearing::move_cycle(draft, asked, args),
        Body::FileObjection(args) => clearing::file_objection(draft, asked, args),
        Body::AnswerObjection(args) => clearing::answer_objection(draft, asked, args),
        Body::ImportStatement(args) => clearing::import_statement(draft, asked, args),
        Body::AcceptStatement(args) => clearing::accept_statement(draft, asked, args),
        Body::MoveInstruction(args) => clearing::move_instruction(draft, asked, args),
        Body::SetFunding(args) => clearing::set_funding(draft, asked, args),
        Body::SetReserve(args) => clearing::set_reserve(draft, asked, args),
        Body::MoveCover(args) => clearing::move_cover(draft, asked, args),
        Body::CallMargin(args) => clearing::call_margin(draft, asked, args),
        Body::SetDetails(args) => clearing::set_details(draft, asked, args),
        Body::ConfirmDetails(args) => clearing::confirm_details(draft, asked, args),
        Body::SetSchedule(args) => clearing::set_schedule(draft, asked, args),
        Body::SetNetting(args) => clearing::set_netting(draft, asked, args),
        Body::SetOffCycle(args) => clearing::set_off_cycle(draft, asked, args),
        Body::ConfirmDue(args) => clearing::confirm_due(draft, asked, args),
        Body::ClosePeriod(args) => clearing::close_period(draft, asked, args),
        Body::FileDispute(args) => clearing::file_dispute(draft, asked, args),
        Body::MoveDispute(args) => clearing::move_dispute(draft, asked, args),
        Body::FileComplaint(args) => clearing::file_complaint(draft, asked, args),
        Body::MoveComplaint(args) => clearing::move_complaint(draft, asked, args),
    }
}

/// The account that a key is of.
fn holder(source: &dyn Source, kid: Kid) -> Option<AccountId> {
    let Found::Known(record) = source.find(&Name::Key(kid)) else { return None };
    match record.key()?.owner {
        Principal::Account(account) => Some(account),
        _ => None,
    }
}

/// What a bill's terms are taken from: the offer, or else the fees, if there are any.
fn terms(source: &dyn Source, offer: Option<OfferId>) -> Option<Name> {
    let fees = || match source.find(&Name::Network) {
        Found::Known(network) => network.network().is_some_and(|network| network.fees).then_some(Name::Fees),
        Found::Absent | Found::NotLoaded => None,
    };
    offer.map(Name::Offer).or_else(fees)
}

/// What a command is going to touch, as far as it says itself: a hint that saves rounds of loading,
/// never an answer.
pub fn hints(source: &dyn Source, command: &Command) -> Vec<Name> {
    let mut names = vec![Name::Network];
    names.extend(command.kids().map(Name::Key));
    if let (Some(cid), Found::Known(record)) =
        (&command.asked.cid, source.find(&Name::Key(command.asked.kid)))
        && let Some(key) = record.key()
    {
        names.push(Name::Command(key.owner.clone(), cid.clone()));
    }
    match &command.body {
        Body::Issue(token) => {
            names.push(Name::UsedToken(token.iss.clone(), token.jti.clone()));
            names.push(Name::Account(token.sub));
            names.push(Name::Unit(token.unit));
            names.push(Name::Brand(token.iss.clone()));
            names.push(Name::Budget(command.asked.kid));
            if let Some(reference) = &token.reference {
                let till = token.till.clone().unwrap_or_default();
                names.push(Name::UsedRef(token.iss.clone(), till, reference.clone()));
            }
        }
        Body::Batch(batch) => {
            let iss = &batch.claims.iss;
            names.push(Name::UsedToken(iss.clone(), batch.claims.jti.clone()));
            names.push(Name::Unit(batch.claims.unit));
            names.push(Name::Brand(iss.clone()));
            names.push(Name::Budget(command.asked.kid));
            for line in batch.awards().flatten() {
                names.push(Name::Account(line.award.sub));
                if let Some(reference) = &line.award.reference {
                    let till = line.award.till.clone().unwrap_or_default();
                    names.push(Name::UsedRef(iss.clone(), till, reference.clone()));
                }
            }
        }
        Body::OpenConsent(_, Some(code)) => {
            if let Some(account) = holder(source, code.kid) {
                names.push(Name::Account(account));
                names.push(Name::UsedConsent(account, code.claims.jti.clone()));
            }
        }
        Body::Authorise(args, consents) => {
            names.extend(terms(source, args.offer));
            for under in args.under.iter().flatten() {
                names.extend([Name::Consent(under.consent), Name::Shown(under.consent)]);
                if let Found::Known(record) = source.find(&Name::Shown(under.consent))
                    && let Some(shown) = record.shown()
                {
                    names.extend([Name::Account(shown.account), Name::Key(shown.key)]);
                }
            }
            for consent in consents {
                names.push(Name::Account(consent.claims.account));
                names.push(Name::UsedConsent(consent.claims.account, consent.claims.jti.clone()));
            }
            names.extend(consents.first().map(|c| Name::Acceptance(c.claims.payee.clone())));
        }
        Body::Capture(args) => names.push(Name::Payment(args.payment)),
        Body::Void(args) => names.push(Name::Payment(args.payment)),
        Body::Refund(args) => names.push(Name::Payment(args.payment)),
        Body::MakeOffer(args) => {
            names.extend(terms(source, None));
            names.extend(holder(source, command.asked.kid).map(Name::Account));
            let units = args.payment.iter().flat_map(|bill| bill.shares.iter().map(|share| share.unit));
            let units = units.chain(args.exchange.as_ref().map(|wanted| wanted.to));
            names.extend(units.flat_map(|unit| [Name::Unit(unit), Name::Prices(unit)]));
        }
        Body::CancelOffer(args) => {
            names.push(Name::Offer(args.offer));
            names.extend(holder(source, command.asked.kid).map(Name::Account));
        }
        Body::Exchange(args) => {
            names.push(Name::Offer(args.offer));
            let kids = std::iter::once(command.asked.kid).chain(command.asked.approvals.iter().copied());
            names.extend(kids.filter_map(|kid| holder(source, kid)).map(Name::Account));
        }
        Body::FileDispute(args) => {
            names.extend(args.payment.map(Name::Payment));
            names.extend(args.exchange.map(Name::Exchange));
        }
        Body::MoveDispute(args) => names.push(Name::Dispute(args.dispute)),
        Body::OpenAccount(args) => names.extend([Name::Account(args.account), Name::Unit(args.unit)]),
        Body::FreezeAccount(args) => names.push(Name::Account(args.account)),
        Body::SetTier(args) => names.push(Name::Account(args.account)),
        _ => {}
    }
    names
}
