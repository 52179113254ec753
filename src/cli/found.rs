//! `found`: a network of its own, on files or in a database.
//!
//! Owns: what entry 0 is made of, and the two keys that a node needs: the log's and the vault's.
//! Promises: of the roots it takes public keys alone, so their secrets need not be where the network runs; where a
//! network stands already, or its keys, nothing is changed. What broke off half-way is gone on with by the same command:
//! what was begun stands in `founding.json`, beside the keys, until it is done.
//! Refuses to know: who joins. Participants and brands come through the API.

use super::context::{CliError, Context, Exit, read};
use crate::app::{Network, Tuning, genesis_of};
use crate::clock;
use crate::log::vkey;
use crate::machine::{CurrencySetting, Genesis};
use crate::sign::{PublicKey, SecretKey};
use crate::store::Home;
use crate::types::{Currency, b64, decode, encode};
use crate::vault::{KeyFolder, Owner, Vault};
use std::path::{Path, PathBuf};

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
    let fresh = SecretKey::from_seed(clock::random());
    let wanted = Genesis {
        nonce: b64(&clock::random::<32>()),
        origin: args.origin,
        threshold: args.threshold.unwrap_or(many / 2 + 1),
        log: fresh.public(),
        roots,
        currencies: args.currencies,
        driven: false,
        live: true,
    };
    wanted.check().map_err(CliError::usage)?;
    let begun = Begun::of(&context.data);
    let genesis = begun.read(&wanted)?;
    if let Some(database) = home.database() {
        database.migrate()?;
    }
    let there = there(&home, genesis.is_some()).map_err(again)?;
    if let Some(there) = &there {
        if genesis.as_ref().is_none_or(|genesis| genesis.net() != there.net()) {
            return Err(CliError::Usage(format!("{} holds a network; nothing was changed", home.shown())));
        }
        // All but the last step was done.
        begun.end()?;
        return say(there, context);
    }
    let published = home.dir().join("checkpoint");
    if published.exists() {
        return Err(CliError::Usage(format!(
            "{} is of another log: give the new one a data folder and an origin of its own",
            published.display()
        )));
    }
    let (keys, name) = (KeyFolder::at(&context.data), "log".parse().map_err(CliError::fault)?);
    let kept = keys.path(&Owner::Operator, &name).exists();
    let (genesis, log) = match genesis {
        Some(genesis) if kept => {
            let log = keys.load(&Owner::Operator, &name)?;
            if log.public() != genesis.log {
                return Err(begun.other("its log key is not the one in keys/operator/log.jwk"));
            }
            (genesis, log)
        }
        // Its key was not written, so nothing can have been signed with it.
        _ => {
            if kept {
                // The same refusal as ever: a key is never overwritten.
                keys.put(&Owner::Operator, &name, &fresh)?;
            }
            begun.write(&wanted)?;
            keys.put(&Owner::Operator, &name, &fresh)?;
            (wanted, fresh)
        }
    };
    let founded = found(&home, &genesis, &log, context);
    founded.map_err(again)?;
    begun.end()?;
    say(&genesis, context)
}

/// What broke is said with what to do.
fn again(why: CliError) -> CliError {
    match why {
        CliError::Fault(why) => CliError::Fault(format!(
            "{why}\nThe network is not founded yet. Mend that, and give the same command again."
        )),
        other => other,
    }
}

fn found(home: &Home, genesis: &Genesis, log: &SecretKey, context: &Context<'_>) -> Result<(), CliError> {
    drop(Vault::open(home)?);
    let tuning = Tuning::of(&context.config()?, &context.data);
    let network = Network::create(home, genesis.clone(), log, clock::now(), &tuning);
    network.map_err(CliError::fault)?.close().map_err(CliError::fault)
}

/// Entry 0 of the log that is there, if there is one. What was begun may have come as far as a log without entries.
fn there(home: &Home, begun: bool) -> Result<Option<Genesis>, CliError> {
    if !home.exists()? {
        return Ok(None);
    }
    if !begun {
        return Err(CliError::Usage(format!("{} holds a network; nothing was changed", home.shown())));
    }
    // For a writer: tables may be lacking.
    genesis_of(&*home.open()?.reader).map_err(CliError::fault)
}

/// What was begun and is not done: entry 0 of the network that is being founded.
struct Begun(PathBuf);

impl Begun {
    fn of(data: &Path) -> Self {
        Self(data.join("founding.json"))
    }

    /// What was begun before, which must be what is wanted now.
    fn read(&self, wanted: &Genesis) -> Result<Option<Genesis>, CliError> {
        if !self.0.exists() {
            return Ok(None);
        }
        let text = read(&self.0)?;
        let begun: Genesis = decode(text.trim().as_bytes()).map_err(|e| self.other(&e.to_string()))?;
        let same = Genesis { nonce: wanted.nonce.clone(), log: wanted.log, ..begun.clone() };
        if encode(&same) != encode(wanted) {
            return Err(self.other("origin, currencies, roots or threshold were others"));
        }
        Ok(Some(begun))
    }

    fn write(&self, genesis: &Genesis) -> Result<(), CliError> {
        let new = self.0.with_extension("new");
        let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", self.0.display()));
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::write(&new, encode(genesis)).map_err(failed)?;
        std::fs::File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &self.0).map_err(failed)
    }

    fn end(&self) -> Result<(), CliError> {
        match std::fs::remove_file(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(CliError::fault(format!("{}: {e}", self.0.display())))
            }
            _ => Ok(()),
        }
    }

    /// Something else was begun here.
    fn other(&self, why: &str) -> CliError {
        let begun = self.0.display();
        CliError::Usage(format!(
            "{begun} says that another network was begun here and not finished ({why}). Give that command again, or, to \
             give it up, remove {begun}, and keys/operator/log.jwk and keys/vault.key beside it, and empty the database"
        ))
    }
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
    fn what_broke_off_half_way_is_gone_on_with() {
        let (apart, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let root = made(apart.path(), "root-1");
        let line = format!("found points.example/main --currency EUR:2 {root}");
        let begun = dir.path().join("founding.json");
        // Something is in the way of its first step, and then of a later one.
        for obstacle in ["vault.sqlite", "log.sqlite", "state.sqlite", "views.sqlite"] {
            let path = dir.path().join(obstacle);
            std::fs::create_dir(&path).expect("made");
            let (exit, _, err) = tallyhouse(dir.path(), &line, "");
            assert!(exit != Exit::Ok && begun.exists(), "{obstacle}: {err}");
            assert!(err.contains("give the same command again"), "{obstacle}: {err}");
            std::fs::remove_dir(path).expect("removed");
        }
        let (exit, _, err) = tallyhouse(dir.path(), &line.replace("EUR", "CHF"), "");
        assert!(exit == Exit::Usage && err.contains("another network was begun here"), "{err}");
        let key = std::fs::read(dir.path().join("keys/operator/log.jwk")).expect("a key");
        let (exit, out, err) = tallyhouse(dir.path(), &format!("{line} --json"), "");
        assert!(exit == Exit::Ok && !begun.exists(), "{err}");
        assert_eq!(
            std::fs::read(dir.path().join("keys/operator/log.jwk")).expect("a key"),
            key,
            "its key stayed"
        );
        let (exit, verified, err) = tallyhouse(dir.path(), "verify", "");
        assert!(exit == Exit::Ok && verified.starts_with("VERIFIED"), "{verified}{err}");
        // A kill just before the end: all was done but to say so.
        let read = crate::store::Home::from(dir.path()).read().expect("a log");
        let genesis = crate::app::genesis_of(&*read).expect("read").expect("there");
        drop(read);
        std::fs::write(&begun, encode(&genesis)).expect("written");
        let (exit, again, err) = tallyhouse(dir.path(), &format!("{line} --json"), "");
        assert!(exit == Exit::Ok && again == out && !begun.exists(), "{again}{err}");
        let (exit, _, err) = tallyhouse(dir.path(), &line, "");
        assert!(exit == Exit::Usage && err.contains("holds a network; nothing was changed"), "{err}");
    }

    #[test]
    fn a_network_is_founded_in_a_database() {
        let (apart, dir) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let server = crate::store::cluster::shared();
        let address = server.database();
        let line = format!(
            "found points.example/main --currency EUR:2 {} --database {address}",
            made(apart.path(), "root-1")
        );
        // Of an account that may not make schemas: nothing is made, and it is said who can.
        server.sql("postgres", "CREATE ROLE founder LOGIN");
        let weak = line.replace("tally@", "founder@");
        let (exit, _, err) = tallyhouse(dir.path(), &weak, "");
        assert!(exit == Exit::Fault && err.contains("run `tallyhouse migrate` as the owner"), "{err}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
        // As the owner makes it, but for a grant that is missing: it is gone on with once it is there.
        let (exit, out, err) = tallyhouse(dir.path(), &format!("migrate --database {address}"), "");
        assert_eq!(exit, Exit::Ok, "{out}{err}");
        server.script("tally", &address, include_str!("../../config/postgres-roles.sql")).expect("roles");
        server.sql(
            &address,
            "GRANT tallyhouse_writer TO founder; REVOKE INSERT ON log.entry FROM tallyhouse_writer",
        );
        let (exit, _, err) = tallyhouse(dir.path(), &weak, "");
        assert!(exit == Exit::Fault && err.contains("lacks INSERT ON log.entry"), "{err}");
        assert!(err.contains("give the same command again"), "{err}");
        server.sql(&address, "GRANT INSERT ON log.entry TO tallyhouse_writer");
        let (exit, out, err) = tallyhouse(dir.path(), &weak, "");
        assert!(exit == Exit::Ok && out.contains("1 of 1 roots sign for the operator"), "{out}{err}");
        let verify = format!("verify --database {address}");
        let (exit, out, err) = tallyhouse(dir.path(), &verify, "");
        assert!(exit == Exit::Ok && out.starts_with("VERIFIED"), "{out}{err}");
        // An account for reports reads what stands in the log, and is told why it finds no member.
        server.sql(&address, "CREATE ROLE reports LOGIN IN ROLE tallyhouse_reader");
        let reports = format!("--database {}", address.replace("tally@", "reports@"));
        let (exit, out, err) = tallyhouse(dir.path(), &format!("offers {reports}"), "");
        assert!(exit == Exit::Ok && out == "nothing is offered\n", "{out}{err}");
        let (exit, _, err) = tallyhouse(dir.path(), &format!("balance h1058 {reports}"), "");
        let why = "stands in the vault, which this account of the database may not read";
        assert!(exit == Exit::Usage && err.contains(why), "{err}");
        for line in [&weak, &line] {
            let (exit, _, err) = tallyhouse(dir.path(), line, "");
            assert!(exit == Exit::Usage && err.contains("holds a network; nothing was changed"), "{err}");
        }
        assert!(!dir.path().join("log.sqlite").exists() && !dir.path().join("founding.json").exists());
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
