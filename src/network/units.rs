//! Units: a brand defines its points and their public settings.

use super::signer::{Asked, brand_root};
use crate::book::{Draft, Expiry, Floor, Kept, Name, Notice, PartKey, Record, Shared, Stop, Unit};
use crate::sign::{optional_object, optional_objects};
use crate::types::{Points, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// An offset from UTC as text: sign, two digits of hours, colon, two digits of minutes.
mod written_offset {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(offset: &i16, s: S) -> Result<S::Ok, S::Error> {
        let (sign, minutes) = (if *offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        s.collect_str(&format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i16, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        read(&text).ok_or_else(|| D::Error::custom("an offset from UTC such as +01:00 or -05:30"))
    }

    fn read(text: &str) -> Option<i16> {
        let [sign @ (b'+' | b'-'), rest @ ..] = text.as_bytes() else { return None };
        let &[h1, h2, b':', m1, m2] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(10).and_then(|digit| i16::try_from(digit).ok());
        let two = |a, b| digit(a)?.checked_mul(10)?.checked_add(digit(b)?);
        let minutes = two(m1, m2).filter(|minutes| *minutes < 60)?;
        let all = two(h1, h2)?.checked_mul(60)?.checked_add(minutes)?;
        match sign {
            b'-' if all == 0 => None,
            b'-' => all.checked_neg(),
            _ => Some(all),
        }
    }
}

/// `unit.define`: creates a unit (version 1) or changes its settings (the next version), signed by the
/// brand's root. Scale and offset are fixed at creation; what was issued keeps its dates.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineUnit {
    /// Its code.
    pub unit: UnitCode,
    /// 1, then one more for each change.
    pub version: u64,
    /// Decimal places, 0 to 4.
    #[schema(maximum = 4)]
    pub scale: u8,
    /// Offset from UTC, at most 14 hours; written as RFC 3339 does, `+01:00` or `-05:30`, since a signed statement
    /// has no negative numbers. Zero is `+00:00`.
    #[serde(with = "written_offset")]
    #[schema(value_type = String, pattern = "^[+-][0-9]{2}:[0-5][0-9]$", example = "+01:00")]
    pub offset: i16,
    /// When points expire.
    pub expiry: Expiry,
    /// Days before points can be spent, at most 366.
    #[serde(default)]
    #[schema(maximum = 366)]
    pub pending_days: u32,
    /// Days that points given back after their date live on, at most 366. Once points were issued, fewer count after the
    /// notice of a cut.
    #[serde(default)]
    #[schema(maximum = 366)]
    pub grace_days: u32,
    /// Most points ever issued.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issue_cap: Option<Points>,
    /// Fewest points in a payment. Once points were issued, more count after the notice of a cut.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_spend: Option<Points>,
    /// Most points in which one shop's brand may offer bills in a minute, which is as long as an offer lives.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer_cap: Option<Points>,
    /// How long before they apply prices are announced: 7 days for a change and 30 for a cut if absent. It is never
    /// shortened.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_object")]
    pub notice: Option<Notice>,
    /// What a point is worth at the least, at home and at tills, by currency. It is never lowered.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub floor: Option<Vec<Floor>>,
}

/// Most days or months that an expiry policy may name: a hundred years.
const MOST_DAYS: u32 = 36_525;

fn expiry_is_valid(expiry: &Expiry) -> bool {
    let block = |round: &Option<u32>| matches!(round, None | Some(1 | 3 | 12));
    match expiry {
        Expiry::Never => true,
        Expiry::Days { n, round } => *n <= MOST_DAYS && block(round),
        Expiry::Months { n, round } => *n <= MOST_DAYS / 30 && block(round),
        Expiry::Yearly { month, day, least } => {
            // A leap year, so that 29 February can be named.
            let exists = format!("2024-{month:02}-{day:02}").parse::<crate::types::Date>().is_ok();
            exists && *least <= MOST_DAYS
        }
    }
}

fn invalid(setting: &str) -> Stop {
    Refused::about(Refusal::SettingInvalid, setting).into()
}

/// A floor is given once for each currency, and no price in force or announced is below it.
fn check_floor(draft: &mut Draft, unit: UnitCode, floor: &[Floor]) -> Result<(), Stop> {
    let prices = draft.get(&Name::Prices(unit))?;
    let versions = prices.as_deref().and_then(Record::prices).map_or(&[][..], |prices| &prices.versions);
    for (at, one) in floor.iter().enumerate() {
        let twice = floor.iter().take(at).any(|earlier| earlier.currency == one.currency);
        if twice || !draft.network()?.currencies.contains(&one.currency) {
            return Err(invalid("floor: once for each currency of the network"));
        }
        let mut below = versions.iter().filter(|price| price.currency == one.currency);
        if below.any(|price| one.rate.is_above(price.home) || one.rate.is_above(price.till)) {
            return Err(invalid("floor: prices in force or announced are below it"));
        }
    }
    Ok(())
}

/// What holds on for as long as a cut is announced, where these settings are worse for who has points of the unit: a
/// higher minimum, fewer days of grace. Nobody could spend what is below it from one moment to the next.
fn still_kept(draft: &mut Draft, have: &Unit, args: &DefineUnit) -> Result<Option<Kept>, Stop> {
    let (least, grace) = (have.min_spend(draft.at), have.grace_days(draft.at));
    let worse = args.min_spend > least || args.grace_days < grace;
    if !worse || draft.total(&Name::Shared(args.unit, Shared::Issuance))? == 0 {
        return Ok(None);
    }
    // What was announced already and is not made worse again begins when it was said to.
    let announced = have.kept(draft.at).filter(|_| {
        let again = args.min_spend > have.min_spend || args.grace_days < have.grace_days;
        !again
    });
    let days = have.notice.unwrap_or(Notice::DEFAULT).cut_days;
    let notice = draft.at.seconds().saturating_add(u64::from(days).saturating_mul(86_400));
    let until = announced.map_or(notice, |kept| kept.until);
    let kept = Kept { until, min_spend: least.min(args.min_spend), grace_days: grace.max(args.grace_days) };
    Ok(Some(kept).filter(|kept| kept.until > draft.at.seconds()))
}

/// Creates a unit or changes its settings.
pub fn define_unit(draft: &mut Draft, asked: &Asked, args: &DefineUnit) -> Result<(), Stop> {
    let brand = brand_root(draft, asked.kid)?;
    if args.scale > 4 {
        return Err(invalid("scale: 0 to 4"));
    }
    if !(-840..=840).contains(&args.offset) {
        return Err(invalid("offset: -840 to 840 minutes"));
    }
    if !expiry_is_valid(&args.expiry) {
        return Err(invalid("expiry"));
    }
    if args.pending_days > 366 || args.grace_days > 366 {
        return Err(invalid("pending_days, grace_days: at most 366"));
    }
    let name = Name::Unit(args.unit);
    let before = draft.get(&name)?;
    let floor = args.floor.clone().unwrap_or_default();
    check_floor(draft, args.unit, &floor)?;
    let notice = args.notice.unwrap_or(Notice::DEFAULT);
    if notice.change_days > notice.cut_days || notice.cut_days > 366 {
        return Err(invalid("notice: change_days, cut_days in order, at most 366"));
    }
    let mut frozen = false;
    let mut kept = None;
    let mut next = 1;
    if let Some(have) = before.as_deref().and_then(Record::unit) {
        if have.brand != brand {
            return Err(Refused::about(Refusal::AlreadyExists, args.unit).into());
        }
        if have.scale != args.scale || have.offset != args.offset {
            return Err(invalid("scale and offset are fixed at creation"));
        }
        let had = have.notice.unwrap_or(Notice::DEFAULT);
        if notice.change_days < had.change_days || notice.cut_days < had.cut_days {
            return Err(invalid("notice: never shorter than before"));
        }
        let promised = |had: &Floor| {
            floor.iter().any(|now| now.currency == had.currency && !had.rate.is_above(now.rate))
        };
        if !have.floor.iter().all(promised) {
            return Err(invalid("floor: never lower than before"));
        }
        kept = still_kept(draft, have, args)?;
        frozen = have.frozen;
        next = have.version.saturating_add(1);
    }
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    let unit = Unit {
        brand,
        version: args.version,
        scale: args.scale,
        offset: args.offset,
        expiry: args.expiry.clone(),
        pending_days: args.pending_days,
        grace_days: args.grace_days,
        issue_cap: args.issue_cap,
        min_spend: args.min_spend,
        offer_cap: args.offer_cap,
        notice: args.notice,
        floor,
        kept,
        frozen,
    };
    draft.put(PartKey::Public, name, Some(Record::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{Jws, SecretKey, Typ, sign};
    use crate::types::encode;

    fn unit(offset: i16) -> DefineUnit {
        DefineUnit {
            unit: "KINO".parse().expect("a unit"),
            version: 1,
            scale: 0,
            offset,
            expiry: Expiry::Never,
            pending_days: 0,
            grace_days: 0,
            issue_cap: None,
            min_spend: None,
            offer_cap: None,
            notice: None,
            floor: None,
        }
    }

    #[test]
    fn a_unit_west_of_greenwich_can_be_signed() {
        let key = SecretKey::from_seed([1; 32]);
        for offset in [-840, -300, -1, 0, 59, 60, 840] {
            let token = sign(&key, Typ::Command, &encode(&unit(offset)));
            let jws = Jws::parse(&token).expect("within the grammar of signed statements");
            assert_eq!(jws.payload::<DefineUnit>().map(|args| args.offset), Ok(offset));
        }
    }

    #[test]
    fn an_offset_has_one_spelling() {
        let with = |offset: &str| {
            let text = String::from_utf8(encode(&unit(60))).expect("text").replace("+01:00", offset);
            serde_json::from_str::<DefineUnit>(&text).map(|args| args.offset).ok()
        };
        assert_eq!((with("-05:30"), with("+00:00")), (Some(-330), Some(0)));
        for wrong in ["-00:00", "01:00", "+1:00", "+01:60", "+01:0", "+01-00", ""] {
            assert_eq!(with(wrong), None, "{wrong}");
        }
    }
}
