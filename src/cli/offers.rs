//! `offers`: what is offered, by an account or a shop, and can still be agreed to.

use super::balance::decimal;
use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use super::holder::accounts;
use super::prices::now;
use crate::book::{Name, Offer, OfferTerms, Principal, Record};
use crate::types::{BrandId, Currency, Hash, OfferId, Time, UnitCode};
use serde::Serialize;

/// Records read at a time.
const PAGE: usize = 1_000;

/// Options of `offers`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse offers                            every open offer
  tallyhouse offers h1058                      those of a member's accounts: exchanges
  tallyhouse offers ac_01jd0000000000000000000000
  tallyhouse offers br_harvest                 those of a shop: bills
  tallyhouse offers br_harvest --json

An offer can be agreed to for a minute. Of an exchange: what is given up, what of that is the fee, what is got. Of a bill:
its amount, what each unit bears of it in points, and what the network's fees for it come to, each with who owes it.
The hash is what a consent repeats.")]
pub struct Args {
    /// An account, a wallet by its id or an alias of it, or a brand; everybody if left out
    #[arg(value_name = "WHOSE")]
    whose: Option<String>,
}

/// An open offer.
#[derive(Serialize)]
struct Listed {
    offer: OfferId,
    hash: Hash,
    by: Principal,
    until: Time,
    terms: OfferTerms,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let whose = match &args.whose {
        None => None,
        Some(text) => Some(match text.parse::<BrandId>() {
            Ok(brand) => vec![Principal::Brand(brand)],
            Err(_) => accounts(context, text)?.into_iter().map(Principal::Account).collect(),
        }),
    };
    let at = now(&folder)?;
    let open = |offer: &Offer| offer.open(at) && whose.as_ref().is_none_or(|whose| whose.contains(&offer.by));
    let mut listed = vec![];
    let mut after = "offer/".to_owned();
    loop {
        let rows = folder.read.scan(&after, PAGE)?.rows;
        for row in rows.iter().take_while(|row| row.key.starts_with("offer/")) {
            let name: Name = row.key.parse().map_err(CliError::fault)?;
            let record = Record::decode(&name, &row.value).map_err(CliError::fault)?;
            if let (Name::Offer(id), Record::Offer(offer)) = (name, record)
                && open(&offer)
            {
                let hash = offer.hash(id);
                let Offer { by, until, terms, .. } = *offer;
                listed.push(Listed { offer: id, hash, by, until, terms });
            }
        }
        match rows.last().filter(|row| rows.len() == PAGE && row.key.starts_with("offer/")) {
            Some(row) => after.clone_from(&row.key),
            None => break,
        }
    }
    if context.json {
        context.say_json(&listed)?;
        return Ok(Exit::Ok);
    }
    for one in &listed {
        context.say(format!("{}  by {}  until {}", one.offer, one.by, one.until))?;
        context.say(format!("     {}", said(&one.terms, &folder)?))?;
        context.say(format!("     hash {}", one.hash))?;
    }
    if listed.is_empty() {
        context.say("nothing is offered")?;
    }
    Ok(Exit::Ok)
}

fn said(terms: &OfferTerms, folder: &Folder) -> Result<String, CliError> {
    let points = |amount: crate::types::Points, unit: UnitCode| -> Result<String, CliError> {
        let scale = super::balance::scale(&*folder.read, unit)?;
        Ok(format!("{} {unit}", decimal(amount.signed(), scale)))
    };
    let money = |amount: crate::types::Money, currency: Currency| {
        let mut settings = folder.genesis.currencies.iter();
        let scale = settings.find(|setting| setting.code == currency).map_or(0, |setting| setting.scale);
        format!("{} {currency}", decimal(amount.signed(), scale))
    };
    match terms {
        OfferTerms::Exchange(terms) => {
            let fee = match &terms.fee {
                Some(fee) => format!(", {} of it the fee", points(fee.points, terms.from)?),
                None => String::new(),
            };
            Ok(format!("{} for {}{fee}", points(terms.source, terms.from)?, points(terms.target, terms.to)?))
        }
        OfferTerms::Payment(terms) => {
            let mut text = format!("a bill of {}:", money(terms.amount, terms.currency));
            for share in &terms.shares {
                let share = format!(
                    " {} for {};",
                    points(share.points, share.unit)?,
                    money(share.amount, terms.currency)
                );
                text.push_str(&share);
            }
            for fee in &terms.fees {
                text.push_str(&format!(" fee of {} {};", fee.customer, money(fee.gross, terms.currency)));
            }
            Ok(text.trim_end_matches(';').to_owned())
        }
    }
}
