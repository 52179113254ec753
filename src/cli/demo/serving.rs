//! Serving: what the demo does after its page.
//!
//! Owns: where it listens, and what it tells people to try.
//! Promises: the address is found before anything is founded; a port that is taken is no reason to fail unless it
//! was asked for by name.
//! Refuses to know: requests and answers.

use super::sandbox::{FILE, Sandbox, Served};
use crate::app::{Tuning, public_address};
use crate::cli::context::{CliError, Context};
use crate::cli::serve;
use crate::config::Config;
use crate::vault::KeyFolder;
use serde::Serialize;
use std::net::TcpListener;

/// A place to serve at.
pub struct Stand {
    config: Config,
    listener: TcpListener,
    /// The address that was taken.
    taken: Option<String>,
}

/// What is served, for programs.
#[derive(Serialize)]
struct Serving<'a> {
    url: &'a str,
    sandbox: &'a Sandbox,
}

impl Stand {
    /// Listens where the command line says, or where the configuration says if that is free.
    pub fn find(mut config: Config, asked: Option<String>) -> Result<Self, CliError> {
        if let Some(asked) = asked {
            config.api.listen = asked;
            let listener = serve::listener(&config)?;
            return Ok(Self { config, listener, taken: None });
        }
        match serve::listener(&config) {
            Ok(listener) => Ok(Self { config, listener, taken: None }),
            Err(_) => {
                let taken = std::mem::replace(&mut config.api.listen, "127.0.0.1:0".into());
                Ok(Self { listener: serve::listener(&config)?, config, taken: Some(taken) })
            }
        }
    }

    /// Says what there is, and serves until a signal comes.
    pub fn serve(
        self,
        sandbox: &Sandbox,
        tuning: &Tuning,
        context: &mut Context<'_>,
    ) -> Result<(), CliError> {
        let Self { config, listener, taken } = self;
        let url = public_address(&config.api, listener.local_addr()?);
        let network = serve::network(context, tuning)?;
        serve::until_stopped(network, context, &config, listener, |context| {
            if context.json {
                return context.say_json(&Serving { url: &url, sandbox });
            }
            if let Some(taken) = taken {
                context.say(format_args!("\n{taken} is taken, so another port:"))?;
            }
            say(sandbox, &url, context)
        })
    }
}

fn say(sandbox: &Sandbox, url: &str, context: &mut Context<'_>) -> Result<(), CliError> {
    context.say(format_args!("\nSERVING     {url}\nSWAGGER UI  {url}/docs/"))?;
    for (at, key) in sandbox.keys.iter().enumerate() {
        let title = if at == 0 { "API KEYS" } else { "" };
        context.say(format_args!(
            "{title:<12}{}\n            {}, {}: {}",
            key.key, key.role, key.whom, key.purpose
        ))?;
    }
    let file = KeyFolder::at(&context.data).note_path(FILE);
    context.say(format_args!("            kept in {}", file.display()))?;
    let served = Served::new(program(), url, context.data.display().to_string());
    for (at, (what, command)) in sandbox.commands(&served).iter().enumerate() {
        let title = if at == 0 { "\nTRY IT      " } else { "            " };
        context.say(format_args!("{title}{what}:\n  {command}"))?;
    }
    context.say("(until Ctrl-C)")
}

/// How this program is called from here.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "tallyhouse".into() };
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        // A bare name would be looked for elsewhere.
        Ok(inside) if inside.components().count() == 1 => format!("./{}", inside.display()),
        Ok(inside) => inside.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}
