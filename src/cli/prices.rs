//! `prices` and `fees`: what a unit is worth where, what the network asks, and what each was: who said so, when, why.
//!
//! Owns: the tables. Promises: every version that was ever published is there, with its first instant and the first
//! instant after it. Refuses to know: what a payment costs; its offer says that.

use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use crate::book::{
    Dated, ExchangeFee, Fee, Fees, LosingFees, Name, Price, Published, Record, Tax, TaxCategory,
};
use crate::clock;
use crate::engine::open_entry;
use crate::prices::in_force;
use crate::reading::{Sort, history, list};
use crate::types::{Currency, Ident, Kid, Rate, Time, UnitCode};
use serde::Serialize;

/// Records read at a time.
const PAGE: usize = 500;
/// Bytes read of the newest entry.
const PAGE_BYTES: usize = 8 << 20;
/// Most digits behind the decimal point of a price.
const MOST_DIGITS: usize = 8;

/// Options of `prices`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse prices HARVEST                    every version of its prices
  tallyhouse prices HARVEST --currency USD
  tallyhouse prices HARVEST --json

For each version: its number and currency, whether it is in force, announced or over, from when, until when, what one
point is worth at home and at tills, what its issuer pays for it (settle) and charges for it (issue); below that, when
and by which key it was published, who approved it, and why. A price that does not end is cut off after 8 digits, with
~ before it; JSON has both integers, in the network's smallest unit of money for the smallest part of a point.")]
pub struct PricesArgs {
    /// The unit
    unit: UnitCode,
    /// One currency only.
    #[arg(long)]
    currency: Option<Currency>,
}

/// Options of `fees`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse fees                              every version of the network's fees
  tallyhouse fees --currency USD
  tallyhouse fees --json

For each version: its number and currency, whether it is in force, announced or over, from when, until when; what who
takes points, who issued them and who exchanges them pays, in percent with the least and the most for one payment; the
tax; below that, when and by which key it was published, who approved it, and why.")]
pub struct FeesArgs {
    /// One currency only.
    #[arg(long)]
    currency: Option<Currency>,
}

/// Where a version stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    InForce,
    Announced,
    Over,
}

/// A version on the list.
#[derive(Serialize)]
struct Listed<T: Serialize> {
    standing: Standing,
    /// The first instant after it: its own, or when a later version takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Time>,
    published: T,
}

/// The instant of the newest entry where commands bring their own time; now elsewhere.
pub(super) fn now(folder: &Folder) -> Result<Time, CliError> {
    let Some(tip) = folder.read.tip()? else { return Err(CliError::fault("the log is empty")) };
    let page = folder.read.read(tip.seq, 1, PAGE_BYTES)?;
    let last = page.first().ok_or_else(|| CliError::fault(format!("entry {} is missing", tip.seq)))?;
    let last = open_entry(last).map_err(CliError::fault)?.0.at;
    Ok(if folder.genesis.driven { last } else { clock::now().max(last) })
}

fn time(seconds: u64) -> Option<Time> {
    Time::from_seconds(seconds)
}

/// Says of each version where it stands among all of its currency.
fn stand<T: Serialize, D: Dated + Clone>(
    all: Vec<T>,
    of: impl Fn(&T) -> &D,
    currency: Option<Currency>,
    now: Time,
) -> Vec<Listed<T>> {
    let versions: Vec<D> = all.iter().map(|one| of(one).clone()).collect();
    let standing = |one: &D| {
        let current = in_force(&versions, one.currency(), now.seconds());
        match current.is_some_and(|current| current.version() == one.version()) {
            true => Standing::InForce,
            false if one.from() > now.seconds() => Standing::Announced,
            false => Standing::Over,
        }
    };
    let replaced = |one: &D| {
        let later = versions.iter().filter(|other| {
            other.version() > one.version() && other.currency() == one.currency() && other.until().is_none()
        });
        later.map(Dated::from).chain(one.until()).min().and_then(time)
    };
    let mut listed = vec![];
    for one in all {
        let terms = of(&one);
        if currency.is_none_or(|wanted| wanted == terms.currency()) {
            listed.push(Listed { standing: standing(terms), replaced: replaced(terms), published: one });
        }
    }
    listed
}

/// Every record of a list, page by page.
fn pages(
    page: impl Fn(&str) -> Result<crate::reading::Page, crate::reading::Fault>,
) -> Result<Vec<Record>, CliError> {
    let (mut all, mut after) = (vec![], String::new());
    loop {
        let found = page(&after).map_err(CliError::fault)?;
        all.extend(found.items.into_iter().map(|item| item.record));
        match found.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Runs `prices`.
pub fn prices(args: PricesArgs, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    args.currency.map_or(Ok(()), |currency| folder.trades_in(currency))?;
    let scale = super::balance::scale(&*folder.read, args.unit)
        .map_err(|_| CliError::usage(format!("there is no unit {}", args.unit)))?;
    let records = pages(|after| history(&*folder.read, args.unit, after, PAGE))?;
    let all: Vec<Published<Price>> = records.into_iter().filter_map(|one| one.published().cloned()).collect();
    let listed = stand(all, |one| &one.terms, args.currency, now(&folder)?);
    if context.json {
        context.say_json(&listed)?;
        return Ok(Exit::Ok);
    }
    if listed.is_empty() {
        context.say(format!("{} has no prices", args.unit))?;
    }
    for one in &listed {
        let Published { terms: price, reason, by, approved, seq, at } = &one.published;
        let digits = digits(&folder, price.currency);
        let of = |rate: Rate| worth(rate, scale, digits);
        context.say(head(price.version, price.currency, one.standing, price.from, one.replaced))?;
        context.say(format!(
            "     home {}, till {}, settle {}, issue {}",
            of(price.home),
            of(price.till),
            of(price.settle),
            of(price.issue)
        ))?;
        for (what, list) in [("settle", &price.settle_for), ("issue", &price.issue_for)] {
            let some: Vec<String> =
                list.iter().map(|one| format!("{} {}", one.participant, of(one.rate))).collect();
            if !some.is_empty() {
                context.say(format!("     {what} for {}", some.join(", ")))?;
            }
        }
        context.say(word(*seq, *at, *by, approved, reason.as_ref(), &folder)?)?;
    }
    Ok(Exit::Ok)
}

/// Runs `fees`.
pub fn fees(args: FeesArgs, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    args.currency.map_or(Ok(()), |currency| folder.trades_in(currency))?;
    let records = pages(|after| list(&*folder.read, Sort::Fees, after, PAGE))?;
    let all: Vec<Published<Fees>> =
        records.into_iter().filter_map(|one| one.published_fees().cloned()).collect();
    let listed = stand(all, |one| &one.terms, args.currency, now(&folder)?);
    if context.json {
        context.say_json(&listed)?;
        return Ok(Exit::Ok);
    }
    if listed.is_empty() {
        context.say("the network asks for no fees")?;
    }
    for one in &listed {
        let Published { terms: fees, reason, by, approved, seq, at } = &one.published;
        let scale = digits(&folder, fees.currency);
        context.say(head(fees.version, fees.currency, one.standing, fees.from, one.replaced))?;
        context.say(format!("     from who takes points  {}", in_money(&fees.acceptor, scale)))?;
        context.say(format!("     from who issued them   {}", in_money(&fees.issuer, scale)))?;
        for fee in &fees.exchange {
            context.say(format!("     from who exchanges     {}", in_points(fee)))?;
        }
        if let Some(losing) = fees.dispute {
            context.say(format!("     from who loses a dispute: {}", in_dispute(losing, scale)))?;
        }
        context.say(format!("     owed to {}, {}", fees.supplier, taxed(fees.tax)))?;
        context.say(word(*seq, *at, *by, approved, reason.as_ref(), &folder)?)?;
    }
    Ok(Exit::Ok)
}

fn digits(folder: &Folder, currency: Currency) -> u8 {
    let mut settings = folder.genesis.currencies.iter();
    settings.find(|setting| setting.code == currency).map_or(0, |setting| setting.scale)
}

fn head(version: u64, currency: Currency, standing: Standing, from: u64, replaced: Option<Time>) -> String {
    let standing = match standing {
        Standing::InForce => "in force",
        Standing::Announced => "announced",
        Standing::Over => "over",
    };
    let from = time(from).map_or_else(|| from.to_string(), |at| at.to_string());
    let until = replaced.map_or_else(|| "further notice".to_owned(), |at| at.to_string());
    format!("{version:>4} {currency}  {standing:<9}  from {from} until {until}")
}

/// Who said it, when, and why.
fn word(
    seq: u64,
    at: Time,
    by: Kid,
    approved: &[Kid],
    reason: Option<&Ident>,
    folder: &Folder,
) -> Result<String, CliError> {
    let mut text = format!("     published {at} in entry {seq} by {}", signer(folder, by)?);
    for (kid, before) in approved.iter().zip([", approved by "].into_iter().chain(std::iter::repeat(", "))) {
        text.push_str(before);
        text.push_str(&signer(folder, *kid)?);
    }
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    Ok(text)
}

/// The person of a key, if its certificate names one; its owner, and the key.
fn signer(folder: &Folder, kid: Kid) -> Result<String, CliError> {
    let name = Name::Key(kid);
    let loaded = folder.read.load(&[name.to_string()])?;
    let record = loaded.rows.first().map(|row| Record::decode(&name, &row.value)).transpose();
    let record = record.map_err(CliError::fault)?;
    let short: String = kid.to_string().chars().take(8).collect();
    Ok(match record.as_ref().and_then(Record::key) {
        Some(key) => match &key.person {
            Some(person) => format!("{person} ({} {short})", key.owner),
            None => format!("{} {short}", key.owner),
        },
        None => short,
    })
}

/// What one whole point is worth, in whole money.
fn worth(rate: Rate, point: u8, money: u8) -> String {
    let (num, den) = rate.fraction();
    let up = u128::from(num).saturating_mul(10u128.saturating_pow(u32::from(point)));
    let down = u128::from(den).saturating_mul(10u128.saturating_pow(u32::from(money)));
    let (whole, mut rest) = (up.checked_div(down).unwrap_or(0), up.checked_rem(down).unwrap_or(0));
    let mut text = format!("{whole}.");
    for digit in 0..MOST_DIGITS {
        if rest == 0 && digit >= 2 {
            break;
        }
        let ten = rest.saturating_mul(10);
        text.push_str(&ten.checked_div(down).unwrap_or(0).to_string());
        rest = ten.checked_rem(down).unwrap_or(0);
    }
    if rest == 0 { text } else { format!("~{text}") }
}

/// Parts per million as percent.
fn percent(ppm: u32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(super) fn in_money(fee: &Fee, scale: u8) -> String {
    if fee.is_waived() {
        return "nothing".into();
    }
    let money = |amount: crate::types::Money| super::balance::decimal(amount.signed(), scale);
    let min = if fee.min.is_zero() { String::new() } else { format!(", at least {}", money(fee.min)) };
    let max = fee.max.map(|max| format!(", at most {}", money(max))).unwrap_or_default();
    let kept = if fee.refundable { "" } else { ", not refunded" };
    format!("{}{min}{max}{kept}", percent(fee.ppm))
}

fn in_dispute(losing: LosingFees, scale: u8) -> String {
    let money = |amount: crate::types::Money| super::balance::decimal(amount.signed(), scale);
    format!("{}, and {} to whoever wins", money(losing.network), money(losing.winner))
}

pub(super) fn in_points(fee: &ExchangeFee) -> String {
    let unit = fee.unit.map_or_else(|| "any points".to_owned(), |unit| unit.to_string());
    let tier = fee.tier.as_ref().map(|tier| format!(", {tier} members")).unwrap_or_default();
    let min = if fee.min.is_zero() { String::new() } else { format!(", at least {}", fee.min) };
    let max = fee.max.map(|max| format!(", at most {max}")).unwrap_or_default();
    format!("{}{min}{max} of {unit}{tier}", percent(fee.ppm))
}

fn taxed(tax: Tax) -> String {
    match tax.category {
        TaxCategory::Standard => format!("tax {}", percent(tax.rate)),
        TaxCategory::ZeroRated => "tax at zero".into(),
        TaxCategory::Exempt => "exempt from tax".into(),
        TaxCategory::ReverseCharge => "tax owed by who is served".into(),
        TaxCategory::OutsideScope => "outside the scope of tax".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_of_whole_points() {
        let of = |num, den, point, money| worth(Rate::new(num, den).expect("a price"), point, money);
        assert_eq!(of(110, 1, 0, 4), "0.011");
        assert_eq!(of(25, 1, 2, 4), "0.25");
        assert_eq!(of(1, 3, 0, 0), "~0.33333333");
        assert_eq!(of(100, 1, 0, 2), "1.00");
        assert_eq!(of(999_999_999_999_999, 1, 4, 0), "9999999999999990000.00");
    }

    #[test]
    fn percents_have_no_more_digits_than_they_need() {
        let all = [(0, "0 %"), (1, "0.0001 %"), (2_900, "0.29 %"), (190_000, "19 %"), (1_000_000, "100 %")];
        for (ppm, text) in all {
            assert_eq!(percent(ppm), text);
        }
    }
}
