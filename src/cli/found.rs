//! `found`: a network of its own, on files or in a database.
//!
//! Owns: what entry 0 is made of, and the two keys that a node needs: the log's and the vault's.
//! Promises: of the roots it takes public keys alone, so their secrets need not be where the network runs; where a
//! network stands already, or its keys, nothing is changed.
//! Refuses to know: who joins. Participants and brands come through the API.

use super::context::{CliError, Context, Exit};
use crate::app::{Network, Tuning};
use crate::clock;
use crate::log::vkey;
use crate::machine::{CurrencySetting, Genesis};
use crate::sign::{PublicKey, SecretKey};
use crate::types::{Currency, b64};
use crate::vault::{KeyFolder, Owner, Vault};

/// Options of `found`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys new operator root-1 --data roots-1 --json > root-1.json    on each root's own machine
  tallyhouse found points.example/main --currency EUR:2 --root @root-1.json --root @root-2.json --root @root-3.json --threshold 2 --data /var/lib/tallyhouse
  tallyhouse found points.example/main --currency EUR:2 --root @root-1.json --config /etc/tallyhouse/node.toml --data /var/lib/tallyhouse
The network is live and goes by the clock. Its roots, its origin and its currencies never change. What is made beside it,
keys/operator/log.jwk and keys/vault.key, is needed wherever it is served. Brands join by the API.")]
pub struct Args {
    /// The log's name in checkpoints, such as points.example/main: nobody else's, and of no earlier log
    origin: String,
    /// A currency: its code, the digits of the bank's minor unit, and those of amounts here (two more if left out)
    #[arg(long = "currency", value_name = "CODE:MINOR[:SCALE]", required = true, value_parser = currency)]
    currencies: Vec<CurrencySetting>,
    /// A root's public key: a JWK, what `keys show operator NAME --json` prints, or @FILE; once for each
    #[arg(long = "root", value_name = "JWK", required = true)]
    roots: Vec<String>,
    /// How many of the roots must sign what the operator does; more than half if left out
    #[arg(long, value_name = "N")]
    threshold: Option<u8>,
}

fn currency(text: &str) -> Result<CurrencySetting, String> {
    let wanted = || "a currency is CODE:MINOR or CODE:MINOR:SCALE, such as EUR:2".to_owned();
    let mut fields = text.split(':');
    let code = fields.next().unwrap_or_default().parse::<Currency>();
    let code = code.map_err(|e| format!("{}: {e}", wanted()))?;
    let digits = |field: &str| field.parse::<u8>().map_err(|_| wanted());
    let minor = digits(fields.next().unwrap_or_default())?;
    let scale = fields.next().map_or(Ok(minor.saturating_add(2)), digits)?;
    if fields.next().is_some() { Err(wanted()) } else { Ok(CurrencySetting { code, minor, scale }) }
}

/// A root's public key: a JWK, or what `keys` printed of one.
fn root(text: &str) -> Result<PublicKey, CliError> {
    #[derive(serde::Deserialize)]
    struct Shown {
        jwk: PublicKey,
    }
    let shown = || serde_json::from_str::<Shown>(text).map(|shown| shown.jwk);
    let key = serde_json::from_str(text).or_else(|e| shown().map_err(|_| e));
    key.map_err(|e| CliError::Usage(format!("--root: no public key (JWK) of ours: {e}")))
}

/// Founds a network.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let home = context.home()?;
    let roots =
        args.roots.iter().map(|text| root(&context.text(text)?)).collect::<Result<Vec<PublicKey>, _>>()?;
    let many = u8::try_from(roots.len()).unwrap_or(u8::MAX);
    let log = SecretKey::from_seed(clock::random());
    let genesis = Genesis {
        nonce: b64(&clock::random::<32>()),
        origin: args.origin,
        threshold: args.threshold.unwrap_or(many / 2 + 1),
        log: log.public(),
        roots,
        currencies: args.currencies,
        driven: false,
        live: true,
    };
    genesis.check().map_err(CliError::usage)?;
    if let Some(database) = home.database() {
        database.migrate()?;
    }
    if home.exists()? {
        return Err(CliError::Usage(format!("{} holds a network; nothing was changed", home.shown())));
    }
    let published = home.dir().join("checkpoint");
    if published.exists() {
        return Err(CliError::Usage(format!(
            "{} is of another log: give the new one a data folder and an origin of its own",
            published.display()
        )));
    }
    let keys = KeyFolder::at(&context.data);
    keys.put(&Owner::Operator, &"log".parse().map_err(CliError::fault)?, &log)?;
    drop(Vault::open(&home)?);
    let tuning = Tuning::of(&context.config()?, &context.data);
    let network = Network::create(&home, genesis, &log, clock::now(), &tuning).map_err(CliError::fault)?;
    let genesis = network.genesis.clone();
    network.close().map_err(CliError::fault)?;
    say(&genesis, context)
}

fn say(genesis: &Genesis, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let vkey = vkey(&genesis.origin, genesis.log.as_bytes());
    let kids: Vec<_> = genesis.roots.iter().map(PublicKey::kid).collect();
    let keys = context.data.join("keys").display().to_string();
    if context.json {
        context.say_json(&serde_json::json!({
            "net": genesis.net(), "origin": genesis.origin, "log_key": vkey, "roots": kids,
            "threshold": genesis.threshold, "currencies": genesis.currencies, "keys": keys,
        }))?;
        return Ok(Exit::Ok);
    }
    context.say(format_args!("network {}", genesis.net()))?;
    context.say(format_args!("log key {vkey}"))?;
    context.say(format_args!("{} of {} roots sign for the operator:", genesis.threshold, kids.len()))?;
    for kid in kids {
        context.say(format_args!("  {kid}"))?;
    }
    let secret = "operator/log.jwk and vault.key: keep copies of both elsewhere";
    context.say(format_args!("keys of the node, in {keys}: {secret}"))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::tallyhouse;
    use std::path::Path;

    fn made(data: &Path, name: &str) -> String {
        let (exit, out, err) = tallyhouse(data, &format!("keys new operator {name} --json"), "");
        assert_eq!(exit, Exit::Ok, "{err}");
        let file = data.join(format!("{name}.json"));
        std::fs::write(&file, out).expect("written");
        format!("--root @{}", file.display())
    }

    #[test]
    fn a_network_is_founded_once_and_the_roots_stay_away() {
        let (apart, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let roots = ["root-1", "root-2", "root-3"].map(|name| made(apart.path(), name)).join(" ");
        let line = format!("found points.example/main --currency EUR:2 --currency JPY:0:1 {roots}");
        let (exit, out, err) = tallyhouse(dir.path(), &format!("{line} --json"), "");
        assert_eq!(exit, Exit::Ok, "{err}");
        let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((&said["threshold"], said["roots"].as_array().map(Vec::len)), (&2.into(), Some(3)));
        let scales: Vec<_> = [0_usize, 1].map(|at| said["currencies"][at]["scale"].as_u64()).into();
        assert_eq!(scales, [Some(4), Some(1)]);
        let read = crate::store::Home::from(dir.path()).read().expect("a log");
        let genesis = crate::app::genesis_of(&*read).expect("read").expect("there");
        assert!(genesis.live && !genesis.driven);
        assert_eq!(said["net"], genesis.net().to_string());
        let (_, keys, _) = tallyhouse(dir.path(), "keys show", "");
        assert!(keys.lines().count() == 1 && keys.contains("operator/log"), "{keys}");
        let (exit, out, err) = tallyhouse(dir.path(), "verify", "");
        assert!(exit == Exit::Ok && out.starts_with("VERIFIED"), "{out}{err}");

        let (exit, _, err) = tallyhouse(dir.path(), &line, "");
        assert!(exit == Exit::Usage && err.contains("holds a network; nothing was changed"), "{err}");
        // What is left of a network is not founded over: two logs under one key are a fork.
        for file in ["log.sqlite", "state.sqlite", "views.sqlite"] {
            std::fs::remove_file(dir.path().join(file)).expect("removed");
        }
        let (exit, _, err) = tallyhouse(dir.path(), &line, "");
        assert!(exit == Exit::Usage && err.contains("is of another log"), "{err}");
        std::fs::remove_file(dir.path().join("checkpoint")).expect("removed");
        let (exit, _, err) = tallyhouse(dir.path(), &line, "");
        assert!(exit == Exit::Usage && err.contains("never overwritten"), "{err}");
    }

    #[test]
    fn what_cannot_be_a_network_is_said_before_anything_is_made() {
        let (apart, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (root, file) = (made(apart.path(), "root-1"), apart.path().join("keys/operator/root-1.jwk"));
        for (line, why) in [
            (format!("found x --currency EUR {root}"), "such as EUR:2"),
            (format!("found x --currency EUR:2:4:1 {root}"), "such as EUR:2"),
            (format!("found x --currency EUR:2:9 {root}"), "minor digits plus 0 to 4"),
            (format!("found x --currency EUR:2 {root} {root}"), "different roots"),
            (format!("found x --currency EUR:2 {root} --threshold 2"), "1 to n of n"),
            (format!("found x --currency EUR:2 --root @{}", file.display()), "no public key"),
            ("found x --currency EUR:2".to_owned(), "--root"),
        ] {
            let (exit, _, err) = tallyhouse(dir.path(), &line, "");
            assert!(exit == Exit::Usage && err.contains(why), "{line}: {err}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }
}
