//! Everybody who holds a key in the story.

use crate::common::house;
use crate::common::world::{Key, World};
use std::sync::OnceLock;
use tallyhouse::machine::Kind;

/// Everybody's keys, by what they are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role<'a> {
    Operator,
    Log,
    Root(&'a str),
    Issuing(&'a str),
    Till(&'a str),
    Approver(&'a str),
    Holder(usize),
    Analyst,
    Checker,
}

/// The keys of the clearing house.
fn people(world: &World) -> &'static (Key, Vec<Key>) {
    static PEOPLE: OnceLock<(Key, Vec<Key>)> = OnceLock::new();
    PEOPLE.get_or_init(|| house::keys(world))
}

/// Whether it may ask for this: a brand's root speaks for it as its issuing and its approvers' keys do, for either side of a
/// dispute, for whoever was paid.
pub fn may_speak(kind: Kind, role: Role) -> bool {
    use Role::{Approver, Issuing, Root};
    match kind {
        // br_twin is of br_harvest's participant, and does not speak for it.
        Kind::ObjectionFiled | Kind::DisputeFiled | Kind::DisputeMoved | Kind::ComplaintMoved => matches!(
            role,
            Root("br_harvest" | "br_kino")
                | Issuing("br_harvest" | "br_kino")
                | Approver("br_harvest" | "br_kino")
        ),
        Kind::DueClaimed => {
            matches!(role, Root("br_harvest" | "br_twin") | Approver("br_harvest" | "br_twin"))
        }
        Kind::DueConfirmed => matches!(role, Root("br_polar") | Approver("br_polar")),
        _ => false,
    }
}

pub fn cast(world: &World) -> Vec<(Role<'_>, &Key)> {
    let mut all: Vec<(Role, &Key)> = world.roots.iter().map(|key| (Role::Operator, key)).collect();
    all.push((Role::Log, &world.log));
    let (analyst, approvers) = people(world);
    all.push((Role::Analyst, analyst));
    all.extend(approvers.iter().map(|key| (Role::Checker, key)));
    for brand in &world.brands {
        let name = brand.id.as_str();
        all.push((Role::Root(name), &brand.root));
        all.extend(brand.issuing.iter().map(|key| (Role::Issuing(name), key)));
        all.extend(brand.approvers.iter().map(|key| (Role::Approver(name), key)));
        all.extend(brand.tills.iter().map(|till| (Role::Till(name), &till.key)));
    }
    all
}
