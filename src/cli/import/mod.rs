//! `import`: receipts or awards from a file into a network, in signed batches.
//!
//! Owns: which key, unit and earn rule an import uses, and the summary.
//! Promises: every row of the file is accounted for in the summary: awarded, awarded before, passed over,
//! or rejected with its line and a reason. Killed at any point and started again, it goes on, and no row
//! gives points twice.
//! Refuses to know: how batches are decided.

mod batch;
mod input;
mod rejects;

use super::context::{CliError, Context, Exit};
use super::demo::page::{decimal, grouped};
use super::demo::read_terms;
use super::demo::terms::{BrandTerms, Earn};
use crate::app::{Network, Pen, Tuning};
use crate::book::{Budget, Name, Record, Unit};
use crate::log::Envelope;
use crate::sign::{KeyBudget, SecretKey, Window};
use crate::store::Read;
use crate::types::{BrandId, Points, Time, UnitCode};
use crate::vault::{KeyFolder, Owner, Vault};
use batch::{Batches, Issuer, Sums};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use input::{Filter, Form, Input, What};
use rejects::Rejects;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `import`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse import receipts.csv --brand br_harvest
  tallyhouse import awards.ndjson --brand br_harvest --rejects bad.ndjson
  tallyhouse import history.csv --brand br_harvest --backfill     years of receipts, however old
  tallyhouse import receipts.csv --brand br_harvest --points-per 2/1.00

Receipts are CSV with the columns receipt,brand,store,member,at,amount_minor,items; members get a wallet where
they have none, under a number that holds everywhere (`everywhere` at /v1/accounts:resolve), and points by the
brand's earn rule. Awards are lines of JSON:
  {\"sub\":\"ac_…\",\"amount\":120,\"ref\":\"r-1001\",\"till\":\"s1\",\"occurred_at\":1767225600}
Lines go in as signed batches. Start the same import again whenever you like: what is in is recognised by the
receipt's number, and by the batch; what was refused is tried again.
Exit code 0: all of it is in. 1: some rows were rejected, see the file that the summary names.")]
pub struct Args {
    /// The file: receipts (CSV) or awards (NDJSON)
    file: PathBuf,
    /// The brand that issues the points
    #[arg(long, value_name = "BRAND")]
    brand: BrandId,
    /// The unit; by default the one that the key has a budget for
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitCode>,
    /// The brand's issuing key; by default keys/BRAND/issuing.jwk in the data folder
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where rows go that cannot be taken; by default beside the file
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Receipts or awards; by default what the file looks like
    #[arg(long, value_enum)]
    form: Option<Form>,
    /// The brand's name in the receipts; by default its id without br_, in capitals or not
    #[arg(long, value_name = "NAME")]
    named: Option<String>,
    /// Points for so much money, such as 1/1.00; by default the demo's terms
    #[arg(long, value_name = "POINTS/MONEY")]
    points_per: Option<String>,
    /// A file of terms instead of the demo's own
    #[arg(long, value_name = "FILE", conflicts_with = "points_per")]
    terms: Option<PathBuf>,
    /// Have the brand's root sign a budget that covers this file, with a window for receipts of its time
    #[arg(long)]
    backfill: bool,
    /// The brand's root key for --backfill; by default keys/BRAND/root.jwk in the data folder
    #[arg(long, value_name = "FILE", requires = "backfill")]
    root: Option<PathBuf>,
    /// In a driven network: most days between a row and those before it; what lies further ahead is rejected,
    /// since it would move the network's time
    #[arg(long, value_name = "DAYS", default_value_t = 31)]
    gap: u64,
    /// Lines in one batch, at most 10,000
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lines: u32,
}

/// What an import came to.
#[derive(Serialize, Default)]
struct Summary {
    file: String,
    brand: String,
    unit: String,
    /// Decimal places of points.
    scale: u8,
    /// Rows of the file.
    rows: u64,
    #[serde(flatten)]
    sums: Sums,
    /// Rows that did not go in.
    rejected: u64,
    /// Why, by code or first words.
    reasons: BTreeMap<String, u64>,
    /// Where they are.
    rejects: Option<String>,
    /// Receipts of other brands.
    other_brands: u64,
    /// Receipts too small to earn a point.
    too_small: u64,
    /// Awards without a receipt's number.
    without_ref: u64,
    seconds: f64,
}

/// Imports.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let form = match args.form {
        Some(form) => form,
        None => input::form_of(&args.file).map_err(CliError::Usage)?,
    };
    let beside = || rejects::beside(&args.file, form == Form::Receipts);
    let rejected = args.rejects.clone().unwrap_or_else(beside);
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    if same(&rejected, &args.file) {
        return Err(CliError::usage("--rejects names the file itself"));
    }
    let home = context.network()?;
    let keys = Keys::read(&args, &context.data)?;
    if !Vault::exists(&home)? {
        let gone = "vault.sqlite is missing: without it members are not recognised; restore it first";
        return Err(CliError::fault(format!("{}: {gone}", home.shown())));
    }
    let tuning = Tuning::of(&context.config()?, &context.data);
    let network = Network::open(&home, &keys.log, &tuning).map_err(CliError::fault)?;
    let vault = Vault::open(&home).map_err(CliError::fault)?;
    let plan = Plan::make(&args, form, &network, keys)?;
    let begun = Instant::now();
    let mut summary = plan.import(&network, &vault, rejected)?;
    network.engine.settle().map_err(CliError::fault)?;
    network.close().map_err(CliError::fault)?;
    summary.seconds = begun.elapsed().as_secs_f64();
    match context.json {
        true => context.say_json(&summary)?,
        false => say(&summary, context)?,
    }
    Ok(if summary.rejected == 0 { Exit::Ok } else { Exit::Refused })
}

/// The keys that an import signs with.
struct Keys {
    log: SecretKey,
    issuing: SecretKey,
    root: Option<SecretKey>,
}

impl Keys {
    fn read(args: &Args, data: &Path) -> Result<Self, CliError> {
        let folder = KeyFolder::at(data);
        let named = |owner: Owner, name: &str| {
            let name = name.parse().map_err(CliError::fault)?;
            folder.load(&owner, &name).map_err(CliError::usage)
        };
        let brand = || Owner::Brand(args.brand.clone());
        let at = |path: &PathBuf| {
            let text = super::context::read(path)?;
            let key = SecretKey::from_jwk_private(text.trim_end());
            key.map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
        };
        Ok(Self {
            log: named(Owner::Operator, "log")?,
            issuing: args.key.as_ref().map_or_else(|| named(brand(), "issuing"), &at)?,
            root: match (&args.root, args.backfill) {
                (Some(path), _) => Some(at(path)?),
                (None, true) => Some(named(brand(), "root")?),
                (None, false) => None,
            },
        })
    }
}

/// Everything that is known before the first batch.
struct Plan<'a> {
    args: &'a Args,
    form: Form,
    issuer: Issuer,
    root: Option<SecretKey>,
    budget: Budget,
    unit: Unit,
    /// What purchases earn, and the brand's terms if they say it.
    earn: Earn,
    name: Option<String>,
}

fn record(read: &dyn Read, name: &Name) -> Result<Option<Record>, CliError> {
    let rows = read.load(&[name.to_string()])?.rows;
    rows.first().map(|row| Record::decode(name, &row.value).map_err(CliError::fault)).transpose()
}

impl<'a> Plan<'a> {
    fn make(args: &'a Args, form: Form, network: &Network, keys: Keys) -> Result<Self, CliError> {
        let read = &**network.engine.read();
        let kid = keys.issuing.public().kid();
        let Some(Record::Budget(budget)) = record(read, &Name::Budget(kid))? else {
            return Err(CliError::Usage(format!(
                "the network knows no budget of the key {kid}: is it an issuing key of {}?",
                args.brand
            )));
        };
        let code = args.unit.unwrap_or(budget.unit);
        let unit = match record(read, &Name::Unit(code))? {
            Some(Record::Unit(unit)) if unit.brand == args.brand && code == budget.unit => unit,
            Some(Record::Unit(unit)) => {
                let about = format!("{code} is of {}; the key's budget is for {}", unit.brand, budget.unit);
                return Err(CliError::Usage(about));
            }
            _ => return Err(CliError::Usage(format!("there is no unit {code}"))),
        };
        let currency = network
            .genesis
            .currencies
            .first()
            .ok_or_else(|| CliError::fault("a network without currency"))?;
        let finer = 10u64.pow(u32::from(currency.scale.saturating_sub(currency.minor)));
        let (earn, name) = earn(args, unit.scale, currency.minor)?;
        let issuer = Issuer {
            pen: Pen { net: network.genesis.net() },
            brand: args.brand.clone(),
            unit: code,
            key: keys.issuing,
            currency: currency.code,
            finer,
        };
        Ok(Self { args, form, issuer, root: keys.root, budget, unit: *unit, earn, name })
    }

    fn input(&self) -> Result<Input, CliError> {
        if self.form == Form::Awards {
            return Input::awards(&self.args.file).map_err(CliError::Usage);
        }
        let bare = self.args.brand.as_str().trim_start_matches("br_").to_owned();
        let id = self.args.brand.to_string();
        let named = self.args.named.clone().or_else(|| self.name.clone());
        let chosen = self.args.named.is_some();
        let is_named = move |name: &str| {
            named.as_ref().is_some_and(|named| name.eq_ignore_ascii_case(named))
                || (!chosen && (name.eq_ignore_ascii_case(&bare) || name == id))
        };
        Input::receipts(&self.args.file, Filter { named: Box::new(is_named), earn: self.earn })
            .map_err(CliError::Usage)
    }

    fn import(&self, network: &Network, vault: &Vault, rejected: PathBuf) -> Result<Summary, CliError> {
        let tip = network.engine.read().tip().map_err(CliError::fault)?;
        let tip = tip.ok_or_else(|| CliError::fault("the log is empty"))?;
        let now = log_time(&**network.engine.read(), tip.seq).map_err(CliError::Fault)?;
        if let Some(root) = &self.root {
            self.backfill(network, root, now)?;
        }
        let driven = network.genesis.driven.then_some(now);
        let most = usize::try_from(self.args.lines).unwrap_or(1);
        // The budget of --backfill stands after the tip, and no batch of an earlier run does.
        let mut batches = Batches::new(network, vault, &self.issuer, most, tip.seq + 1, driven);
        batches.gap = self.args.gap.saturating_mul(86_400);
        let mut input = self.input()?;
        let mut rejects = Rejects::at(rejected, input.columns()).map_err(CliError::Fault)?;
        let mut summary = self.blank();
        let mut others = BTreeMap::new();
        let bar = bar(&self.args.file);
        while let Some(row) = input.next().map_err(CliError::Fault)? {
            summary.rows += 1;
            match &row.what {
                What::Receipt(..) => batches.push(row)?,
                What::Award(award, _) => {
                    summary.without_ref += u64::from(award.reference.is_none());
                    batches.push(row)?;
                }
                What::OtherBrand(name) => *others.entry(name.clone()).or_insert(0u64) += 1,
                What::TooSmall => summary.too_small += 1,
                What::Bad(reason) => {
                    *summary.reasons.entry("bad line".into()).or_default() += 1;
                    rejects.put(row.line, reason, &row.raw).map_err(CliError::Fault)?;
                }
            }
            if summary.rows.is_multiple_of(1_000) {
                bar.set_position(input.position());
                bar.set_message(format!("{} rows", grouped(summary.rows)));
                reject(&mut batches, &mut rejects, &mut summary)?;
            }
        }
        let finished = batches.finish();
        reject(&mut batches, &mut rejects, &mut summary)?;
        rejects.flush().map_err(CliError::Fault)?;
        bar.finish_and_clear();
        finished?;
        summary.sums = batches.sums;
        summary.other_brands = others.values().sum();
        if summary.rows > 0 && summary.other_brands == summary.rows {
            let names: Vec<String> = others.into_keys().take(12).collect();
            let names = names.join(", ");
            return Err(CliError::Usage(format!(
                "no receipt is of {}: the file has {names}; say which with --named",
                self.args.brand
            )));
        }
        summary.rejected = rejects.count;
        summary.rejects = (rejects.count > 0).then(|| rejects.path().display().to_string());
        Ok(summary)
    }

    fn blank(&self) -> Summary {
        Summary {
            file: self.args.file.display().to_string(),
            brand: self.args.brand.to_string(),
            unit: self.issuer.unit.to_string(),
            scale: self.unit.scale,
            ..Summary::default()
        }
    }

    /// The brand's root signs a budget with a window over the file's receipts and room for all its points.
    fn backfill(&self, network: &Network, root: &SecretKey, now: Time) -> Result<(), CliError> {
        let mut input = self.input()?;
        let (mut total, mut window) = (0u64, None::<(u64, u64)>);
        while let Some(row) = input.next().map_err(CliError::Fault)? {
            let (points, occurred) = match &row.what {
                What::Receipt(receipt, points) => (*points, Some(receipt.at.seconds())),
                What::Award(award, _) => (award.amount, award.occurred_at),
                _ => continue,
            };
            total = total.saturating_add(points.get());
            if let Some(at) = occurred {
                let (from, until) = window.unwrap_or((at, at));
                window = Some((from.min(at), until.max(at)));
            }
        }
        let Some((from, until)) = window else { return Ok(()) };
        let covered = self.budget.backfill.is_some_and(|(a, b)| a <= from && until < b);
        let key = self.issuer.key.public().kid();
        let issued = self.issued(network)?;
        let needed = issued.saturating_add(total);
        if covered && self.budget.ceiling.get() >= needed && self.budget.until > now.seconds() {
            return Ok(());
        }
        let latest = now.max(Time::from_seconds(until).unwrap_or(now));
        let budget = KeyBudget {
            aud: self.issuer.pen.net,
            key,
            unit: self.issuer.unit,
            serial: self.budget.serial + 1,
            ceiling: Points::new(needed.max(self.budget.ceiling.get()))
                .ok_or_else(|| CliError::usage("a budget above 2^53 - 1 points"))?,
            hourly: self.budget.hourly,
            until: self.budget.until.max(latest.plus_seconds(30 * 86_400).seconds()),
            backfill: Some(Window { from, until: until + 1 }),
            sponsored: None,
        };
        let at = network.genesis.driven.then_some(now);
        network.engine.ask(&self.issuer.pen.budget(root, &budget), at).map_err(CliError::fault)?;
        Ok(())
    }

    /// What the key has issued so far.
    fn issued(&self, network: &Network) -> Result<u64, CliError> {
        let kid = self.issuer.key.public().kid().to_string();
        let subject = kid.parse().map_err(CliError::fault)?;
        let name = Name::Limit(self.args.brand.clone(), subject, crate::book::Measure::Issued);
        let limit = record(&**network.engine.read(), &name).map_err(CliError::fault)?;
        Ok(limit.as_ref().and_then(Record::limit).map_or(0, |limit| limit.used))
    }
}

/// Moves what batches refused to the file of rejects.
fn reject(batches: &mut Batches<'_>, rejects: &mut Rejects, summary: &mut Summary) -> Result<(), CliError> {
    for (line, reason, raw) in batches.refused.drain(..) {
        let code = reason.split(':').next().unwrap_or_default().to_owned();
        *summary.reasons.entry(code).or_default() += 1;
        rejects.put(line, &reason, &raw).map_err(CliError::Fault)?;
    }
    Ok(())
}

/// What a purchase earns: as said, or by the terms. With the terms comes the brand's name in receipts.
fn earn(args: &Args, scale: u8, minor: u8) -> Result<(Earn, Option<String>), CliError> {
    if let Some(text) = &args.points_per {
        let no =
            || CliError::Usage(format!("--points-per {text}: points and money such as 1/1.00 are wanted"));
        let (points, per) = text.split_once('/').ok_or_else(no)?;
        return Ok((Earn::read(points, scale, per, minor).map_err(CliError::Usage)?, None));
    }
    let terms = read_terms(args.terms.as_deref()).map_err(CliError::Usage)?;
    let names: Vec<String> = terms.named().map(str::to_owned).collect();
    let brands = terms.brands(&names).map_err(CliError::Usage)?;
    let own: Option<BrandTerms> = brands.into_iter().find(|brand| brand.id == args.brand);
    match own {
        Some(brand) if brand.scale == scale => Ok((brand.earn, Some(brand.name))),
        Some(_) => Err(CliError::usage("the terms give the unit another scale: say --points-per")),
        None => Ok((terms.default_earn(scale, minor).map_err(CliError::Usage)?, None)),
    }
}

fn log_time(read: &dyn Read, seq: u64) -> Result<Time, String> {
    let last = read.read_envelopes(seq, 1).map_err(|e| e.to_string())?;
    let last = last.first().ok_or("the last entry is missing")?;
    Envelope::decode(&last.bytes).map(|envelope| envelope.at).map_err(|e| e.to_string())
}

/// A bar over the bytes of the file; nothing where nobody looks.
fn bar(file: &Path) -> ProgressBar {
    let size = file.metadata().map_or(0, |meta| meta.len());
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = "import {wide_bar} {msg}, {percent} %, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

fn say(summary: &Summary, context: &mut Context<'_>) -> Result<(), CliError> {
    let s = summary;
    let rate = (s.sums.awarded + s.sums.already) as f64 / s.seconds.max(0.001);
    context.say(format!(
        "{} rows of {} in {:.2} s ({rate:.0} awards a second)",
        grouped(s.rows),
        s.file,
        s.seconds
    ))?;
    let points = decimal(s.sums.points, s.scale);
    context.say(format!(
        "{:>12} awarded now: {points} {} of {}",
        grouped(s.sums.awarded),
        s.unit,
        s.brand
    ))?;
    let mut line = |n: u64, what: &str| match n {
        0 => Ok(()),
        n => context.say(format!("{:>12} {what}", grouped(n))),
    };
    line(s.sums.already, "were in already, and gave nothing again")?;
    line(s.other_brands, "of other brands, passed over")?;
    line(s.too_small, "too small to earn a point")?;
    line(s.without_ref, "have no ref: only this same file is recognised when it comes again")?;
    if let Some(path) = &s.rejects {
        let reasons: Vec<String> =
            s.reasons.iter().map(|(code, n)| format!("{} {code}", grouped(*n))).collect();
        line(s.rejected, &format!("rejected ({}), see {path}", reasons.join(", ")))?;
        let budget = ["occurred_at_out_of_window", "budget_exceeded", "hourly_ceiling_exceeded"];
        if budget.iter().any(|code| s.reasons.contains_key(*code)) {
            context
                .say("             --backfill has the brand's root sign a budget that covers this file")?;
        }
    }
    Ok(())
}
