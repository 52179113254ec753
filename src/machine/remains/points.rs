//! Tokens, batches and claw-backs, made up.

use super::super::command::Body;
use super::super::verify::Broken;
use super::guess::{Act, Guess};
use super::scene::Scene;
use crate::book::{Account, Bucket, Budget, ClawedBack, Measure, Name, Origin, Principal, Record, Shared};
use crate::log;
use crate::network::{Asked, is_active};
use crate::points::{Batch, Lines, Verdict, latest_day};
use crate::sign::{Award, OnLineError, PointBatch, PointToken, Purpose, read_object};
use crate::types::{
    AccountId, BrandId, Date, Fingerprint, Hash, Ident, Kid, MAX_INT, Points, Time, UnitCode,
};
use std::sync::Arc;

fn asked(kid: Kid, fingerprint: Fingerprint) -> Asked {
    Asked { kid, approvals: vec![], cid: None, fingerprint }
}

fn budget(scene: &Scene, kid: Kid) -> Result<Option<Budget>, Broken> {
    Ok(scene.before(&Name::Budget(kid))?.as_deref().and_then(Record::budget).cloned())
}

/// The token is by the key whose budget it drew on; if on none, it gave no points.
pub(super) fn issued(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((iss, jti, used)) = scene.used_token() else { return Ok(vec![]) };
    let Some(kid) = scene.drawn(&[Measure::Issued]).first().copied() else {
        let known = scene.before(&Name::Brand(iss.clone()))?.is_some();
        let idle = || Guess::idle(used.2, Act::Token(iss.clone(), jti.clone()));
        return Ok(known.then(idle).into_iter().collect());
    };
    let Some(budget) = budget(scene, kid)? else { return Ok(vec![]) };
    let unit = scene.before(&Name::Unit(budget.unit))?;
    let offset = unit.as_deref().and_then(Record::unit).map_or(0, |unit| unit.offset);
    let sub = scene.account();
    let grown = scene.grown(sub.unwrap_or(SOMEBODY))?;
    // A lot may have grown by what a hold that ended gave back; then the token's own points may be gone at once.
    let mut terms: Vec<Terms> = grown.iter().map(|bucket| Terms::of(scene, bucket, offset)).collect();
    terms.push(Terms::of_none(scene));
    let mut all = vec![];
    for terms in terms {
        let Some(token) = token(scene, iss, jti, &budget, terms) else { continue };
        let mut guess = Guess::command(asked(kid, used.2), Body::Issue(Box::new(token)));
        guess.somebody = sub.is_none().then(|| (SOMEBODY, Account::new(budget.unit, offset, None)));
        all.push(guess);
    }
    Ok(all)
}

/// Points that were past their date at once leave no trace on an account that was there.
const SOMEBODY: AccountId = AccountId(0);

fn token(scene: &Scene, iss: &BrandId, jti: &Ident, budget: &Budget, terms: Terms) -> Option<PointToken> {
    let issued = u64::try_from(scene.gained(Shared::Issuance).saturating_neg());
    let amount = Points::new(issued.ok()?)?;
    let sub = scene.account().unwrap_or(SOMEBODY);
    // Off the hour's count is what a window for old receipts lets in.
    let counted = scene.counted(Measure::IssuedHour);
    let occurred_at = budget.backfill.map(|(from, _)| from).filter(|_| !counted);
    let receipt = scene.puts().find_map(|(name, _)| match name {
        Name::UsedRef(_, till, number) => Some((till.clone(), number.clone())),
        _ => None,
    });
    let (till, reference) = receipt.unzip();
    Some(PointToken {
        aud: Hash::default(),
        jti: jti.clone(),
        iat: None,
        exp: MAX_INT,
        iss: iss.clone(),
        unit: budget.unit,
        sub,
        amount,
        reference,
        store: None,
        till,
        occurred_at,
        business_date: terms.day,
        reason: terms.reason,
        campaign: None,
        until: terms.until,
        from: terms.from,
        lines: None,
        sale: None,
    })
}

/// What a token says of the lot that it makes.
#[derive(Default)]
struct Terms {
    until: Option<Date>,
    from: Option<Date>,
    day: Option<Date>,
    reason: Option<Ident>,
}

impl Terms {
    /// Points of a lot that grew.
    fn of(scene: &Scene, bucket: &Bucket, offset: i16) -> Self {
        let goodwill = bucket.3 == Origin::Goodwill;
        // As late in its month as a sponsor's may be: that is when the longest lives are allowed.
        let (last, latest) = (bucket.2.first_day().end_of_block(1), latest_day(scene.at, offset));
        let day = if latest.month() == bucket.2 { latest } else { last };
        Self {
            until: bucket.0,
            // A first day that has come is as good as none.
            from: Some(bucket.1.unwrap_or_else(|| scene.at.date(offset))),
            day: Some(day),
            reason: goodwill.then(|| "goodwill".parse().ok()).flatten(),
        }
    }

    /// Points of which none stayed: they were past their date, or repaid what the account owed.
    fn of_none(scene: &Scene) -> Self {
        let past = scene.gained(Shared::Expired) > 0;
        Self { until: past.then(|| Time::default().date(0)), ..Self::default() }
    }
}

/// The batch is by the key whose budget it drew on, and its lines are there; if on none, none of them gave points.
pub(super) fn batch(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((iss, jti, used)) = scene.used_token() else { return Ok(vec![]) };
    let mut bytes = vec![];
    let mut verdicts = vec![];
    for body in scene.effects {
        let (Some(line), Some(verdict)) = (&body.line, body.verdict) else { continue };
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        verdicts.push(verdict);
    }
    let kid = scene.drawn(&[Measure::Issued]).first().copied();
    let budget = match kid {
        Some(kid) => budget(scene, kid)?,
        None => None,
    };
    // Without a budget no line looks at the unit.
    let Some(unit) = budget.map(|budget| budget.unit).or_else(|| "NONE".parse().ok()) else {
        return Ok(vec![]);
    };
    let Some(batch) = batch_of(iss, jti, unit, Lines::split(Arc::from(bytes))) else { return Ok(vec![]) };
    let batch = Box::new(batch);
    if let Some(kid) = kid {
        return Ok(vec![Guess::command(asked(kid, used.2), Body::Batch(batch))]);
    }
    let known = scene.before(&Name::Brand(iss.clone()))?.is_some();
    let idle = known && !verdicts.contains(&Verdict::Ok);
    Ok(idle.then(|| Guess::idle(used.2, Act::Batch(batch, verdicts))).into_iter().collect())
}

/// The key is the one whose limit it drew on; how many were asked for is as many as were taken.
pub(super) fn clawed_back(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let put = scene.puts().find_map(|(name, record)| match name {
        Name::ClawedBack(id) => Some((*id, record.clawed_back()?.clone())),
        _ => None,
    });
    let kid = scene.drawn(&[Measure::ClawedBackHour]).first().copied();
    let (Some((id, after)), Some(kid)) = (put, kid) else { return Ok(vec![]) };
    let before = scene.before(&Name::ClawedBack(id))?;
    let taken = before.as_deref().and_then(Record::clawed_back).map_or(Points::ZERO, |back| back.taken);
    let issuing = scene.key(kid)?.filter(|key| key.purpose == Purpose::Issuing && key.held.is_none());
    let (Some(key), Some(asked)) = (issuing, scene.asked(kid)) else { return Ok(vec![]) };
    let (Principal::Brand(brand), Some(points)) = (&key.owner, after.taken.minus(taken)) else {
        return Ok(vec![]);
    };
    if is_active(&key, scene.at).is_err() || after.taken > after.awarded {
        return Ok(vec![]);
    }
    let back = Box::new(ClawedBack { taken, ..after });
    let act = Act::ClawBack(kid, brand.clone(), id, back, points);
    Ok(vec![Guess::act(asked, key.owner.clone(), act)])
}

fn batch_of(iss: &BrandId, jti: &Ident, unit: UnitCode, lines: Lines) -> Option<Batch> {
    let amounts = lines.iter().filter_map(|line| read_object::<Award>(line).ok()).map(|award| award.amount);
    let total = { amounts }.try_fold(Points::ZERO, |sum, amount| sum.plus(amount))?;
    let leaves: Vec<Hash> = lines.iter().map(log::leaf_hash).collect();
    let claims = PointBatch {
        aud: Hash::default(),
        iss: iss.clone(),
        jti: jti.clone(),
        unit,
        iat: None,
        exp: MAX_INT,
        count: u64::try_from(lines.len()).ok()?,
        total,
        root: log::root_of(&leaves),
        on_line_error: OnLineError::Skip,
    };
    Batch::check(claims, lines).ok()
}
