//! `keys`: make key files, show them, certify them and give them budgets.
//!
//! Owns: the statements by which roots let other keys sign.
//! Promises: a private key leaves its file for nothing but signing.
//! Refuses to know: what the network will say to a statement; it is printed, for whoever submits it.

use super::context::{CliError, Context, Exit, net};
use super::statement::{Signing, say_request};
use super::when::When;
use crate::sign::{
    HeldCaps, KeyBudget, KeyCert, PublicKey, Purpose, SecretKey, SponsorTerms, TillClaims, TillLimits, Typ,
    Window,
};
use crate::types::{
    AccountId, BrandId, Currency, Hash, Ident, Kid, Money, ParticipantId, Points, Rate, UnitCode, encode,
};
use crate::vault::{KeyFolder, Owner, WalletId};
use clap::Subcommand;
use serde::Serialize;

/// Options of `keys`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys new br_harvest root          data/demo/keys/br_harvest/root.jwk
  tallyhouse keys new br_harvest issuing
  tallyhouse keys show                         all keys of the data folder
  tallyhouse keys certify br_harvest issuing --purpose issuing --until 365d
  tallyhouse keys budget br_harvest issuing --unit HARVEST --serial 1 --ceiling 1000000 --hourly 5000 --until 90d
  tallyhouse keys peers a=10.0.0.4 b=10.0.0.5  certificates for nodes

A key file is readable by its owner alone. Keep roots offline: sign with --data on another machine, naming the
network with --net, and carry only what was printed. The owner is `operator`, or a brand's id.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a key file, and print its public key
    New(New),
    /// Print a public key, or list all keys
    Show(Show),
    /// Let a root certify a key, which signs for its own possession
    Certify(Certify),
    /// Let a brand's root give a key its budget
    Budget(Budget),
    /// Make certificates for the nodes of a network, which share a database
    Peers(super::peers::Args),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys new operator root-1
  tallyhouse keys new br_harvest till-7
  tallyhouse keys new wa_0123456789abcdefghjkmnpqrs     the seed of a wallet: the keys of its accounts come from it")]
struct New {
    /// operator, a brand's id, or a wallet's id
    owner: Holder,
    /// The key's name; a wallet has one seed and no names
    name: Option<Ident>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys show
  tallyhouse keys show br_harvest issuing --json
  tallyhouse keys show wa_0123456789abcdefghjkmnpqrs --unit HARVEST")]
struct Show {
    /// operator, a brand's id, or a wallet's id; all keys if left out
    owner: Option<Holder>,
    /// The key's name
    name: Option<Ident>,
    /// Of a wallet: the unit whose account the key is for
    #[arg(long)]
    unit: Option<UnitCode>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys certify br_harvest issuing --purpose issuing
  tallyhouse keys certify br_harvest till-7 --purpose till --store s12 --till t7 --participant pa_harvest
  tallyhouse keys certify operator desk --purpose operations --person ana --by root-1 --by root-2
  tallyhouse keys certify br_harvest --public @held.json --purpose issuing --held-per-account-day 5000 --held-per-day 200000
Prints the certificate and the approval by the new key as lines, or as a request with --json. Of a key that the network
holds (/v1/held-keys) only the public half is known here: the network adds the approval when it is sent to /v1/keys.")]
struct Certify {
    /// operator, or a brand's id
    owner: Owner,
    /// The key's name
    #[arg(required_unless_present = "public")]
    name: Option<Ident>,
    /// The public key (JWK) of somebody who keeps its private half, such as the answer of /v1/held-keys; or @FILE
    #[arg(long, value_name = "JWK", conflicts_with = "name")]
    public: Option<String>,
    /// What the key may sign: issuing, till, approver, operations or log
    #[arg(long)]
    purpose: Purpose,
    #[command(flatten)]
    signing: By,
    /// First instant of validity; now if left out
    #[arg(long)]
    from: Option<When>,
    /// First instant after it; for ever if left out
    #[arg(long)]
    until: Option<When>,
    #[command(flatten)]
    till: Till,
    #[command(flatten)]
    held: Held,
    /// Of an approver or operations key: the person whose it is, by one id in the whole network
    #[arg(long)]
    person: Option<Ident>,
}

/// What the certificate of a key that the network holds adds.
#[derive(clap::Args, Debug)]
struct Held {
    /// The network holds this key: most that it may move for one account in a day, in smallest points for
    /// an issuing key, in smallest units of its limits' currency for a till's
    #[arg(long, value_name = "AMOUNT", requires = "held_per_day")]
    held_per_account_day: Option<u64>,
    /// And most in a day
    #[arg(long, value_name = "AMOUNT", requires = "held_per_account_day")]
    held_per_day: Option<u64>,
}

impl Held {
    fn caps(&self) -> Option<HeldCaps> {
        let (per_account_day, per_day) = self.held_per_account_day.zip(self.held_per_day)?;
        Some(HeldCaps { per_account_day, per_day })
    }
}

/// What the certificate of a till adds.
#[derive(clap::Args, Debug)]
struct Till {
    /// Of a till: its store
    #[arg(long)]
    store: Option<Ident>,
    /// Of a till: its name
    #[arg(long)]
    till: Option<Ident>,
    /// Of a till: the legal entity that the store belongs to
    #[arg(long)]
    participant: Option<ParticipantId>,
    /// Of a till: the currency of its limits; with it, the till deals in no other
    #[arg(long)]
    currency: Option<Currency>,
    /// Of a till: most money's worth of points at once, in the currency's smallest units of the log
    #[arg(long, value_parser = money, requires = "currency")]
    once: Option<Money>,
    /// Of a till: the same for an hour
    #[arg(long, value_parser = money, requires = "currency")]
    per_hour: Option<Money>,
    /// Of a till: the same for a day
    #[arg(long, value_parser = money, requires = "currency")]
    per_day: Option<Money>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse keys budget br_harvest issuing --unit HARVEST --serial 1 --ceiling 1000000 --hourly 5000 --until 90d
  tallyhouse keys budget br_harvest issuing --unit HARVEST --serial 2 --ceiling 2000000 --hourly 5000 \\
      --until 2027-12-31 --backfill-from 2026-01-01 --backfill-until 2026-02-01
  tallyhouse keys budget br_harvest --key atZR63tNG3W2GhPpVleKnfrq1N7N6LAqOe5grE2SBR4 --unit HARVEST --serial 1 \\
      --ceiling 1000000 --hourly 5000 --until 90d
  tallyhouse keys budget br_harvest --key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k --unit HARVEST --serial 1 \\
      --ceiling 50000 --hourly 5000 --until 90d --sponsored USD --dearest 110/1 --most 5000000
Serials count 1, 2, 3: the next replaces the one in force; what was issued counts on. Amounts are in the unit's smallest points.")]
struct Budget {
    /// A brand's id
    brand: BrandId,
    /// The name of the key that may issue
    #[arg(required_unless_present = "key")]
    name: Option<Ident>,
    /// Instead of its name its thumbprint, of a key that the network holds
    #[arg(long, value_name = "KID", conflicts_with = "name", allow_hyphen_values = true)]
    key: Option<Kid>,
    #[command(flatten)]
    signing: By,
    /// The unit that it may issue
    #[arg(long)]
    unit: UnitCode,
    /// 1, then one more each time: the next replaces the one in force
    #[arg(long)]
    serial: u64,
    /// Most points ever
    #[arg(long, value_parser = points)]
    ceiling: Points,
    /// Most points in an hour
    #[arg(long, value_parser = points)]
    hourly: Points,
    /// First instant after the budget
    #[arg(long)]
    until: When,
    /// Receipts from this instant on are taken however late
    #[arg(long, requires = "backfill_until")]
    backfill_from: Option<When>,
    /// Up to this instant
    #[arg(long, requires = "backfill_from")]
    backfill_until: Option<When>,
    /// The key (`--key`) is another brand's, whose participant pays for the points in this currency; its root approves.
    /// What raises nothing, or closes the budget (`--ceiling 0`), either root signs alone
    #[arg(long, value_name = "CURRENCY", requires = "key", requires = "dearest")]
    sponsored: Option<Currency>,
    /// The dearest issue price that it pays, as money for points, both in their smallest units: 110/1
    #[arg(long, value_name = "MONEY/POINTS", value_parser = rate, requires = "sponsored")]
    dearest: Option<Rate>,
    /// Most that it pays ever, in the currency's smallest units of the log
    #[arg(long, value_name = "MONEY", value_parser = money, requires = "sponsored")]
    most: Option<Money>,
}

/// Who signs, and for which network.
#[derive(clap::Args, Debug)]
struct By {
    /// The root that signs; with several, the others approve. `root` if left out
    #[arg(long = "by", value_name = "NAME")]
    by: Vec<Ident>,
    /// The network's id; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
}

/// Whose key: an owner's, or a wallet's.
#[derive(Clone, Debug)]
enum Holder {
    Owner(Owner),
    Wallet(WalletId),
}

impl std::str::FromStr for Holder {
    type Err = crate::types::Malformed;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("wa_") { text.parse().map(Self::Wallet) } else { text.parse().map(Self::Owner) }
    }
}

/// An amount of points on the command line.
pub(super) fn points(text: &str) -> Result<Points, String> {
    let amount = text.parse().ok().and_then(Points::new);
    amount.ok_or_else(|| "a whole number of the unit's smallest points, at most 2^53 - 1".into())
}

/// An amount of money on the command line.
pub(super) fn money(text: &str) -> Result<Money, String> {
    let amount = text.parse().ok().and_then(Money::new);
    amount
        .ok_or_else(|| "a whole number of the currency's smallest units of the log, at most 2^53 - 1".into())
}

/// Does what was asked for.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let keys = KeyFolder::at(&context.data);
    match args.action {
        Action::New(args) => new(args, &keys, context)?,
        Action::Show(args) => show(args, &keys, context)?,
        Action::Certify(args) => certify(args, &keys, context)?,
        Action::Budget(args) => budget(args, &keys, context)?,
        Action::Peers(args) => super::peers::run(&args, context)?,
    }
    Ok(Exit::Ok)
}

/// A key as it is shown.
#[derive(Serialize)]
struct Shown {
    owner: String,
    name: String,
    kid: Kid,
    /// The account that it opens, of a holder's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    jwk: PublicKey,
}

impl Shown {
    fn of(owner: &Owner, name: &Ident, key: &PublicKey) -> Self {
        let (owner, name) = (owner.to_string(), name.to_string());
        Self { owner, name, kid: key.kid(), account: None, jwk: *key }
    }
}

fn say_key(shown: &Shown, context: &mut Context<'_>) -> Result<(), CliError> {
    if context.json {
        return context.say_json(shown);
    }
    context.say(format_args!("kid {}", shown.kid))?;
    if let Some(account) = shown.account {
        context.say(format_args!("opens {account}"))?;
    }
    context.say_json(&shown.jwk)
}

fn named(owner: &Owner, name: Option<Ident>) -> Result<Ident, CliError> {
    name.ok_or_else(|| {
        CliError::Usage(format!("which key of {owner}? Give its name, such as root or issuing."))
    })
}

fn new(args: New, keys: &KeyFolder, context: &mut Context<'_>) -> Result<(), CliError> {
    match args.owner {
        Holder::Owner(owner) => {
            let name = named(&owner, args.name)?;
            let key = keys.create(&owner, &name)?.public();
            say_key(&Shown::of(&owner, &name, &key), context)
        }
        Holder::Wallet(_) if args.name.is_some() => {
            Err(CliError::usage("a wallet has one seed: leave the name out"))
        }
        Holder::Wallet(wallet) => {
            keys.create_seed(wallet)?;
            let path = keys.seed_path(wallet).display().to_string();
            if context.json { context.say_json(&path) } else { context.say(path) }
        }
    }
}

fn show(args: Show, keys: &KeyFolder, context: &mut Context<'_>) -> Result<(), CliError> {
    match (args.owner, args.unit) {
        (None, _) => list(keys, context),
        (Some(Holder::Owner(owner)), _) => {
            let name = named(&owner, args.name)?;
            let key = keys.load(&owner, &name)?.public();
            say_key(&Shown::of(&owner, &name, &key), context)
        }
        (Some(Holder::Wallet(wallet)), Some(unit)) => {
            let jwk = SecretKey::derive(&keys.seed(wallet)?, unit).public();
            let (owner, name, kid) = (wallet.to_string(), unit.to_string(), jwk.kid());
            let shown = Shown { owner, name, kid, account: Some(AccountId::of(kid)), jwk };
            say_key(&shown, context)
        }
        (Some(Holder::Wallet(_)), None) => {
            Err(CliError::usage("a wallet has a key for each unit: say which with --unit"))
        }
    }
}

fn list(keys: &KeyFolder, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut all = vec![];
    for (owner, name) in keys.list()? {
        all.push(Shown::of(&owner, &name, &keys.load(&owner, &name)?.public()));
    }
    if context.json {
        return context.say_json(&all);
    }
    if all.is_empty() {
        return context.say(format_args!("there are no keys in {}", context.data.join("keys").display()));
    }
    all.iter().try_for_each(|key| context.say(format_args!("{}  {}/{}", key.kid, key.owner, key.name)))
}

impl By {
    /// The roots of an owner that sign, the first of which makes the statement.
    fn roots(&self, owner: &Owner, keys: &KeyFolder) -> Result<(SecretKey, Vec<SecretKey>), CliError> {
        let load = |name: &Ident| keys.load(owner, name).map_err(CliError::from);
        match self.by.split_first() {
            Some((first, others)) => Ok((load(first)?, others.iter().map(load).collect::<Result<_, _>>()?)),
            None => Ok((load(&"root".parse().map_err(CliError::fault)?)?, vec![])),
        }
    }
}

fn certify(args: Certify, keys: &KeyFolder, context: &mut Context<'_>) -> Result<(), CliError> {
    let now = context.now()?;
    let somebodys = matches!(args.purpose, Purpose::Approver | Purpose::Operations);
    if somebodys != args.person.is_some() {
        let about =
            "the certificate of an approver or operations key, and no other, says whose it is: --person";
        return Err(CliError::usage(about));
    }
    let (key, own) = match &args.public {
        Some(public) => (public_key(&context.text(public)?)?, None),
        None => {
            let own = keys.load(&args.owner, &named(&args.owner, args.name)?)?;
            (own.public(), Some(own))
        }
    };
    let claims = KeyCert {
        aud: context.net(args.signing.net)?,
        key,
        purpose: args.purpose,
        owner: args.owner.principal().to_owned(),
        from: args.from.map_or(now.seconds(), |from| from.seconds(now)),
        until: args.until.map(|until| until.seconds(now)),
        till: args.till.claims(args.purpose)?,
        held: args.held.caps(),
        person: args.person,
    };
    let (root, mut approving) = args.signing.roots(&args.owner, keys)?;
    // Whoever has a key proves it; the network does for those that it holds.
    approving.extend(own);
    let signing = Signing { net: claims.aud, key: &root, approving: &approving };
    say_request(&signing.request(Typ::KeyCert, &encode(&claims))?, context)
}

/// A price on the command line.
fn rate(text: &str) -> Result<Rate, String> {
    let parts = text.split_once('/').unwrap_or((text, "1"));
    let rate = parts.0.parse().ok().zip(parts.1.parse().ok()).and_then(|(num, den)| Rate::new(num, den));
    rate.ok_or_else(|| "two whole numbers from 1 to 999999999999999, as 110/1".into())
}

/// A public key: a JWK, or an answer that has one as its `key`.
fn public_key(text: &str) -> Result<PublicKey, CliError> {
    #[derive(serde::Deserialize)]
    struct Answer {
        key: PublicKey,
    }
    let answer = || serde_json::from_str::<Answer>(text).map(|answer| answer.key);
    let key = serde_json::from_str(text).or_else(|e| answer().map_err(|_| e));
    key.map_err(|e| CliError::Usage(format!("--public: no public key (JWK) of ours: {e}")))
}

impl Till {
    fn claims(self, purpose: Purpose) -> Result<Option<TillClaims>, CliError> {
        match (purpose, self.store, self.till, self.participant) {
            (Purpose::Till, Some(store), Some(till), Some(participant)) => {
                let (once, hour, day) = (self.once, self.per_hour, self.per_day);
                let limits = self.currency.map(|currency| TillLimits { currency, once, hour, day });
                Ok(Some(TillClaims { store, till, participant, limits }))
            }
            (Purpose::Till, ..) => {
                Err(CliError::usage("a till's certificate needs --store, --till and --participant"))
            }
            (_, None, None, None) if self.currency.is_none() => Ok(None),
            _ => Err(CliError::usage(
                "only a till's certificate names a store, a till and limits: --purpose till",
            )),
        }
    }
}

fn budget(args: Budget, keys: &KeyFolder, context: &mut Context<'_>) -> Result<(), CliError> {
    let now = context.now()?;
    let owner = Owner::Brand(args.brand);
    let backfill = args.backfill_from.zip(args.backfill_until);
    let claims = KeyBudget {
        aud: context.net(args.signing.net)?,
        key: match args.key {
            Some(key) => key,
            None => keys.load(&owner, &named(&owner, args.name)?)?.public().kid(),
        },
        unit: args.unit,
        serial: args.serial,
        ceiling: args.ceiling,
        hourly: args.hourly,
        until: args.until.seconds(now),
        backfill: backfill.map(|(from, until)| Window { from: from.seconds(now), until: until.seconds(now) }),
        sponsored: args.sponsored.zip(args.dearest).map(|(currency, issue)| SponsorTerms {
            currency,
            issue,
            ceiling: args.most,
        }),
    };
    let (root, approving) = args.signing.roots(&owner, keys)?;
    let signing = Signing { net: claims.aud, key: &root, approving: &approving };
    say_request(&signing.request(Typ::KeyBudget, &encode(&claims))?, context)
}

#[cfg(test)]
mod tests;
