//! Freezing: nothing new for an account, a unit, a brand or the network. What was begun goes on:
//! captures of existing holds, voids, refunds, expiry, settlement.
//!
//! Whoever owns a thing may freeze it at once; releasing takes somebody above, so that a thief who has
//! a key cannot undo what its owner did.

use super::signer::{Asked, brand_root, operator, signer, unless_refused};
use crate::book::{Draft, Name, PartKey, Principal, Record, Stop};
use crate::sign::Purpose;
use crate::types::{AccountId, BrandId, Refusal, UnitCode};
use serde::{Deserialize, Serialize};

/// `account.freeze`: by its holder, its brand's root or the operator; released by the latter two.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeAccount {
    /// Which.
    pub account: AccountId,
    /// False releases.
    pub frozen: bool,
}

/// `brand.freeze`: by its root or the operator; released by the operator.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeBrand {
    /// Which.
    pub brand: BrandId,
    /// False releases.
    pub frozen: bool,
}

/// `unit.freeze`: by its brand's root or the operator; released by the operator.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeUnit {
    /// Which.
    pub unit: UnitCode,
    /// False releases.
    pub frozen: bool,
}

/// `network.freeze`: by the operator.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeNetwork {
    /// False releases.
    pub frozen: bool,
}

/// Freezes or releases an account.
pub fn freeze_account(draft: &mut Draft, asked: &Asked, args: &FreezeAccount) -> Result<(), Stop> {
    let unit = draft.account(args.account)?.head.unit;
    let brand = draft.unit(unit)?.brand.clone();
    let holder = unless_refused(signer(draft, asked.kid, &[Purpose::Account]))?;
    let by_holder = holder.is_some_and(|key| key.owner == Principal::Account(args.account));
    if !(by_holder && args.frozen) {
        by_brand_or_operator(draft, asked, &brand)?;
    }
    set_frozen(draft, args)
}

/// What freezing or releasing an account does, whoever asks.
pub fn set_frozen(draft: &mut Draft, args: &FreezeAccount) -> Result<(), Stop> {
    draft.change(args.account, |account| {
        account.head.frozen = args.frozen;
        Ok(())
    })
}

fn by_brand_or_operator(draft: &mut Draft, asked: &Asked, brand: &BrandId) -> Result<(), Stop> {
    match unless_refused(brand_root(draft, asked.kid))? {
        Some(root) if root == *brand => Ok(()),
        Some(_) => Err(Refusal::KeyOwner.into()),
        None => operator(draft, asked),
    }
}

fn may(draft: &mut Draft, asked: &Asked, brand: &BrandId, frozen: bool) -> Result<(), Stop> {
    if frozen { by_brand_or_operator(draft, asked, brand) } else { operator(draft, asked) }
}

/// Freezes or releases a brand.
pub fn freeze_brand(draft: &mut Draft, asked: &Asked, args: &FreezeBrand) -> Result<(), Stop> {
    may(draft, asked, &args.brand, args.frozen)?;
    let mut brand = (*draft.brand(&args.brand)?).clone();
    brand.frozen = args.frozen;
    draft.put(PartKey::Public, Name::Brand(args.brand.clone()), Some(Record::Brand(brand)))
}

/// Freezes or releases a unit.
pub fn freeze_unit(draft: &mut Draft, asked: &Asked, args: &FreezeUnit) -> Result<(), Stop> {
    let mut unit = (*draft.unit(args.unit)?).clone();
    may(draft, asked, &unit.brand, args.frozen)?;
    unit.frozen = args.frozen;
    draft.put(PartKey::Public, Name::Unit(args.unit), Some(Record::from(unit)))
}

/// Freezes or releases the network.
pub fn freeze_network(draft: &mut Draft, asked: &Asked, args: &FreezeNetwork) -> Result<(), Stop> {
    operator(draft, asked)?;
    let mut network = (*draft.network()?).clone();
    network.frozen = args.frozen;
    draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))
}
