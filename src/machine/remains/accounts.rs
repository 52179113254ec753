//! Requests about an account and its key, made up: with several approvals, so that who signed is not always known any
//! more. In whose name it was is recorded, and how many statements there were.

use super::super::command::Body;
use super::super::verify::Broken;
use super::guess::{Act, Guess};
use super::scene::Scene;
use crate::book::{KeyState, Name, Principal, Record};
use crate::network::{Asked, FreezeAccount, OpenAccount, RevokeKey, is_active};
use crate::sign::{PublicKey, Purpose};
use crate::types::{AccountId, BrandId, Hash, Kid, UnitCode};

/// In whose name it was asked for, and how.
pub(super) fn asker(scene: &Scene) -> Result<Option<(Asked, Principal)>, Broken> {
    let Some(asked) = scene.asked(Kid(Hash::default())) else { return Ok(None) };
    if scene.left.first.is_none() {
        return Ok(scene.command().map(|(who, ..)| (asked, who.clone())));
    }
    let Some(key) = scene.key(asked.kid)? else { return Ok(None) };
    Ok(Some((asked, key.owner)))
}

/// Whether there were enough statements for this: one by the brand's root, or as many as the operator needs.
fn enough(scene: &Scene, asked: &Asked, who: &Principal, brand: &BrandId) -> Result<bool, Broken> {
    if by_root(scene, asked, who, brand)? {
        return Ok(true);
    }
    let threshold = scene.threshold()?;
    let roots = match who {
        Principal::Operator => scene.left.statements,
        Principal::Brand(_) | Principal::Account(_) => scene.left.statements.saturating_sub(1),
    };
    Ok(roots >= threshold)
}

fn by_root(scene: &Scene, asked: &Asked, who: &Principal, brand: &BrandId) -> Result<bool, Broken> {
    if *who != Principal::Brand(brand.clone()) {
        return Ok(false);
    }
    let record = scene.before(&Name::Brand(brand.clone()))?;
    let root = record.as_deref().and_then(Record::brand).map(|brand| brand.root.root);
    Ok(scene.left.first.is_none() || root == Some(asked.kid))
}

/// The unit and the brand of an account.
fn home(scene: &Scene, account: AccountId) -> Result<Option<(UnitCode, BrandId)>, Broken> {
    let record = scene.before(&Name::Account(account))?;
    let Some(unit) = record.as_deref().and_then(Record::account).map(|account| account.head.unit) else {
        return Ok(None);
    };
    Ok(scene.brand_of(unit)?.map(|brand| (unit, brand)))
}

/// Nothing changed on any account, or only what was due on one.
fn unchanged(scene: &Scene, asked: Asked, who: Principal) -> Guess {
    let act = scene.account().map_or(Act::Nothing, Act::Look);
    Guess::act(asked, who, act)
}

/// The account is opened by its holder; or by its brand, with proof that the holder has the key, and vouched for if it
/// was there before.
pub(super) fn opened(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let args = match &scene.left.first {
        Some((_, Body::OpenAccount(args))) => Some(args.clone()),
        _ => scene.done().flat_map(|done| &done.heads).find_map(|(account, head)| {
            let key = key_put(scene, head.key?)?;
            Some(OpenAccount { account: *account, unit: head.unit, key })
        }),
    };
    let Some(args) = args else { return Ok(vec![]) };
    let kid = args.key.kid();
    let own = match &scene.left.first {
        Some((asked, _)) => asked.kid == kid,
        None => scene.command().is_some_and(|(who, ..)| *who == Principal::Account(args.account)),
    };
    if own {
        let guess = |asked| Guess::command(asked, Body::OpenAccount(args));
        return Ok(scene.asked(kid).map(guess).into_iter().collect());
    }
    let (Some((asked, who)), Some(brand)) = (asker(scene)?, scene.brand_of(args.unit)?) else {
        return Ok(vec![]);
    };
    let issuing = match (&scene.left.first, scene.key(asked.kid)?) {
        (Some(_), Some(key)) => key.purpose == Purpose::Issuing && is_active(&key, scene.at).is_ok(),
        (first, _) => first.is_none(),
    };
    let there = scene.before(&Name::Account(args.account))?.is_some();
    let wanted = if there { 3 } else { 2 };
    let fits = issuing && who == Principal::Brand(brand) && scene.left.statements >= wanted;
    Ok(fits.then(|| Guess::act(asked, who, Act::Open(args))).into_iter().collect())
}

fn key_put(scene: &Scene, kid: Kid) -> Option<PublicKey> {
    scene.puts().find_map(|(name, record)| match name {
        Name::Key(of) if *of == kid => Some(record.key()?.key),
        _ => None,
    })
}

/// The account is frozen by its holder, or frozen or released by its brand or the operator.
pub(super) fn frozen(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((asked, who)) = asker(scene)? else { return Ok(vec![]) };
    let head = scene.done().flat_map(|done| &done.heads).next();
    let args = match &scene.left.first {
        Some((_, Body::FreezeAccount(args))) => Some(args.clone()),
        _ => head.map(|(account, head)| FreezeAccount { account: *account, frozen: head.frozen }),
    };
    let Some(args) = args else { return Ok(vec![unchanged(scene, asked, who)]) };
    let Some((_, brand)) = home(scene, args.account)? else { return Ok(vec![]) };
    let holder = who == Principal::Account(args.account) && args.frozen;
    let fits = holder || enough(scene, &asked, &who, &brand)?;
    Ok(fits.then(|| Guess::act(asked, who, Act::Freeze(args))).into_iter().collect())
}

/// The key of an account is revoked by its brand's root or the operator; restored by the root.
pub(super) fn revoked(scene: &Scene) -> Result<Vec<Guess>, Broken> {
    let Some((asked, who)) = asker(scene)? else { return Ok(vec![]) };
    let put = scene.puts().find_map(|(name, record)| match name {
        Name::Key(kid) => Some(RevokeKey { key: *kid, state: record.key()?.state }),
        _ => None,
    });
    let args = match &scene.left.first {
        Some((_, Body::RevokeAccountKey(args))) => Some(args.clone()),
        _ => put,
    };
    let Some(args) = args else { return Ok(vec![unchanged(scene, asked, who)]) };
    let Some(key) = scene.key(args.key)?.filter(|key| key.state != KeyState::Compromised) else {
        return Ok(vec![]);
    };
    let Principal::Account(account) = key.owner else { return Ok(vec![]) };
    let Some((_, brand)) = home(scene, account)? else { return Ok(vec![]) };
    let by_root = by_root(scene, &asked, &who, &brand)?;
    let fits = by_root || (args.state != KeyState::Active && enough(scene, &asked, &who, &brand)?);
    let act = || Guess::act(asked, who, Act::Revoke(Box::new(key), args.state));
    Ok(fits.then(act).into_iter().collect())
}
