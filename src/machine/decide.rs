//! The decision: one command, on one draft, at one instant.

use super::command::{Body, Command};
use super::entry::{Answer, EntryBody, assemble};
use super::http::typ_of;
use crate::book::{self, Draft, Effects, Name, PartKey, PartOut, Principal, Record, Stop};
use crate::network::{self, Asked};
use crate::sign::{Purpose, Typ};
use crate::types::{Kid, PaymentId, Refusal, Refused};
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
    match run(&mut draft, command, &mut outcome).and_then(|()| prices::restate(&mut draft)) {
        Err(Stop::Refused(no)) => return Err(opened(&mut draft, command.asked.kid, no)?.into()),
        ran => ran?,
    }
    record_id(&mut draft, &principal, &command.asked)?;
    let Effects { parts, records } = draft.finish()?;
    let kind = command.body.kind();
    let entry = assemble(kind, command, &parts, &outcome.verdicts)?;
    let puts = parts.iter().flat_map(|part| part.done.puts());
    let answer = Answer::new(seq, at, kind, outcome.payment, &outcome.verdicts).offering(puts);
    Ok(Decision { entry, answer, parts, records })
}

/// A refusal as whoever asked may read it: amounts of a participant's are for those who speak for it, and for the operator.
/// A till is no such key; shops have many.
fn opened(draft: &mut Draft, kid: Kid, no: Refused) -> Result<Refused, Stop> {
    let Some((who, _)) = no.told.as_deref() else { return Ok(no) };
    let key = draft.key(kid)?;
    let own = match &key.owner {
        Principal::Operator => true,
        Principal::Brand(brand) => {
            let speaks = matches!(key.purpose, Purpose::Issuing | Purpose::Approver | Purpose::BrandRoot);
            speaks && network::speaker(draft, who)?.as_ref() == Some(brand)
        }
        Principal::Account(_) => false,
    };
    Ok(no.opened(own))
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
        Body::ClawBack(args) => points::claw_back(draft, asked, args),
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
        Body::RejectStatement(args) => clearing::reject_statement(draft, asked, args),
        Body::AssignLine(args) => clearing::assign_line(draft, asked, args),
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
        Body::ClaimDue(args) => clearing::claim_due(draft, asked, args),
        Body::ClosePeriod(args) => clearing::close_period(draft, asked, args),
        Body::FileDispute(args) => clearing::file_dispute(draft, asked, args),
        Body::MoveDispute(args) => clearing::move_dispute(draft, asked, args),
        Body::FileComplaint(args) => clearing::file_complaint(draft, asked, args),
        Body::MoveComplaint(args) => clearing::move_complaint(draft, asked, args),
    }
}
