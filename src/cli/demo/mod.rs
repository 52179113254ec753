//! `demo`: a network of ten brands, founded and filled with a year of real receipts, then verified.
//!
//! Owns: what happens in which order, from an empty folder to the page.
//! Promises: the numbers on the page are the network's own, and agree with what the demo itself was
//! answered; if they do not, it fails and says where.
//! Refuses to know: how a network decides, and how it is served.

mod cast;
mod figures;
mod page;
mod pipe;
pub(crate) mod receipts;
mod replay;
mod rule;
mod safe;
mod survey;
mod tally;
pub(crate) mod terms;

use crate::app::{self, BrandKeys, Joining, Network, Operator, Pen, Tuning, accept};
use crate::book::AcceptedUnit;
use crate::clock;
use crate::log::vkey;
use crate::machine::CurrencySetting;
use crate::network::DefineUnit;
use crate::prices::PublishPrices;
use crate::sign::SecretKey;
use cast::{Brand, Cast};
use figures::Figures;
use hashbrown::HashMap;
use indicatif::{ProgressBar, ProgressStyle};
use page::{Line, Owed, Page, Verified};
use pipe::Pipe;
use receipts::{Receipts, Source};
use replay::{Done, Replay};
use safe::Safe;
use std::path::{Path, PathBuf};
use std::time::Instant;
use survey::Survey;
use tally::{Sums, Tally};
use terms::Terms;

/// Options of `demo`.
#[derive(clap::Args, Debug, Clone)]
#[command(after_help = "Examples:
  tallyhouse demo                               ten brands, 12,962 receipts, a few seconds
  tallyhouse demo --fresh --data /tmp/points    the same again, in a folder of its own
  tallyhouse demo --receipts mine.csv --json    your own receipts, the page as JSON

A file of receipts has the columns receipt,brand,store,member,at,amount_minor,items; `at` is an instant
such as 2017-01-01T12:56:33Z, `amount_minor` is in cents. Brands that config/demo.toml does not name get
its default terms. The network is driven: it lives on the receipts' own time.")]
pub struct Args {
    /// The folder of the network.
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Receipts of your own instead of those that come with the program.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// Terms of your own instead of those that come with the program (config/demo.toml).
    #[arg(long)]
    terms: Option<PathBuf>,
    /// Remove the network that is in the folder, and begin again.
    #[arg(long)]
    fresh: bool,
    /// Print the page as JSON.
    #[arg(long)]
    json: bool,
    /// End after the page.
    #[arg(long)]
    no_serve: bool,
}

/// Founds, replays, verifies; returns the page.
pub fn run(args: &Args) -> Result<Page, String> {
    let terms = match &args.terms {
        Some(path) => {
            let named = |e: String| format!("{}: {e}", path.display());
            Terms::read(&std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?).map_err(named)?
        }
        None => Terms::built_in()?,
    };
    let source = args.receipts.clone().map_or(Source::Sample, Source::File);
    let receipts = Receipts::open(source.clone())?;
    let survey = Survey::of(&receipts)?;
    let names: Vec<String> = survey.brands.keys().cloned().collect();
    let _ = terms.brands(&names)?;
    make_room(&args.data, args.fresh)?;
    play(args, &terms, &source, &receipts, &survey)
}

/// What a network leaves in its folder.
const OURS: &[&str] = &["checkpoint", "checkpoint.new", "lock", "keys"];
const DATABASES: &[&str] = &["log", "state", "views", "vault"];

/// The folder must be empty; with `--fresh` the demo's network in it is removed, and nothing else.
fn make_room(dir: &Path, fresh: bool) -> Result<(), String> {
    let named = |e: std::io::Error| format!("{}: {e}", dir.display());
    let there: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(named)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(named(e)),
    };
    if there.is_empty() {
        return Ok(());
    }
    if !dir.join("log.sqlite").exists() {
        return Err(format!("{} is not empty, and holds no network: choose another folder", dir.display()));
    }
    let (entries, driven) = look(dir)?;
    if !fresh {
        return Err(format!(
            "{} holds a network of {} already. Look at it with `tallyhouse verify --data {}`, or begin again \
             with `tallyhouse demo --fresh`, which removes it.",
            dir.display(),
            if entries == 1 { "1 entry".into() } else { format!("{} entries", page::grouped(entries)) },
            dir.display()
        ));
    }
    if !driven {
        return Err(format!(
            "{} holds a network that is no demo: --fresh does not remove it",
            dir.display()
        ));
    }
    let ours = |name: &str| {
        let database = |base: &&str| name.strip_prefix(*base).is_some_and(|rest| rest.starts_with(".sqlite"));
        OURS.contains(&name) || DATABASES.iter().any(|base| database(&base))
    };
    for entry in there.iter().filter(|entry| entry.file_name().to_str().is_some_and(ours)) {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// How many entries a folder's log has, and whether it is a driven network that is worth nothing. Opening
/// it as its writer also tells whether another process is at work there.
fn look(dir: &Path) -> Result<(u64, bool), String> {
    let stores = crate::store::Sqlite::open(dir).map_err(|e| e.to_string())?;
    let tip = crate::store::Read::tip(&stores.reader).map_err(|e| e.to_string())?;
    let genesis = app::genesis_of(&stores.reader).map_err(|e| e.to_string())?;
    Ok((tip.map_or(0, |tip| tip.seq + 1), genesis.is_none_or(|genesis| genesis.driven && !genesis.live)))
}

fn play(args: &Args, terms: &Terms, source: &Source, receipts: &Receipts, survey: &Survey) -> Result<Page, String> {
    let begun = Instant::now();
    let network_terms = &terms.network;
    let operator = Operator::new(network_terms.roots, network_terms.threshold, clock::random);
    let currency = CurrencySetting {
        code: network_terms.currency,
        minor: network_terms.minor,
        scale: network_terms.scale,
    };
    let genesis = operator.sandbox(&network_terms.origin, currency, clock::random());
    let tuning = Tuning::at(&args.data);
    let pen = Pen { net: genesis.net() };
    let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
    let mut safe = Safe::new(&args.data);
    for (at, root) in operator.roots.iter().enumerate() {
        safe.keep("operator", &format!("root-{}", at + 1), root)?;
    }
    safe.keep("operator", "log", &operator.log)?;
    let network = operator.found(&args.data, genesis, survey.start, &tuning).map_err(|e| e.to_string())?;
    let (brands, founding) = found_brands(&network, &operator, pen, terms, survey, &mut safe)?;
    let done = replay(&network, Cast::new(terms, pen, brands, &mut safe), receipts, survey, args.json)?;
    network.engine.snapshot().map_err(|e| e.to_string())?;
    network.engine.settle().map_err(|e| e.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    let figures = Figures::of(&**network.engine.read(), currency.code)?;
    network.close().map_err(|e| e.to_string())?;
    let names: Vec<String> = survey.brands.keys().cloned().collect();
    let brands = terms.brands(&names)?;
    let mut tally = done.tally.clone();
    tally.counts.founding = founding;
    agree(&figures, &tally, &brands)?;
    let verified = verify(&args.data, args.json)?;
    let commands = tally.counts;
    let owner = |participant: &crate::types::ParticipantId| {
        brands.iter().find(|brand| brand.participant == *participant).map_or_else(|| participant.to_string(), |b| b.name.clone())
    };
    Ok(Page {
        data: args.data.display().to_string(),
        receipts_from: source.name(),
        network: pen.net.to_string(),
        vkey,
        receipts: receipts.rows,
        members: done.members,
        stores: done.stores,
        from: survey.first.to_string(),
        to: done.last.to_string(),
        sold: survey.sold,
        currency: currency.code.to_string(),
        minor: currency.minor,
        money_scale: currency.scale,
        brands: lines(&figures, &brands),
        obligations: figures
            .owed
            .iter()
            .map(|((a, b), amount)| Owed { debtor: owner(a), creditor: owner(b), amount: *amount })
            .collect(),
        commands,
        repeated: tally.repeated,
        refused: tally.refused,
        seconds,
        commands_per_second: commands.sum() as f64 / seconds.max(0.001),
        verified,
    })
}

fn found_brands(
    network: &Network,
    operator: &Operator,
    pen: Pen,
    terms: &Terms,
    survey: &Survey,
    safe: &mut Safe,
) -> Result<(Vec<Brand>, u64), String> {
    let names: Vec<String> = survey.brands.keys().cloned().collect();
    let all = terms.brands(&names)?;
    let mut brands = Vec::with_capacity(all.len());
    let mut commands = 0;
    for brand_terms in &all {
        let key = || SecretKey::from_seed(clock::random());
        let keys = BrandKeys { root: key(), issuing: key() };
        safe.keep(brand_terms.id.as_str(), "root", &keys.root)?;
        safe.keep(brand_terms.id.as_str(), "issuing", &keys.issuing)?;
        let sales = survey.brands.get(&brand_terms.name).cloned().unwrap_or_default();
        let mut brand = Brand {
            terms: brand_terms.clone(),
            sales,
            headroom: terms.budget.headroom_percent,
            root: keys.root,
            issuing: keys.issuing,
            tills: HashMap::new(),
        };
        let joining = joining(&brand, &pen, terms, survey)?;
        let keys = BrandKeys { root: brand.root, issuing: brand.issuing };
        let done = operator.admit(&network.engine, &pen, &joining, &keys, survey.start);
        commands += done.map_err(|e| format!("brand {}: {e}", brand_terms.name))?;
        (brand.root, brand.issuing) = (keys.root, keys.issuing);
        brands.push(brand);
    }
    for brand in &brands {
        let others = all.iter().filter(|other| brand.terms.accepts(other));
        let units = others.map(|other| AcceptedUnit { unit: other.unit, per_day: None }).collect();
        accept(&network.engine, &pen, &brand.terms.id, &brand.root, units, survey.start)
            .map_err(|e| format!("brand {}: {e}", brand.terms.name))?;
        commands += 1;
    }
    Ok((brands, commands))
}

fn joining(brand: &Brand, pen: &Pen, terms: &Terms, survey: &Survey) -> Result<Joining, String> {
    let t = &brand.terms;
    let [home, till, settle, issue] = t.prices;
    Ok(Joining {
        brand: t.id.clone(),
        participant: t.participant.clone(),
        currency: terms.network.currency,
        unit: DefineUnit {
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
            unit: t.unit,
            version: 1,
            currency: terms.network.currency,
            from: survey.start.seconds(),
            until: None,
            home,
            till,
            settle,
            issue,
        },
        budget: brand.budget(pen, survey.start, 0)?,
    })
}

fn bar(total: u64, what: &'static str, quiet: bool) -> ProgressBar {
    // Nothing is drawn where standard error is no terminal.
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
    let form = "{msg:<9} {bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

fn replay(network: &Network, cast: Cast<'_>, receipts: &Receipts, survey: &Survey, quiet: bool) -> Result<Done, String> {
    let bar = bar(receipts.rows, "receipts", quiet);
    let engine = &network.engine;
    let done = std::thread::scope(|scope| {
        let mut replay = Replay::new(engine, cast, Pipe::open(scope, engine), survey.start);
        for row in receipts.rows()? {
            replay.receipt(&row.map_err(|e| e.to_string())?)?;
            bar.inc(1);
        }
        replay.finish()
    });
    bar.finish_and_clear();
    done
}

fn verify(dir: &Path, quiet: bool) -> Result<Verified, String> {
    let bar = bar(0, "verifying", quiet);
    let begun = Instant::now();
    let report = app::verify(dir, &app::Options::default(), &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
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
        finding: report.finding.map(|finding| finding.to_string()),
    })
}

fn lines(figures: &Figures, brands: &[terms::BrandTerms]) -> Vec<Line> {
    let line = |brand: &terms::BrandTerms| {
        let unit = figures.units.get(&brand.unit)?;
        Some(Line {
            brand: brand.name.clone(),
            unit: brand.unit.to_string(),
            scale: unit.scale,
            accounts: unit.accounts,
            issued: unit.issued,
            home: unit.home,
            elsewhere: unit.elsewhere,
            expired: unit.expired,
            outstanding: unit.outstanding,
            liability: unit.liability.get(),
            net: figures.nets.get(&brand.participant).copied().unwrap_or(0),
        })
    };
    brands.iter().filter_map(line).collect()
}

/// The network's figures and the demo's own sums must be the same.
fn agree(figures: &Figures, tally: &Tally, brands: &[terms::BrandTerms]) -> Result<(), String> {
    let differ = |what: String| Err(format!("the network's books and the demo's own sums differ: {what}"));
    for (brand, sums) in brands.iter().zip(&tally.brands) {
        let unit = figures.units.get(&brand.unit).ok_or_else(|| format!("{} is no unit", brand.unit))?;
        let books = Sums { issued: unit.issued, home: unit.home, elsewhere: unit.elsewhere };
        if books != *sums {
            return differ(format!("{}: {books:?}, {sums:?}", brand.name));
        }
    }
    let place = |at: usize| brands.get(at).map(|brand| brand.participant.clone());
    for ((debtor, creditor), amount) in &tally.owed {
        let (Some(a), Some(b)) = (place(*debtor), place(*creditor)) else { continue };
        let booked = figures.owed.get(&(a.clone(), b.clone())).copied().unwrap_or(0);
        if booked != *amount {
            return differ(format!("{a} owes {b} {booked}, {amount}"));
        }
    }
    let all: u64 = figures.owed.values().sum();
    if all != tally.owed.values().sum::<u64>() || figures.payments != tally.counts.payments {
        return differ(format!("{all} owed, {} payments", figures.payments));
    }
    Ok(())
}
