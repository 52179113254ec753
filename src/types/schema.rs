//! How the words look in the API's document: one schema each, with its pattern and an example.

use super::{
    AccountId, AwardId, BrandId, CauseId, ComplaintId, ConsentId, Currency, Date, DisputeId, ExchangeId,
    Hash, HoldId, Ident, InstructionId, Kid, Money, Month, ObjectionId, OfferId, ParticipantId, PaymentId,
    Points, Rate, Refusal, Time, UnitCode,
};
use std::borrow::Cow;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! texts {
    ($($ty:ident $pattern:literal $example:literal $doc:literal)*) => {$(
        impl PartialSchema for $ty {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern));
                text.description(Some($doc)).examples([$example]).build().into()
            }
        }
        impl ToSchema for $ty {
            fn name() -> Cow<'static, str> {
                stringify!($ty).into()
            }
        }
    )*};
}

texts! {
    AccountId "^ac_[0-7][0-9a-hjkmnp-tv-z]{25}$" "ac_1efv0346h03m7dx6azzb5x8hzx" "The holder of one unit's points."
    AwardId "^awd_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "awd_14482.0" "Sponsored awards: the place in the log where they were given."
    BrandId "^br_[A-Za-z0-9._-]{1,61}$" "br_harvest" "A brand."
    ConsentId "^con_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "con_14484.0" "A consent that stays open: the place in the log where it was opened."
    ComplaintId "^cmp_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "cmp_14490.0" "A complaint: the place in the log where it was filed."
    CauseId "^((pay|exc|awd|obj|dsp|ins|set)_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)|rsv_[A-Z][A-Z0-9]{3,15})$" "pay_14485.0" "What an obligation is for: a payment, an exchange, sponsored awards, an objection, a dispute, an instruction, a unit's reserve or a set-off."
    Currency "^[A-Z]{3}$" "USD" "A currency of the network."
    Date "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" "2026-03-31" "A calendar day."
    ExchangeId "^exc_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "exc_14486.0" "An exchange: the place in the log where it happened."
    DisputeId "^dsp_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "dsp_14489.0" "A dispute: the place in the log where it was filed."
    Hash "^[0-9a-f]{64}$" "caa7f98904cfbd9b48eb09f0825a6d87581a0e54548ee93fc043464f407acb65" "A hash of 32 bytes, hexadecimal."
    HoldId "^(pay|off)_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "pay_14485.0" "What points are held for: a payment or an offer."
    Ident "^[A-Za-z0-9._-]{1,64}$" "01JB2Z7K9Q0V5W8X3N6M4T1RYE" "An id chosen by its maker; ULID or UUIDv7 where possible."
    InstructionId "^ins_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "ins_14487.1" "A payment that a cycle asks for."
    Kid "^[A-Za-z0-9_-]{43}$" "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" "A key, by its RFC 7638 thumbprint."
    Month "^[0-9]{4}-(0[1-9]|1[0-2])$" "2026-03" "A calendar month."
    OfferId "^off_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "off_14483.0" "An offer: the place in the log where it was made."
    ObjectionId "^obj_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "obj_14488.0" "An objection to a cycle: the place in the log where it was filed."
    ParticipantId "^pa_[A-Za-z0-9._-]{1,61}$" "pa_harvest" "A legal entity that owes and is owed."
    PaymentId "^pay_(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$" "pay_14485.0" "A payment: the place in the log where it began."
    Time "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$" "2026-11-20T22:39:14.123456Z" "An instant, in microseconds."
    UnitCode "^[A-Z][A-Z0-9]{3,15}$" "HARVEST" "One brand's points."
}

macro_rules! amounts {
    ($($ty:ident $example:literal $doc:literal)*) => {$(
        impl PartialSchema for $ty {
            fn schema() -> RefOr<Schema> {
                whole().description(Some($doc)).examples([$example]).build().into()
            }
        }
        impl ToSchema for $ty {
            fn name() -> Cow<'static, str> {
                stringify!($ty).into()
            }
        }
    )*};
}

/// A whole number from 0 to 2^53 − 1.
fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(super::MAX_INT))
}

amounts! {
    Money 25000 "Money, in the smallest unit that the network counts in this currency (see /v1/network)."
    Points 120 "Points, in the smallest of their unit (see its scale)."
}

/// A list of two. What is beyond them is bounded by number, not by `items: false`, which client generators refuse.
pub fn pair<A: PartialSchema, B: PartialSchema>() -> RefOr<Schema> {
    let each = [A::schema(), B::schema()].into_iter().filter_map(|schema| match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(_) => None,
    });
    ArrayBuilder::new().prefix_items(each).min_items(Some(2)).max_items(Some(2)).build().into()
}

/// Lists of two.
pub fn pairs<A: PartialSchema, B: PartialSchema>() -> RefOr<Schema> {
    ArrayBuilder::new().items(pair::<A, B>()).build().into()
}

impl PartialSchema for Rate {
    fn schema() -> RefOr<Schema> {
        let pair = ArrayBuilder::new().items(whole()).min_items(Some(2)).max_items(Some(2));
        let doc = "Money for the smallest of points, as a fraction [numerator, denominator].";
        pair.description(Some(doc)).examples([serde_json::Value::from(vec![100, 1])]).build().into()
    }
}

impl ToSchema for Rate {
    fn name() -> Cow<'static, str> {
        "Rate".into()
    }
}

impl PartialSchema for Refusal {
    fn schema() -> RefOr<Schema> {
        let codes = ObjectBuilder::new().schema_type(Type::String);
        let doc = "Why something was refused: a stable code. Codes are only ever added.";
        codes
            .enum_values(Some(Self::ALL.iter().map(|code| code.code())))
            .description(Some(doc))
            .build()
            .into()
    }
}

impl ToSchema for Refusal {
    fn name() -> Cow<'static, str> {
        "Refusal".into()
    }
}
