//! What a holder signs: the consent to a payment, and the code that a phone shows.
//!
//! Owns: their options.
//! Promises: the account's own key signs, and nothing is sent.
//! Refuses to know: what becomes of them.

use super::{Signer, random_id};
use crate::cli::context::{CliError, Context, net};
use crate::cli::keys::{money, points};
use crate::cli::statement::{Signed, say_request};
use crate::cli::when::When;
use crate::clock;
use crate::sign::{PaymentConsent, SpendCode, Typ, sign};
use crate::types::{AccountId, BrandId, Currency, Hash, Ident, Money, Points, Time, encode};
use crate::vault::Vault;

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign consent --as wa_0123456789abcdefghjkmnpqrs/HARVEST --payee br_cleaver --payment R-4711 \\
      --amount 5000 --currency USD --points 50
In a network on its own time (see `driven` and `time` in /v1/network), --at says what now means there.")]
pub(super) struct Consent {
    /// The holder's key: WALLET/UNIT
    #[arg(long = "as", value_name = "OWNER/NAME")]
    signer: Signer,
    /// Whose points; the wallet's account of the unit if left out, where the data folder knows it
    #[arg(long)]
    account: Option<AccountId>,
    /// The shop's brand
    #[arg(long)]
    payee: BrandId,
    /// The id of the payment: what the till gives with --id
    #[arg(long)]
    payment: Ident,
    /// Only at this till
    #[arg(long)]
    till: Option<Ident>,
    /// The share of the bill, in the currency's smallest units of the log
    #[arg(long, value_parser = money)]
    amount: Money,
    /// Its currency
    #[arg(long)]
    currency: Currency,
    /// Most points that may be taken, in the unit's smallest
    #[arg(long, value_parser = points)]
    points: Points,
    /// Until when the points may be held
    #[arg(long, default_value = "15m")]
    deadline: When,
    /// The hash of the offer that is agreed to, as the offer says it
    #[arg(long, value_parser = net)]
    offer: Option<Hash>,
    /// Until when the consent is taken, 5 minutes ahead at the most
    #[arg(long, default_value = "4m")]
    exp: When,
    /// What now means; the clock's time, or that of the data folder's network, if left out
    #[arg(long)]
    at: Option<When>,
    /// The network's id; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign code --as wa_0123456789abcdefghjkmnpqrs/HARVEST --most 5000 --currency USD --id C-1 > code.txt
  tallyhouse sign POST /v1/consents --as br_cleaver/till-9 --body '{\"code\":\"C-1\"}' --consent @code.txt | sh
The till may then ask for payments under the consent for 15 minutes, until that much was asked for.")]
pub(super) struct Code {
    /// The holder's key: WALLET/UNIT
    #[arg(long = "as", value_name = "OWNER/NAME")]
    signer: Signer,
    /// Most that may be paid in all, in the currency's smallest units of the log
    #[arg(long, value_parser = money)]
    most: Money,
    /// Its currency
    #[arg(long)]
    currency: Currency,
    /// Only in this brand's shops
    #[arg(long)]
    payee: Option<BrandId>,
    /// The code's id, which the till repeats; a random one if left out
    #[arg(long)]
    id: Option<Ident>,
    /// Until when the code is taken, a minute ahead at the most
    #[arg(long, default_value = "55s")]
    exp: When,
    /// What now means; the clock's time, or that of the data folder's network, if left out
    #[arg(long)]
    at: Option<When>,
    /// The network's id; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
}

/// What now means to whoever signs.
fn now(given: Option<When>, context: &Context<'_>) -> Result<Time, CliError> {
    match given.map(|at| at.seconds(clock::now())) {
        Some(at) => Time::from_seconds(at).ok_or_else(|| CliError::usage("--at: too late")),
        None => context.now(),
    }
}

impl Consent {
    /// Signs the consent and prints it.
    pub(super) fn say(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let key = self.signer.load(context)?;
        let account = match (self.account, &self.signer) {
            (Some(account), _) => account,
            (None, Signer::Holder(wallet, unit)) if Vault::exists(context.home()?)? => {
                let found = Vault::open(context.home()?)?.account(*wallet, *unit)?;
                found.ok_or_else(|| CliError::Usage(format!("{wallet} has no account of {unit} here")))?
            }
            _ => return Err(CliError::usage("whose points? Give the account with --account")),
        };
        let now = now(self.at, context)?;
        let claims = PaymentConsent {
            aud: context.net(self.net)?,
            jti: random_id()?,
            account,
            payee: self.payee,
            payment: self.payment,
            till: self.till,
            amount: self.amount,
            currency: self.currency,
            points: self.points,
            deadline: self.deadline.seconds(now),
            offer: self.offer,
            iat: Some(now.seconds()),
            exp: self.exp.seconds(now),
        };
        say_request(&Signed { jws: vec![sign(&key, Typ::PaymentConsent, &encode(&claims))] }, context)
    }
}

impl Code {
    /// Signs the code and prints it.
    pub(super) fn say(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let key = self.signer.load(context)?;
        let now = now(self.at, context)?;
        let claims = SpendCode {
            aud: context.net(self.net)?,
            jti: self.id.map_or_else(random_id, Ok)?,
            payee: self.payee,
            most: self.most,
            currency: self.currency,
            iat: Some(now.seconds()),
            exp: self.exp.seconds(now),
        };
        say_request(&Signed { jws: vec![sign(&key, Typ::SpendCode, &encode(&claims))] }, context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NET, json};
    use super::*;
    use crate::cli::context::Exit;
    use crate::cli::tests::tallyhouse;
    use crate::sign::{Jws, SecretKey};
    use crate::vault::{KeyFolder, WalletId};

    #[test]
    fn a_consent_is_signed_by_the_accounts_own_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let wallet = WalletId(7);
        let seed = KeyFolder::at(dir.path()).create_seed(wallet).expect("a seed");
        let (signer, account) = (format!("{wallet}/HARVEST"), AccountId(5).to_string());
        let line = [
            "sign",
            "consent",
            "--as",
            &signer,
            "--account",
            &account,
            "--payee",
            "br_a",
            "--payment",
            "R-1",
            "--amount",
            "100",
            "--currency",
            "EUR",
            "--points",
            "3",
            "--net",
            NET,
            "--at",
            "2018-01-01",
        ];
        let made = json(dir.path(), &line);
        let jws = Jws::parse(made["jws"][0].as_str().expect("a statement")).expect("well formed");
        let key = SecretKey::derive(&seed, "HARVEST".parse().expect("a unit"));
        assert_eq!(jws.verify(&key.public()), Ok(()));
        let claims: PaymentConsent = jws.payload().expect("a consent");
        assert_eq!((claims.exp, claims.deadline), (1_514_764_800 + 240, 1_514_764_800 + 900));
        let (exit, _, err) =
            tallyhouse(dir.path(), &line.join(" ").replace(&format!("--account {account}"), ""), "");
        assert_eq!(exit, Exit::Usage);
        assert!(err.contains("--account"), "{err}");
    }

    #[test]
    fn a_code_is_signed_by_the_accounts_own_key_and_names_no_account() {
        let dir = tempfile::tempdir().expect("a folder");
        let wallet = WalletId(8);
        let seed = KeyFolder::at(dir.path()).create_seed(wallet).expect("a seed");
        let signer = format!("{wallet}/HARVEST");
        let line = ["sign", "code", "--as", &signer, "--most", "100", "--currency", "EUR", "--id", "C-1"];
        let line = [&line[..], &["--net", NET, "--at", "2018-01-01"]].concat();
        let made = json(dir.path(), &line);
        let jws = Jws::parse(made["jws"][0].as_str().expect("a statement")).expect("well formed");
        assert_eq!(
            jws.verify(&SecretKey::derive(&seed, "HARVEST".parse().expect("a unit")).public()),
            Ok(())
        );
        let claims: SpendCode = jws.payload().expect("a code");
        assert_eq!((claims.jti.as_str(), claims.exp, claims.payee), ("C-1", 1_514_764_800 + 55, None));
    }
}
