//! Complaints, made up: what their holder, the brand or the operator must have asked for.

use super::super::command::Body;
use super::super::verify::Broken;
use super::accounts::asker;
use super::guess::{Act, Guess};
use super::payments::key_of;
use super::scene::Scene;
use crate::book::{Complaint, Name, Record};
use crate::clearing::{FileComplaint, MoveComplaint, complaint_step};
use crate::types::ComplaintId;

fn complaint<'a>(scene: &Scene<'a>) -> Option<(ComplaintId, &'a Complaint)> {
    scene.puts().find_map(|(name, record)| match name {
        Name::Complaint(id) => Some((*id, record.complaint()?)),
        _ => None,
    })
}

/// The holder complains, with the key of the account.
pub(super) fn filed(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((_, made)) = complaint(scene) else { return Ok(vec![]) };
    let Some(key) = key_of(scene, made.account)? else { return Ok(vec![]) };
    let args = FileComplaint {
        account: made.account,
        reason: made.reason.clone(),
        payment: made.payment,
        evidence: made.evidence.clone(),
    };
    let guess = |asked| Guess::command(asked, Body::FileComplaint(args));
    Ok(scene.asked(key).map(guess).into_iter().collect())
}

/// Whose step it is shows from the stages; with which of their keys it was taken is not known any more.
pub(super) fn moved(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let (Some((id, after)), Some((asked, who))) = (complaint(scene), asker(scene)?) else {
        return Ok(vec![]);
    };
    let before = scene.before(&Name::Complaint(id))?;
    let Some(before) = before.as_deref().and_then(Record::complaint) else { return Ok(vec![]) };
    let Some(step) = complaint_step(before.stage, after.stage) else { return Ok(vec![]) };
    let Some(evidence) = after.evidence.get(before.evidence.len()..) else { return Ok(vec![]) };
    let args = MoveComplaint { complaint: id, step, evidence: evidence.to_vec() };
    Ok(vec![Guess::act(asked, who.clone(), Act::Complaint(who, args))])
}
