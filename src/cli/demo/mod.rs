//! `demo`: a network of ten brands, founded and filled with a year of real receipts, then verified.
//!
//! Owns: what happens in which order, from an empty folder to the page.
//! Promises: the numbers on the page are the network's own, and agree with its views and with what the demo
//! itself was answered; if they do not, it fails and says where. What it serves at the end is the network of
//! the page.
//! Refuses to know: how a network decides, and how it is served.

mod books;
mod cast;
mod dispute;
mod fees;
mod figures;
mod house;
pub(super) mod page;
mod pipe;
pub(super) mod receipts;
mod replay;
mod room;
mod rule;
mod safe;
mod sandbox;
mod serving;
mod survey;
mod tally;
pub(super) mod terms;

use super::context::{CliError, Context, Exit};
use super::verify::bar;
use crate::app::{self, BrandKeys, Joining, Network, Operator, Pen, Tuning, accept};
use crate::book::AcceptedUnit;
use crate::clock;
use crate::log::vkey;
use crate::machine::CurrencySetting;
use crate::network::DefineUnit;
use crate::prices::PublishPrices;
use crate::store::Home;
use crate::types::UnitCode;
use cast::{Brand, Cast};
use figures::Figures;
use hashbrown::HashMap;
use house::House;
use page::{Page, Verified};
use pipe::Pipe;
use receipts::{Receipts, Source};
use replay::{Done, Replay};
use safe::Safe;
pub(super) use sandbox::FILE as API_KEYS;
use sandbox::Sandbox;
use std::path::{Path, PathBuf};
use std::time::Instant;
use survey::Survey;
use terms::{BrandTerms, Terms};

/// Options of `demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse demo                              ten brands, 12,962 receipts; then serves them until Ctrl-C
  tallyhouse demo --no-serve                   ends after the page; `tallyhouse serve` serves it later
  tallyhouse demo --fresh                      the same again, in place of what the folder holds
  tallyhouse demo --data /tmp/mine --receipts mine.csv --json

A file of receipts has the columns receipt,brand,store,member,at,amount_minor,items: `at` is an instant
such as 2017-01-01T12:56:33Z, `amount_minor` is in cents. Brands that the terms do not name get the default
ones. The network is driven: it lives on the receipts' own time. All keys, of the operator, the brands, the
tills and the wallets, are real and lie under DIR/keys.")]
pub struct Args {
    /// Receipts of your own, instead of those that come with the program
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// Terms of your own, instead of those that come with the program (config/demo.toml)
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
    /// Remove the demo that is in the folder, and begin again
    #[arg(long)]
    fresh: bool,
    /// End after the page
    #[arg(long)]
    no_serve: bool,
    /// Where to listen; if left out, 127.0.0.1:8710, or a free port if that is taken
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_serve")]
    listen: Option<String>,
}

/// Everything that is known before the folder is touched.
struct Plan {
    terms: Terms,
    source: Source,
    receipts: Receipts,
    survey: Survey,
    brands: Vec<BrandTerms>,
}

impl Plan {
    fn make(args: &Args) -> Result<Self, CliError> {
        let terms = read_terms(args.terms.as_deref()).map_err(CliError::Usage)?;
        let source = args.receipts.clone().map_or(Source::Sample, Source::File);
        let receipts = Receipts::open(source.clone()).map_err(CliError::Usage)?;
        let survey = Survey::of(&receipts).map_err(CliError::Usage)?;
        let names: Vec<String> = survey.brands.keys().cloned().collect();
        let brands = terms.brands(&names).map_err(CliError::Usage)?;
        Ok(Self { terms, source, receipts, survey, brands })
    }
}

/// The terms in a file, or those that come with the program.
pub(super) fn read_terms(file: Option<&Path>) -> Result<Terms, String> {
    let Some(path) = file else { return Terms::built_in() };
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Terms::read(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Founds, replays, verifies, and prints the page.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let plan = Plan::make(&args)?;
    // Everything that can be wrong with the command line, before an old folder goes.
    let config = context.config()?;
    let tuning = Tuning::of(&config, &context.data);
    let stand = match args.no_serve {
        true => None,
        false => Some(serving::Stand::find(config, args.listen)?),
    };
    let home = context.home()?;
    room::make(&home, args.fresh)?;
    let (page, sandbox) = play(&plan, &home, &tuning).map_err(CliError::Fault)?;
    match context.json {
        true => context.say_json(&page)?,
        false => context.say(&page)?,
    }
    if !page.verified.holds {
        return Ok(Exit::Refused);
    }
    if let Some(stand) = stand {
        stand.serve(&sandbox, &tuning, context)?;
    }
    Ok(Exit::Ok)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn play(plan: &Plan, home: &Home, tuning: &Tuning) -> Result<(Page, Sandbox), String> {
    let Plan { terms, source, receipts, survey, brands } = plan;
    let begun = Instant::now();
    let t = &terms.network;
    let operator = Operator::new(t.roots, t.threshold, clock::random);
    let currency = CurrencySetting { code: t.currency, minor: t.minor, scale: t.scale };
    let genesis = operator.sandbox(&t.origin, currency, clock::random());
    let pen = Pen { net: genesis.net() };
    let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
    let safe = Safe::open(home)?;
    for (root, number) in operator.roots.iter().zip(1..) {
        safe.keep_operator(&format!("root-{number}"), root)?;
    }
    safe.keep_operator("log", &operator.log)?;
    let network = operator.found(home, genesis, survey.start, tuning).map_err(text)?;
    let (cast, founding) = found_brands(&network, &operator, pen, plan, &safe)?;
    let people =
        [safe.operator_key("analyst")?, safe.operator_key("approver-1")?, safe.operator_key("approver-2")?];
    let (engine, views) = (&network.engine, &network.views);
    let mut house = House::hire(engine, views, pen, currency.code, &operator, people, survey.start)?;
    house.accounts(&safe, &cast, survey.start)?;
    if let Some(fees) = &terms.fees {
        let units: Vec<UnitCode> = brands.iter().map(|brand| brand.unit).collect();
        house.ask_for_fees(&operator, &safe, fees, &units, survey.start)?;
    }
    let Done { mut tally, last, cast, months } =
        replay(&network, Cast::new(terms, pen, cast, &safe), house, plan)?;
    let sandbox = Sandbox::make(&network.engine, &cast, &safe, last)?;
    (tally.counts.founding, tally.counts.sandbox) = (founding, sandbox.commands);
    let (members, stores) = (cast.members.len(), cast.stores());
    network.engine.snapshot().map_err(text)?;
    network.engine.settle().map_err(text)?;
    let seconds = begun.elapsed().as_secs_f64();
    let figures = Figures::of(&**network.engine.read(), currency.code)?;
    let supplier = terms.fees.as_ref().map(|fees| &fees.supplier);
    books::against_tally(&figures, &tally, brands, supplier)?;
    books::against_views(&figures, &network.views, currency.code)?;
    network.close().map_err(text)?;
    let fees = terms.fees.as_ref().map(|fees| {
        let (acceptor, issuer) = (tally.fees_of(true), tally.fees_of(false));
        let net = figures.nets.get(&fees.supplier).copied().unwrap_or(0);
        fees::Shown::of(fees, survey.start, currency.scale, acceptor, issuer, net)
    });
    let page = Page {
        data: home.dir().display().to_string(),
        receipts_from: source.name(),
        network: pen.net.to_string(),
        vkey,
        receipts: receipts.rows,
        members,
        stores,
        from: survey.first.to_string(),
        to: last.to_string(),
        sold: survey.sold,
        currency: currency.code.to_string(),
        minor: currency.minor,
        money_scale: currency.scale,
        brands: books::lines(&figures, brands),
        obligations: books::obligations(&figures, brands),
        fees,
        months,
        commands: tally.counts,
        repeated: tally.repeated,
        refused: tally.refused,
        seconds,
        commands_per_second: tally.counts.sum() as f64 / seconds.max(0.001),
        verified: verify(home)?,
    };
    Ok((page, sandbox))
}

/// Makes the brands' keys and lets them join. Returns how many commands that took, too.
fn found_brands(
    network: &Network,
    operator: &Operator,
    pen: Pen,
    plan: &Plan,
    safe: &Safe,
) -> Result<(Vec<Brand>, u64), String> {
    let Plan { terms, survey, brands: all, .. } = plan;
    let mut brands = Vec::with_capacity(all.len());
    let mut commands = 0;
    let named = |brand: &BrandTerms, e: String| format!("brand {}: {e}", brand.name);
    for brand_terms in all {
        let keys = BrandKeys {
            root: safe.brand_key(&brand_terms.id, "root")?,
            issuing: safe.brand_key(&brand_terms.id, "issuing")?,
        };
        let brand = Brand {
            terms: brand_terms.clone(),
            sales: survey.brands.get(&brand_terms.name).cloned().unwrap_or_default(),
            headroom: terms.budget.headroom_percent,
            keys,
            tills: HashMap::new(),
        };
        let joining = joining(&brand, &pen, plan)?;
        let steps = operator.admit(&network.engine, &pen, &joining, &brand.keys, survey.start);
        commands += steps.map_err(|e| named(brand_terms, e.to_string()))?;
        brands.push(brand);
    }
    for brand in &brands {
        let others = all.iter().filter(|other| brand.terms.accepts(other));
        let units = others.map(|other| AcceptedUnit { unit: other.unit, per_day: None }).collect();
        accept(&network.engine, &pen, &brand.terms.id, &brand.keys.root, units, survey.start)
            .map_err(|e| named(&brand.terms, e.to_string()))?;
        commands += 1;
    }
    Ok((brands, commands))
}

fn joining(brand: &Brand, pen: &Pen, plan: &Plan) -> Result<Joining, String> {
    let (t, start) = (&brand.terms, plan.survey.start);
    let currency = plan.terms.network.currency;
    let [home, till, settle, issue] = t.prices;
    Ok(Joining {
        brand: t.id.clone(),
        participant: t.participant.clone(),
        currency,
        unit: DefineUnit {
            notice: None,
            floor: None,
            offer_cap: None,
            unit: t.unit,
            version: 1,
            scale: t.scale,
            offset: t.offset,
            expiry: t.expiry.clone(),
            pending_days: t.pending_days,
            grace_days: t.grace_days,
            issue_cap: None,
            min_spend: t.min_spend,
        },
        prices: PublishPrices {
            settle_for: None,
            issue_for: None,
            verifiable_until: None,
            reason: None,
            unit: t.unit,
            version: 1,
            currency,
            from: start.seconds(),
            until: None,
            home,
            till,
            settle,
            issue,
        },
        budget: brand.budget(pen, start, 0)?,
    })
}

fn replay<'a>(
    network: &'a Network,
    cast: Cast<'a>,
    house: House<'a>,
    plan: &Plan,
) -> Result<Done<'a>, String> {
    let bar = bar("receipts");
    bar.set_length(plan.receipts.rows);
    let engine = &network.engine;
    let done = std::thread::scope(|scope| {
        let mut replay = Replay::new(engine, cast, house, Pipe::open(scope, engine), plan.survey.start);
        for row in plan.receipts.rows()? {
            replay.receipt(&row.map_err(text)?)?;
            bar.inc(1);
        }
        replay.finish()
    });
    bar.finish_and_clear();
    done
}

fn verify(home: &Home) -> Result<Verified, String> {
    let bar = bar("verify");
    let begun = Instant::now();
    let report = app::verify(home, &app::Options::default(), &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report?;
    Ok(Verified {
        holds: report.finding.is_none(),
        level: report.level,
        entries: report.entries,
        parts: report.parts,
        signatures: report.signatures,
        records: report.records,
        seconds: begun.elapsed().as_secs_f64(),
        size: report.size,
        root: report.root,
        finding: report.finding.map(text),
    })
}
