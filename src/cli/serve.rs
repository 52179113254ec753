//! `serve`: the network of the data folder, over HTTP.
//!
//! Owns: where it listens, and what is said at the start.
//! Promises: what was accepted is answered before it ends.
//! Refuses to know: requests and answers.

use super::context::{CliError, Context, Exit};
use crate::app::{Among, ForPeers, Network, Node, Tuning, public_address, running, serve_until};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::peers::{Identity, SOON};
use crate::types::Time;
use crate::vault::{KeyFolder, Vault};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// Options of `serve`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse serve                                   the network in ./data/demo, at 127.0.0.1:8710
  tallyhouse serve --listen 0.0.0.0:8080 --public https://points.example.org
  curl http://127.0.0.1:8710/v1/network
Swagger UI is at /docs/. Callers sign the address that --public names: a proxy in front does not change it.
What a node logs goes to standard error, a line of JSON each; TALLYHOUSE_LOG says how much (warn, info, debug).")]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The address that callers use and sign
    #[arg(long, value_name = "URL")]
    public: Option<String>,
}

/// Serves.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let mut config = context.config()?;
    config.api.listen = args.listen.unwrap_or(config.api.listen);
    config.api.public = args.public.unwrap_or(config.api.public);
    let listener = listener(&config)?;
    let tuning = Tuning::of(&config, &context.data);
    let public = public_address(&config.api, listener.local_addr()?);
    let address = listener.local_addr()?;
    let data = context.home()?.shown();
    let mut said = format!("serving {data} at {public}\nSwagger UI: {public}/docs/\n");
    let opened = match Among::of(&config.node) {
        None => Opened::Alone(Box::new(network(context, &tuning)?)),
        Some(among) => {
            let (identity, far) =
                (identity(&config.node)?, bind("node.listen of the configuration", &config.node.listen)?);
            let name = &config.node.name;
            said += &format!(
                "node {name}, for its peers at {} (listening on {})\n",
                among.address,
                far.local_addr()?
            );
            let node =
                Node::open(context.home()?, context.log_key()?, &tuning, among).map_err(CliError::fault)?;
            Opened::Among(Box::new(node), ForPeers { listener: far, identity })
        }
    };
    said += &format!("listening on {address}");
    serve(opened, context, &config, listener, |context| {
        context.say(said)?;
        let keys = KeyFolder::at(&context.data).note_path(super::demo::API_KEYS);
        if keys.exists() {
            context.say(format_args!("API keys: {}", keys.display()))?;
        }
        Ok(())
    })?;
    Ok(Exit::Ok)
}

/// The network of the data folder.
pub(super) fn network(context: &Context<'_>, tuning: &Tuning) -> Result<Network, CliError> {
    Network::open(context.home()?, &context.log_key()?, tuning).map_err(CliError::fault)
}

/// Who this node is to its peers.
fn identity(node: &config::Node) -> Result<Identity, CliError> {
    for (key, path) in [("ca", &node.ca), ("cert", &node.cert), ("key", &node.key)] {
        if path.is_empty() {
            let what = "a file is wanted; `tallyhouse keys peers` makes certificates for all nodes";
            return Err(CliError::Usage(format!("node.{key}: {what}")));
        }
    }
    let [ca, cert, key] = [&node.ca, &node.cert, &node.key].map(std::path::Path::new);
    let denied = Some(node.denied.as_str()).filter(|path| !path.is_empty()).map(std::path::Path::new);
    let identity = Identity::load(ca, cert, key, denied).map_err(CliError::Usage)?;
    let until = identity.good_until();
    if until.saturating_sub(crate::clock::now().seconds()) < SOON {
        let until = Time::from_seconds(until).map_or_else(String::new, |until| until.to_string());
        eprintln!(
            "warning: {} is good until {until} only: `tallyhouse keys peers NAME=HOST --renew` makes it anew",
            cert.display()
        );
    }
    Ok(identity)
}

/// What is served.
enum Opened {
    /// A network of this process alone.
    Alone(Box<Network>),
    /// One node among others, and where these reach it.
    Among(Box<Node>, ForPeers),
}

/// Files that a node opens beside connections: stores, their readers, key files, tiles.
const FILES: u64 = 256;

/// How many connections can be open. Each is an open file to the system, which allows few unless it is asked for
/// more.
fn files_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(FILES);
    let allowed = crate::api::open_files(wanted);
    if allowed >= wanted {
        return connections;
    }
    let fewer = usize::try_from(allowed.saturating_sub(FILES)).unwrap_or(connections).max(16);
    eprintln!(
        "warning: the system lets this process open {allowed} files, so {fewer} connections may be open at once, not \
         the {connections} of api.connections; raise the limit (`ulimit -n {wanted}`, or LimitNOFILE of systemd)"
    );
    fewer
}

/// A listener where the configuration says.
pub(super) fn listener(config: &Config) -> Result<TcpListener, CliError> {
    bind("--listen", &config.api.listen)
}

fn bind(what: &str, text: &str) -> Result<TcpListener, CliError> {
    let wrong = |why: &dyn std::fmt::Display| CliError::Usage(format!("{what} {text}: {why}"));
    let mut addresses = text.to_socket_addrs().map_err(|e| wrong(&e))?;
    let address: SocketAddr = addresses.next().ok_or_else(|| wrong(&"no such address"))?;
    crate::api::listen(address, what).map_err(CliError::usage)
}

/// Serves a network until a signal comes. Only when signals and requests are heard does `say` tell people so.
pub(super) fn until_stopped(
    network: Network,
    context: &mut Context<'_>,
    config: &Config,
    listener: TcpListener,
    say: impl FnOnce(&mut Context<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    serve(Opened::Alone(Box::new(network)), context, config, listener, say)
}

fn serve(
    opened: Opened,
    context: &mut Context<'_>,
    config: &Config,
    listener: TcpListener,
    say: impl FnOnce(&mut Context<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    start_log();
    let mut vault = Vault::open(context.home()?)?;
    let mut api = config.api.clone();
    api.connections = files_for(api.connections);
    let public = public_address(&api, listener.local_addr()?);
    // The node lives until the service has closed it.
    let (service, peers, _node) = match opened {
        Opened::Alone(network) => (network.into_service(vault, &api, public, Clock::Real), None, None),
        Opened::Among(node, far) => {
            vault.share();
            (node.service(vault, &api, public, Clock::Real, &far.identity), Some(far), Some(node))
        }
    };
    let service = service.map_err(CliError::fault)?;
    let mut said = Ok(());
    serve_until(service, listener, peers, &running(&api, true), |_| {
        said = say(context).and_then(|()| Ok(context.out.flush()?));
    })
    .map_err(|failure| {
        CliError::Fault(format!(
            "the network stopped: {failure}. Everything that was answered is safe. If a disk is full, make room; then \
             start it again, and whoever got no answer asks again under the same id."
        ))
    })?;
    said
}

/// Lines of JSON on standard error.
fn start_log() {
    let level = std::env::var("TALLYHOUSE_LOG").unwrap_or_else(|_| "warn".into());
    // Garbage that strangers send is no error of this node, and a flood of it would fill the log.
    let quiet = format!("actix_http=off,{level}");
    let filter = tracing_subscriber::EnvFilter::try_new(quiet).unwrap_or_else(|_| "warn".into());
    let lines = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr);
    // A second server in one process logs where the first one does.
    let _ = lines.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_said_with_the_setting_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        for setting in ["--listen", "node.listen of the configuration"] {
            let no = bind(setting, &address).expect_err("taken").to_string();
            assert!(no.contains(&address) && no.ends_with(&format!("choose another with {setting}")), "{no}");
        }
        let no = bind("node.listen of the configuration", "nowhere").expect_err("no port").to_string();
        assert!(no.starts_with("node.listen of the configuration nowhere: "), "{no}");
    }
}
