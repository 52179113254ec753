//! Membership tiers: what a brand calls the members of its programme who get its better terms.

use super::signer::{Asked, signer};
use crate::book::{Draft, Principal, Stop};
use crate::sign::Purpose;
use crate::types::{AccountId, Ident, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// `account.set_tier`, signed by an issuing or approver key or the root of the unit's brand: the membership tier of an
/// account, which decides what exchanging its points costs.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTier {
    /// Which account.
    pub account: AccountId,
    /// The tier, such as `gold`; none if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tier: Option<Ident>,
}

/// Sets the membership tier of an account.
pub fn set_tier(draft: &mut Draft, asked: &Asked, args: &SetTier) -> Result<(), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Issuing, Purpose::Approver, Purpose::BrandRoot])?;
    let unit = draft.account(args.account)?.head.unit;
    if key.owner != Principal::Brand(draft.unit(unit)?.brand.clone()) {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    }
    draft.change(args.account, |account| {
        account.head.tier.clone_from(&args.tier);
        Ok(())
    })
}
