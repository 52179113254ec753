//! `token`: sign a point token, or look into any token and say what is wrong with it.
//!
//! Owns: what can be found out about a token without the network's state.
//! Promises: everything that is wrong is said, in the words of the refusals that a network would give.
//! Refuses to know: whether the network knows the key and what is in force there.

use super::context::{CliError, Context, Exit, net, read};
use super::keys::{money, points};
use super::statement::{Signed, say_request};
use super::when::When;
use crate::clock;
use crate::sign::{
    Approval, CommandClaims, Jws, KeyBudget, KeyCert, PaymentConsent, PointBatch, PointToken, PublicKey,
    Sale, SecretKey, SpendCode, Typ, sign,
};
use crate::types::{
    AccountId, BrandId, Currency, Date, Hash, Ident, Kid, Money, Points, Refusal, Refused, Time, UnitCode,
    encode,
};
use crate::vault::{KeyFolder, Owner};
use clap::Subcommand;
use serde::Serialize;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

/// Options of `token`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse token sign --brand br_harvest --unit HARVEST --sub ac_0123456789abcdefghjkmnpqrs --amount 120
  tallyhouse token check eyJhbGciOi...
  tallyhouse token sign --claims claims.json --brand br_harvest | tallyhouse token check -")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Sign a point token with a brand's key, and print it
    Sign(Box<Sign>),
    /// Look into a token of any type: what it says, and what is wrong with it
    Check(Check),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse token sign --brand br_harvest --unit HARVEST --sub ac_0123456789abcdefghjkmnpqrs --amount 120 \\
      --ref R-2026-4711 --store s12 --till t7 --sale 1299 --currency EUR
  tallyhouse token sign --brand br_harvest --key till-7 --claims claims.json
  tallyhouse token sign --brand br_harvest --claims - --json < claims.json")]
struct Sign {
    /// Whose key signs; the token's iss
    #[arg(long)]
    brand: BrandId,
    /// The name of the key
    #[arg(long, default_value = "issuing")]
    key: Ident,
    /// All claims as a JSON file, or - for standard input, instead of the options below
    #[arg(long, value_name = "FILE", conflicts_with_all = ["unit", "sub", "amount", "exp", "jti", "net", "award"])]
    claims: Option<PathBuf>,
    /// The network's id; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
    /// The unit
    #[arg(long, required_unless_present = "claims")]
    unit: Option<UnitCode>,
    /// The account that gets the points
    #[arg(long, required_unless_present = "claims")]
    sub: Option<AccountId>,
    /// How many, in the unit's smallest points
    #[arg(long, value_parser = points, required_unless_present = "claims")]
    amount: Option<Points>,
    /// The token's id: it takes effect once; a random one if left out
    #[arg(long)]
    jti: Option<Ident>,
    /// Until when it is taken in
    #[arg(long, default_value = "24h")]
    exp: When,
    #[command(flatten)]
    award: Award,
}

/// What else a token may say.
#[derive(clap::Args, Debug)]
#[group(id = "award", multiple = true)]
struct Award {
    /// The receipt's number: points are given for it once
    #[arg(long = "ref")]
    reference: Option<Ident>,
    /// The shop
    #[arg(long)]
    store: Option<Ident>,
    /// The till
    #[arg(long)]
    till: Option<Ident>,
    /// When it happened; when it is taken in, if left out
    #[arg(long)]
    occurred_at: Option<Time>,
    /// The shop's own day
    #[arg(long)]
    business_date: Option<Date>,
    /// Why, such as goodwill
    #[arg(long)]
    reason: Option<Ident>,
    /// A campaign's code
    #[arg(long)]
    campaign: Option<Ident>,
    /// First day of the points
    #[arg(long)]
    from: Option<Date>,
    /// Last day of the points
    #[arg(long)]
    until: Option<Date>,
    /// What was bought for, in the currency's smallest units of the log
    #[arg(long, value_parser = money, requires = "currency")]
    sale: Option<Money>,
    /// Its currency
    #[arg(long, requires = "sale")]
    currency: Option<Currency>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse token check eyJhbGciOi...
  tallyhouse token check @token.txt --jwk harvest.jwk
  cat token.txt | tallyhouse token check - --net 5d0f... --json
Without --jwk the key is looked for in the data folder. Ends with 1 if anything is wrong.")]
struct Check {
    /// The token, @FILE, or - for standard input
    token: String,
    /// The key that should have signed: a file with a JWK, public or private
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
    /// The network that it should be for; that of the data folder if there is one
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
    /// When; now if left out
    #[arg(long)]
    at: Option<When>,
}

/// Does what was asked for.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    match args.action {
        Action::Sign(args) => sign_token(*args, context),
        Action::Check(args) => check(&args, context),
    }
}

fn sign_token(args: Sign, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let owner = Owner::Brand(args.brand.clone());
    let key = KeyFolder::at(&context.data).load(&owner, &args.key)?;
    let claims = match &args.claims {
        Some(path) => read_claims(path, context)?,
        None => args.claims(context)?,
    };
    if Owner::Brand(claims.iss.clone()) != owner {
        return Err(CliError::Usage(format!("the claims' iss is {}, the key is of {owner}", claims.iss)));
    }
    let token = sign(&key, Typ::PointToken, &encode(&claims));
    Jws::parse(&token)?;
    say_request(&Signed { jws: vec![token] }, context)?;
    Ok(Exit::Ok)
}

fn read_claims(path: &Path, context: &mut Context<'_>) -> Result<PointToken, CliError> {
    let text = if path == Path::new("-") { context.text("-")? } else { read(path)? };
    serde_json::from_str(&text).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
}

impl Sign {
    fn claims(self, context: &Context<'_>) -> Result<PointToken, CliError> {
        let missing = || CliError::usage("a token needs --unit, --sub and --amount");
        let now = context.now()?;
        let award = self.award;
        let jti = match self.jti {
            Some(jti) => jti,
            None => crate::types::hex(&clock::random::<16>()).parse().map_err(CliError::fault)?,
        };
        Ok(PointToken {
            aud: context.net(self.net)?,
            iss: self.brand,
            jti,
            unit: self.unit.ok_or_else(missing)?,
            iat: Some(now.seconds()),
            exp: self.exp.seconds(now),
            sub: self.sub.ok_or_else(missing)?,
            amount: self.amount.ok_or_else(missing)?,
            reference: award.reference,
            store: award.store,
            till: award.till,
            occurred_at: award.occurred_at.map(Time::seconds),
            business_date: award.business_date,
            reason: award.reason,
            campaign: award.campaign,
            until: award.until,
            from: award.from,
            lines: None,
            sale: award.sale.zip(award.currency).map(|(amount, currency)| Sale { amount, currency }),
        })
    }
}

/// What was found out about a token.
#[derive(Serialize)]
struct Looked {
    typ: Typ,
    kid: Kid,
    identity: Hash,
    /// Whose key signed, if it is one that we have.
    key: Option<String>,
    claims: Box<RawValue>,
    wrong: Vec<Wrong>,
}

/// Something that is wrong.
#[derive(Serialize)]
struct Wrong {
    code: Refusal,
    text: &'static str,
    about: String,
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Self {
        Self { code: refused.code, text: refused.code.text(), about: refused.about }
    }
}

fn check(args: &Check, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let text = context.text(&args.token)?;
    let jws = Jws::parse(&text)?;
    let given = args.jwk.as_deref().map(read_jwk).transpose()?;
    let ours = key_of(&context.data, jws.kid())?;
    let network = args.net.or_else(|| context.net(None).ok());
    let now = context.now()?;
    let at = args.at.map_or(now.seconds(), |at| at.seconds(now));

    let key = given.or_else(|| ours.as_ref().map(|(_, key)| *key));
    let signed = match key {
        Some(key) => jws.verify(&key),
        None => {
            Err(Refused::about(Refusal::KeyUnknown, "no such key in the data folder; give it with --jwk"))
        }
    };
    let wrong =
        [signed.err()].into_iter().chain(look(&jws, network, at)).flatten().map(Wrong::from).collect();
    let claims = String::from_utf8_lossy(jws.payload_bytes()).into_owned();
    let looked = Looked {
        typ: jws.typ(),
        kid: jws.kid(),
        identity: jws.identity(),
        key: ours.map(|(name, _)| name),
        claims: RawValue::from_string(claims).map_err(CliError::fault)?,
        wrong,
    };
    say_looked(&looked, context)?;
    Ok(if looked.wrong.is_empty() { Exit::Ok } else { Exit::Refused })
}

/// A JWK in a file; of a private one the public half.
fn read_jwk(path: &Path) -> Result<PublicKey, CliError> {
    let text = read(path)?;
    let text = text.trim();
    let private = SecretKey::from_jwk_private(text).map(|key| key.public());
    let key = private.or_else(|_| serde_json::from_str(text));
    key.map_err(|_| CliError::Usage(format!("{}: not a JWK of an Ed25519 key", path.display())))
}

/// The key of this id in the data folder, and its name.
fn key_of(data: &Path, kid: Kid) -> Result<Option<(String, PublicKey)>, CliError> {
    let keys = KeyFolder::at(data);
    for (owner, name) in keys.list()? {
        let key = keys.load(&owner, &name)?.public();
        if key.kid() == kid {
            return Ok(Some((format!("{owner}/{name}"), key)));
        }
    }
    Ok(None)
}

/// What is wrong with the claims: first their form, then the network, then the time.
fn look(jws: &Jws, network: Option<Hash>, at: u64) -> Vec<Option<Refused>> {
    let (aud, exp) = match terms(jws) {
        Ok(terms) => terms,
        Err(refused) => return vec![Some(refused)],
    };
    let other = network.filter(|network| *network != aud);
    let audience = other.map(|_| Refused::about(Refusal::AudienceMismatch, format!("aud is {aud}")));
    let expired = exp.filter(|(_, exp)| *exp <= at).map(|(code, exp)| {
        let when = Time::from_seconds(exp).map_or_else(|| exp.to_string(), |time| time.to_string());
        Refused::about(code, format!("exp is {when}"))
    });
    vec![audience, expired]
}

/// A refusal for being late, and from which second on.
type Expiry = Option<(Refusal, u64)>;

/// The network that a token is for, and until when it is taken in.
fn terms(jws: &Jws) -> Result<(Hash, Expiry), Refused> {
    let token = |exp| Some((Refusal::TokenExpired, exp));
    Ok(match jws.typ() {
        Typ::PointToken => jws.payload::<PointToken>().map(|claims| (claims.aud, token(claims.exp)))?,
        Typ::PointBatch => jws.payload::<PointBatch>().map(|claims| (claims.aud, token(claims.exp)))?,
        Typ::PaymentConsent => {
            let claims: PaymentConsent = jws.payload()?;
            (claims.aud, Some((Refusal::ConsentExpired, claims.exp)))
        }
        Typ::SpendCode => {
            let claims: SpendCode = jws.payload()?;
            (claims.aud, Some((Refusal::ConsentExpired, claims.exp)))
        }
        Typ::KeyCert => {
            let claims: KeyCert = jws.payload()?;
            (claims.aud, claims.until.map(|until| (Refusal::KeyExpired, until)))
        }
        Typ::KeyBudget => {
            let claims: KeyBudget = jws.payload()?;
            (claims.aud, Some((Refusal::BudgetExpired, claims.until)))
        }
        Typ::Approval => (jws.payload::<Approval>()?.aud, None),
        Typ::Command => (jws.payload::<CommandClaims>()?.aud, None),
        typ @ Typ::VoucherClaim => {
            return Err(Refused::about(
                Refusal::TokenType,
                format!("{typ} is not taken in by any network yet"),
            ));
        }
    })
}

fn say_looked(looked: &Looked, context: &mut Context<'_>) -> Result<(), CliError> {
    if context.json {
        return context.say_json(looked);
    }
    let key = looked.key.as_deref().map(|key| format!(" ({key})")).unwrap_or_default();
    context.say(format_args!("typ        {}", looked.typ))?;
    context.say(format_args!("kid        {}{key}", looked.kid))?;
    context.say(format_args!("identity   {}", looked.identity))?;
    context.say(format_args!("claims     {}", looked.claims))?;
    for wrong in &looked.wrong {
        context.say(format_args!("wrong      {}", Refused::about(wrong.code, &wrong.about)))?;
    }
    if looked.wrong.is_empty() {
        context.say("right      the form is right, the signature holds, the time has not passed")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::tallyhouse;
    use super::*;
    use serde_json::Value;

    const NET: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
    const SUB: &str = "ac_0123456789abcdefghjkmnpqrs";

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(tallyhouse(dir.path(), "keys new br_harvest issuing", "").0, Exit::Ok);
        dir
    }

    fn line() -> String {
        format!("token sign --brand br_harvest --unit HARVEST --sub {SUB} --amount 120 --net {NET}")
    }

    fn signed(data: &Path, more: &str) -> String {
        let (exit, out, err) = tallyhouse(data, &format!("{} {more}", line()), "");
        assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{more}");
        out
    }

    fn claims(token: &str) -> PointToken {
        Jws::parse(token.trim()).and_then(|jws| jws.payload()).expect("claims")
    }

    #[test]
    fn a_token_says_what_the_options_say() {
        let dir = folder();
        let more = "--jti a1 --ref R-1 --store s1 --till t1 --exp 2027-01-01 --occurred-at 2026-11-20T10:00:00Z \
                    --business-date 2026-11-20 --reason goodwill --campaign c1 --from 2026-12-01 \
                    --until 2026-12-31 --sale 1299 --currency EUR";
        let all = claims(&signed(dir.path(), more));
        assert_eq!(
            (all.aud.to_string().as_str(), all.iss.as_str(), all.jti.as_str()),
            (NET, "br_harvest", "a1")
        );
        assert_eq!((all.exp, all.occurred_at), (1_798_761_600, Some(1_795_168_800)));
        let sale =
            Sale { amount: Money::new(1_299).expect("money"), currency: "EUR".parse().expect("a currency") };
        assert_eq!((all.sale, all.amount.get()), (Some(sale), 120));
        let json = serde_json::to_value(&all.reference).expect("JSON");
        assert_eq!(json, Value::from("R-1"));

        let (first, second) = (claims(&signed(dir.path(), "")), claims(&signed(dir.path(), "")));
        assert_ne!(first.jti, second.jti, "each token has an id of its own");
        assert!(first.exp >= first.iat.expect("made now") + 86_400);
    }

    #[test]
    fn claims_can_come_as_json() {
        let dir = folder();
        let claims = serde_json::to_string(&claims(&signed(dir.path(), "--jti b2"))).expect("JSON");
        let path = dir.path().join("claims.json");
        std::fs::write(&path, &claims).expect("written");
        let from_file = format!("token sign --brand br_harvest --claims {}", path.display());
        let (exit, token, _) = tallyhouse(dir.path(), &from_file, "");
        assert_eq!((exit, self::claims(&token).jti.as_str()), (Exit::Ok, "b2"));
        assert_eq!(tallyhouse(dir.path(), "token sign --brand br_harvest --claims -", &claims).1, token);
        let unknown = claims.replacen('{', "{\"colour\":1,", 1);
        for (line, input) in [
            ("token sign --brand br_harvest --claims -", unknown.as_str()),
            ("token sign --brand br_other --claims -", &claims),
            ("token sign --brand br_harvest --claims - --amount 3", &claims),
            ("token sign --brand br_harvest --claims - --ref 3", &claims),
            ("token sign --brand br_harvest", ""),
        ] {
            assert_eq!(tallyhouse(dir.path(), line, input).0, Exit::Usage, "{line}");
        }
    }

    #[test]
    fn a_right_token_is_right() {
        let dir = folder();
        let token = signed(dir.path(), "");
        let (exit, out, err) = tallyhouse(dir.path(), &format!("token check - --net {NET}"), &token);
        assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{out}");
        assert!(
            out.contains("(br_harvest/issuing)") && out.contains("\nright ") && out.contains(SUB),
            "{out}"
        );
        let (exit, out, _) = tallyhouse(dir.path(), &format!("token check {} --json", token.trim()), "");
        let json: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(
            (exit, &json["wrong"], &json["claims"]["amount"]),
            (Exit::Ok, &Value::Array(vec![]), &120.into())
        );

        // Elsewhere with the key's file alone, public or private.
        let other = tempfile::tempdir().expect("a folder");
        let shown = tallyhouse(dir.path(), "keys show br_harvest issuing", "").1;
        let public = other.path().join("public.jwk");
        std::fs::write(&public, shown.lines().nth(1).expect("a JWK")).expect("written");
        for jwk in [public, dir.path().join("keys/br_harvest/issuing.jwk")] {
            let line = format!("token check - --jwk {}", jwk.display());
            assert_eq!(tallyhouse(other.path(), &line, &token).0, Exit::Ok);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let dir = folder();
        let token = signed(dir.path(), "--exp 2026-01-01");
        let other = tempfile::tempdir().expect("a folder");
        let net = NET.replace("aa", "bb");
        let line = format!("token check - --net {net} --json");
        let (exit, out, _) = tallyhouse(other.path(), &line, &token);
        let json: Value = serde_json::from_str(&out).expect("JSON");
        let wrong = json["wrong"].as_array().expect("a list");
        let codes: Vec<_> = wrong.iter().filter_map(|wrong| wrong["code"].as_str()).collect();
        assert_eq!((exit, codes), (Exit::Refused, vec!["key_unknown", "audience_mismatch", "token_expired"]));
        // At its time, to its network, by its key, it was right.
        assert_eq!(
            tallyhouse(dir.path(), &format!("token check - --net {NET} --at 2025-12-31"), &token).0,
            Exit::Ok
        );

        let (body, _) = token.rsplit_once('.').expect("three parts");
        let forged = format!("{body}.{}", crate::types::b64(&[1; 64]));
        let (exit, out, _) = tallyhouse(dir.path(), "token check - --at 2025-12-31", &forged);
        assert!(exit == Exit::Refused && out.contains("signature_invalid: "), "{out}");
        let (exit, out, err) = tallyhouse(dir.path(), "token check a.b", "");
        assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
        assert!(err.contains("token_malformed: "), "{err}");
    }

    #[test]
    fn every_type_that_a_network_takes_in_can_be_looked_into() {
        let key = SecretKey::from_seed([3; 32]);
        let (aud, digest) = (Hash([1; 32]), Hash([2; 32]));
        let look = |typ, payload: &[u8]| {
            look(&Jws::parse(&sign(&key, typ, payload)).expect("a token"), Some(aud), 5)
        };
        let approval = encode(&Approval { aud, digest, iat: None });
        assert_eq!(look(Typ::Approval, &approval), [None, None]);
        let cert = KeyCert {
            aud,
            key: key.public(),
            purpose: crate::sign::Purpose::Issuing,
            owner: "br_a".into(),
            from: 0,
            until: Some(5),
            till: None,
            held: None,
            person: None,
        };
        let found = look(Typ::KeyCert, &encode(&cert));
        assert!(matches!(&found[..], [None, Some(Refused { code: Refusal::KeyExpired, .. })]), "{found:?}");
        for typ in Typ::ALL {
            let found = look(typ, b"{}");
            let codes: Vec<_> = found.iter().flatten().map(|refused| refused.code).collect();
            assert!(matches!(codes[..], [Refusal::TokenPayload | Refusal::TokenType]), "{typ}: {found:?}");
        }
    }
}
