//! `keys peers`: certificates for the nodes of a network.
//!
//! Owns: which files are made where. Promises: no file is written over unless that is asked for, and the authority's own
//! never are; a key is readable by its owner alone. Refuses to know: what nodes say to each other.

use super::context::{CliError, Context};
use crate::peers;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Options of `keys peers`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys peers a=10.0.0.4 b=10.0.0.5 c=node-c.internal,10.0.0.6 --to peers
  tallyhouse keys peers d=10.0.0.7 --to peers          one more, of the authority that peers/ has already
  tallyhouse keys peers a=10.0.0.4 --to peers --renew  a certificate and key for a node that has one
Makes ca.pem and ca.key, the authority, and NAME.pem and NAME.key for each node. A node needs ca.pem and its own two files:
[node] ca, cert and key of its configuration. Whoever has ca.key can add nodes: keep it elsewhere. A node's certificate is
good for 397 days; nodes read it when they start. A certificate that shall count no more goes into the file that [node] denied
of the others names: cat a.pem >> denied.pem")]
pub struct Args {
    /// Nodes: NAME=HOST,HOST… with all names and addresses where peers reach it
    #[arg(required = true, value_name = "NAME=HOST")]
    nodes: Vec<String>,
    /// Write new ones over those that are there
    #[arg(long)]
    renew: bool,
    /// The folder of the files
    #[arg(long, value_name = "FOLDER", default_value = "peers")]
    to: PathBuf,
}

fn node(text: &str) -> Result<(String, Vec<String>), CliError> {
    let wrong = || CliError::Usage(format!("{text}: NAME=HOST is wanted, as in a=10.0.0.4"));
    let (name, hosts) = text.split_once('=').ok_or_else(wrong)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name == "ca" || !name.bytes().all(plain) {
        return Err(CliError::Usage(format!(
            "{text}: a node's name is letters, digits, - and _, and not ca"
        )));
    }
    let hosts: Vec<String> = hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
    if hosts.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), hosts)) }
}

/// Puts both files of a node where they were, at once but for a moment.
fn put_over(files: [(&Path, &str, u32); 2]) -> Result<(), CliError> {
    let beside = |path: &Path| {
        path.with_extension("new-".to_owned() + &path.extension().unwrap_or_default().to_string_lossy())
    };
    for (path, text, mode) in files {
        let new = beside(path);
        match std::fs::remove_file(&new) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&new, &e)),
            _ => put(&new, text, mode)?,
        }
    }
    files
        .into_iter()
        .try_for_each(|(path, ..)| std::fs::rename(beside(path), path).map_err(|e| failed(path, &e)))
}

fn failed(path: &Path, e: &std::io::Error) -> CliError {
    CliError::Usage(format!("{}: {e}", path.display()))
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| failed(path, &e))
}

/// Makes the files.
pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), CliError> {
    let nodes = args.nodes.iter().map(|text| node(text)).collect::<Result<Vec<_>, _>>()?;
    let at = |name: &str| args.to.join(name);
    std::fs::create_dir_all(&args.to).map_err(|e| failed(&args.to, &e))?;
    let (ca, ca_key) = (at("ca.pem"), at("ca.key"));
    let before = match (ca.exists(), ca_key.exists()) {
        (true, true) => {
            let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| failed(path, &e));
            Some((read(&ca)?, read(&ca_key)?))
        }
        (false, false) => None,
        (true, false) => {
            return Err(CliError::Usage(format!("{} is not here, its certificate is", ca_key.display())));
        }
        (false, true) => return Err(CliError::Usage(format!("{} is not here, its key is", ca.display()))),
    };
    for (name, _) in &nodes {
        for path in [at(&format!("{name}.pem")), at(&format!("{name}.key"))] {
            if path.exists() && !args.renew {
                return Err(CliError::Usage(format!(
                    "{} is there already; --renew writes over it",
                    path.display()
                )));
            }
        }
    }
    let made = peers::make(&nodes, before.as_ref().map(|(ca, key)| (ca.as_str(), key.as_str())));
    let made = made.map_err(CliError::Usage)?;
    if before.is_none() {
        put(&ca_key, &made.ca_key, 0o600)?;
        put(&ca, &made.ca, 0o644)?;
        context.say(format_args!("{}\n{}", ca.display(), ca_key.display()))?;
    }
    for ((name, _), (certificate, key)) in nodes.iter().zip(&made.nodes) {
        let (pem, own) = (at(&format!("{name}.pem")), at(&format!("{name}.key")));
        put_over([(own.as_path(), key.as_str(), 0o600), (pem.as_path(), certificate.as_str(), 0o644)])?;
        context.say(format_args!("{}\n{}", pem.display(), own.display()))?;
    }
    Ok(())
}
