//! `sign`: turns a request into one that is signed, ready to be sent with curl.
//!
//! Owns: how a request is named on the command line, and the curl command that it becomes.
//! Promises: what is printed is sent as it was signed; a private key leaves its file for nothing but signing.
//! Refuses to know: what a network answers; nothing is sent from here.

mod holder;

use super::context::{CliError, Context, Exit, net, read};
use super::statement::{Signed, Signing, say_request};
use crate::clock;
use crate::machine::{Carrier, Kind, Route};
use crate::sign::{Approval, CommandClaims, HttpLife, HttpMessage, Jws, SecretKey, Typ, sign};
use crate::types::{Hash, Ident, UnitCode, b64, encode, hex};
use crate::vault::{KeyFolder, Owner, WalletId};
use clap::Subcommand;
use holder::{Code, Consent};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Options of `sign`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign GET /v1/me --as br_harvest/issuing | sh
  tallyhouse sign POST /v1/awards --as br_harvest/issuing --body '{\"iss\":\"br_harvest\",\"unit\":\"HARVEST\",\"sub\":\"ac_0123456789abcdefghjkmnpqrs\",\"amount\":5}' | sh
  tallyhouse sign POST /v1/payments --as br_harvest/till-9 --body @bill.json --consent @consent.txt --id R-4711 | sh
  tallyhouse sign consent --as wa_0123456789abcdefghjkmnpqrs/HARVEST --payee br_cleaver --payment R-4711 --amount 5000 --currency USD --points 50
  tallyhouse sign code --as wa_0123456789abcdefghjkmnpqrs/HARVEST --most 5000 --currency USD --id C-1 > code.txt
  tallyhouse sign POST /v1/consents --as br_cleaver/till-9 --body '{\"code\":\"C-1\"}' --consent @code.txt | sh
  tallyhouse sign POST /v1/participants --as operator/root-1 --approve operator/root-2 --body @participant.json | sh

A key is named by its owner and its name: operator/root-1, br_harvest/till-9; the key of a person's account by the
wallet and the unit: wa_0123456789abcdefghjkmnpqrs/HARVEST. What is printed is a curl command; `| sh` sends it.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Sign a read
    #[command(name = "GET", visible_alias = "get")]
    Get(Read),
    /// Sign a write
    #[command(name = "POST", visible_alias = "post")]
    Post(Box<Write>),
    /// Sign the end of something, such as an API key
    #[command(name = "DELETE", visible_alias = "delete")]
    Delete(Read),
    /// Sign the consent of an account's holder to a payment, and print it
    Consent(Box<Consent>),
    /// Sign what a phone shows at a till: a code that opens a consent
    Code(Code),
    /// Sign an approval of somebody else's statement, and print it
    Approval(Approve),
}

/// What all requests have.
#[derive(clap::Args, Debug)]
struct Common {
    /// The path, with its query
    path: String,
    /// Whose key signs
    #[arg(long = "as", value_name = "OWNER/NAME")]
    signer: Signer,
    /// The network's address, as `/v1/network` says it
    #[arg(long, default_value = "http://127.0.0.1:8710")]
    url: String,
    /// For how many seconds the signature counts, 300 at the most
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=300))]
    expires: u64,
    /// A header that goes with the request, unsigned, such as `prefer: return=proof`
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign GET /v1/accounts/ac_0123456789abcdefghjkmnpqrs --as br_harvest/issuing | sh
  tallyhouse sign DELETE /v1/api-keys/ak_0123456789abcdefghjkmnpqrs --as br_harvest/root | sh")]
struct Read {
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign POST /v1/units --as br_harvest/root --body @unit.json | sh
  tallyhouse sign POST /v1/payments --as br_harvest/till-9 --body @bill.json --consent @consent.txt --id R-4711 | sh
  tallyhouse sign POST /v1/brands --as br_new/root --body @brand.json --jws      the statement alone, for others to approve
  tallyhouse sign POST /v1/payments --as br_harvest/till-9 --body @bill.json --consent @consent.txt --jws --json >> queue.ndjson")]
struct Write {
    #[command(flatten)]
    common: Common,
    /// The body, @FILE, or - for standard input
    #[arg(long, default_value = "{}")]
    body: String,
    /// The command's id: asked for again under it, nothing happens twice; a random one if left out
    #[arg(long)]
    id: Option<Ident>,
    /// The consent of a holder, or the code that a phone showed: a statement, or @FILE; once for each unit
    #[arg(long = "consent", value_name = "JWS")]
    consents: Vec<String>,
    /// Who signs an approval too; the request is then carried as statements (application/jose)
    #[arg(long = "approve", value_name = "OWNER/NAME", conflicts_with = "consents")]
    approving: Vec<Signer>,
    /// Print the statements alone, instead of a request: the command, then approvals or consents
    #[arg(long)]
    jws: bool,
    /// The network's id, for statements; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse sign approval @registration.txt --as operator/root-1")]
struct Approve {
    /// The statement, @FILE, or - for standard input
    statement: String,
    /// Who approves
    #[arg(long = "as", value_name = "OWNER/NAME")]
    signer: Signer,
    /// The network's id; that of the data folder if left out
    #[arg(long, value_parser = net)]
    net: Option<Hash>,
}

/// Whose key signs.
#[derive(Clone, Debug)]
enum Signer {
    Owner(Owner, Ident),
    Holder(WalletId, UnitCode),
}

impl FromStr for Signer {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let no =
            |e: &dyn fmt::Display| format!("{e}; such as operator/root-1, br_harvest/till-9, wa_…/HARVEST");
        let (owner, name) = text.split_once('/').ok_or_else(|| no(&"OWNER/NAME"))?;
        if owner.starts_with("wa_") {
            let wallet = owner.parse().map_err(|e| no(&e))?;
            return Ok(Self::Holder(wallet, name.parse().map_err(|e| no(&e))?));
        }
        Ok(Self::Owner(owner.parse().map_err(|e| no(&e))?, name.parse().map_err(|e| no(&e))?))
    }
}

impl Signer {
    fn load(&self, context: &Context<'_>) -> Result<SecretKey, CliError> {
        let keys = KeyFolder::at(&context.data);
        Ok(match self {
            Self::Owner(owner, name) => keys.load(owner, name)?,
            Self::Holder(wallet, unit) => SecretKey::derive(&keys.seed(*wallet)?, *unit),
        })
    }
}

/// A header on the command line.
fn header(text: &str) -> Result<(String, String), String> {
    let plain = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let parts = text.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()));
    let parts =
        parts.filter(|(name, value)| !name.is_empty() && !name.contains(' ') && plain(name) && plain(value));
    parts.map(|(name, value)| (name, value.to_owned())).ok_or_else(|| "NAME: VALUE".into())
}

/// Does what was asked for.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    match args.action {
        Action::Get(args) => bodiless("GET", args.common, context)?,
        Action::Delete(args) => bodiless("DELETE", args.common, context)?,
        Action::Post(args) => write(*args, context)?,
        Action::Consent(args) => args.say(context)?,
        Action::Code(args) => args.say(context)?,
        Action::Approval(args) => approval(&args, context)?,
    }
    Ok(Exit::Ok)
}

/// A request as it is sent.
#[derive(Serialize)]
struct Sending {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The file that the body stands in, if it is too long for a command line.
    #[serde(skip)]
    file: Option<String>,
}

/// The longest body that is written into a command, in bytes: a shell takes 128 KiB in one word.
const LONGEST_WORD: usize = 65_536;

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Sending {
    fn new(
        method: &'static str,
        common: Common,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: Option<String>,
    ) -> Self {
        let url = common.target();
        let own = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { method, url, headers: own.chain(common.headers).collect(), body, file: None }
    }

    fn say(&self, context: &mut Context<'_>) -> Result<(), CliError> {
        if context.json { context.say_json(self) } else { context.say(self) }
    }
}

impl fmt::Display for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "curl -sS --fail-with-body -X {} {}", self.method, quoted(&self.url))?;
        for (name, value) in &self.headers {
            write!(f, " \\\n  -H {}", quoted(&format!("{name}: {value}")))?;
        }
        match (&self.body, &self.file) {
            (_, Some(file)) => write!(f, " \\\n  --data-binary {}", quoted(&format!("@{file}"))),
            (Some(body), None) => write!(f, " \\\n  --data-binary {}", quoted(body)),
            (None, None) => Ok(()),
        }
    }
}

impl Common {
    fn target(&self) -> String {
        format!("{}{}", self.url.trim_end_matches('/'), self.path)
    }

    /// The path alone names the operation.
    fn route(&self, method: &str) -> Result<&'static Route, CliError> {
        let path = self.path.split('?').next().unwrap_or_default();
        let found = Route::find(method, path).map(|(route, _)| route);
        found.ok_or_else(|| CliError::Usage(format!("there is no {method} {path}; see /docs/")))
    }

    fn sign(&self, message: HttpMessage, context: &Context<'_>) -> Result<HttpMessage, CliError> {
        let life = HttpLife { created: clock::now().seconds(), seconds: self.expires };
        Ok(message.sign_for(&self.signer.load(context)?, life, &b64(&clock::random::<16>())))
    }
}

fn random_id() -> Result<Ident, CliError> {
    hex(&clock::random::<16>()).parse().map_err(CliError::fault)
}

fn bodiless(method: &'static str, common: Common, context: &mut Context<'_>) -> Result<(), CliError> {
    common.route(method)?;
    let mut message = HttpMessage::get(common.target());
    if method != "GET" {
        message.method = method.into();
        message.idempotency_key = Some(random_id()?.to_string());
    }
    let message = common.sign(message, context)?;
    Sending::new(method, common, message.headers(), None).say(context)
}

fn write(args: Write, context: &mut Context<'_>) -> Result<(), CliError> {
    let Write { common, body, id, consents, approving, jws, net } = args;
    let route = common.route("POST")?;
    if let Some(verb) = instead(route) {
        return Err(CliError::Usage(format!("{} takes statements of a form of its own: {verb}", route.path)));
    }
    let given = body;
    let body = context.text(&given)?;
    let id = id.map_or_else(random_id, Ok)?;
    let consents = consents.iter().map(|one| context.text(one)).collect::<Result<Vec<_>, _>>()?;
    for text in &consents {
        Jws::parse(text)?;
    }
    if jws || !approving.is_empty() {
        let kind =
            route.kind.ok_or_else(|| CliError::usage("this is no command of the log: sign it alone"))?;
        let claims = CommandClaims {
            aud: context.net(net)?,
            cid: id,
            kind: kind.command().into(),
            args: RawValue::from_string(body).map_err(|e| CliError::Usage(format!("--body: {e}")))?,
        };
        let approving = approving.iter().map(|one| one.load(context)).collect::<Result<Vec<_>, _>>()?;
        let key = common.signer.load(context)?;
        let signing = Signing { net: claims.aud, key: &key, approving: &approving };
        let mut signed = signing.request(Typ::Command, &encode(&claims))?;
        signed.jws.extend(consents);
        if jws {
            return say_request(&signed, context);
        }
        let kind = [("content-type", "application/jose".to_owned())];
        return Sending::new("POST", common, kind, Some(signed.jws.join("\n"))).say(context);
    }
    let (body, file) =
        if body.len() > LONGEST_WORD && !context.json { as_file(&given)? } else { (body, None) };
    let message = HttpMessage::post(common.target(), id.to_string(), body);
    let message = common.sign(message, context)?;
    let mut headers = message.headers();
    if !consents.is_empty() {
        headers.push(("tallyhouse-consents", consents.join(", ")));
    }
    Sending { file, ..Sending::new("POST", common, headers, message.body) }.say(context)
}

/// A body that is too long for a command line: the file's bytes as they are, which curl then sends, and its name.
fn as_file(given: &str) -> Result<(String, Option<String>), CliError> {
    let path = given.strip_prefix('@').ok_or_else(|| {
        let about = format!(
            "--body: longer than {LONGEST_WORD} bytes; write it into a file and name it, --body @FILE"
        );
        CliError::Usage(about)
    })?;
    Ok((read(Path::new(path))?, Some(path.to_owned())))
}

/// What makes a statement that this verb does not: where a signed request is not taken.
fn instead(route: &Route) -> Option<&'static str> {
    if route.carrier != Carrier::Statement {
        return None;
    }
    Some(match route.kind {
        Some(Kind::KeyCertified) => {
            "`tallyhouse keys certify … | curl -sS -H 'content-type: application/jose' --data-binary @- URL/v1/keys`"
        }
        Some(Kind::BudgetSet) => {
            "`tallyhouse keys budget … | curl -sS -H 'content-type: application/jose' --data-binary @- URL/v1/budgets`"
        }
        Some(Kind::PointsIssued) => "`tallyhouse token sign`; or sign POST /v1/awards",
        Some(_) => {
            "`tallyhouse import`; or lines of `tallyhouse token sign --json`, without Tallyhouse-Batch"
        }
        None => "a line each of `tallyhouse sign POST /v1/payments … --jws --json`",
    })
}

fn approval(args: &Approve, context: &mut Context<'_>) -> Result<(), CliError> {
    let digest = Jws::parse(&context.text(&args.statement)?)?.identity();
    let claims = Approval { aud: context.net(args.net)?, digest, iat: None };
    let key = args.signer.load(context)?;
    say_request(&Signed { jws: vec![sign(&key, Typ::Approval, &encode(&claims))] }, context)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tallyhouse;
    use super::*;
    use crate::machine::{Body, Command, Request};
    use crate::sign::{HttpFields, PaymentConsent, Verifier};

    pub(super) const NET: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

    pub(super) fn json(data: &Path, arguments: &[&str]) -> serde_json::Value {
        let all = ["tallyhouse", "--json", "--data"].map(Into::into).into_iter().chain([data.into()]);
        let (mut out, mut err) = (vec![], vec![]);
        let all = all.chain(arguments.iter().map(Into::into));
        let exit = super::super::execute(all, &mut std::io::empty(), &mut out, &mut err);
        assert_eq!((exit, String::from_utf8_lossy(&err).as_ref()), (Exit::Ok, ""), "{arguments:?}");
        serde_json::from_slice(&out).expect("JSON")
    }

    fn keys(names: &[&str]) -> (tempfile::TempDir, Vec<SecretKey>) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = KeyFolder::at(dir.path());
        let make = |name: &&str| {
            let (owner, name) = name.split_once('/').expect("two parts");
            folder.create(&owner.parse().expect("an owner"), &name.parse().expect("a name")).expect("a key")
        };
        let made = names.iter().map(make).collect();
        (dir, made)
    }

    #[test]
    fn what_is_printed_is_what_the_service_verifies() {
        let (dir, keys) = keys(&["br_a/till-1"]);
        let line =
            ["sign", "POST", "/v1/captures?dry_run=true", "--as", "br_a/till-1", "--url", "http://h:1/"];
        let more = ["--body", r#"{"x":"it's"}"#, "--expires", "60", "--header", "Prefer: return=proof"];
        let sent = json(dir.path(), &[&line[..], &more[..]].concat());
        let field = |name: &str| sent["headers"][name].as_str();
        let fields = HttpFields {
            method: sent["method"].as_str().expect("a method"),
            target_uri: "http://h:1/v1/captures?dry_run=true",
            content_type: field("content-type"),
            content_digest: field("content-digest"),
            idempotency_key: field("idempotency-key"),
            authorization: None,
            signature_input: field("signature-input").expect("signed"),
            signature: field("signature").expect("signed"),
            body: sent["body"].as_str().expect("a body").as_bytes(),
        };
        let read = fields.read().expect("well formed");
        assert_eq!(read.verify(&keys[0].public()), Ok(()));
        assert_eq!((read.expires() - read.created(), field("prefer")), (60, Some("return=proof")));
        assert_eq!(sent["url"], "http://h:1/v1/captures?dry_run=true");
    }

    #[test]
    fn a_long_body_is_sent_out_of_its_file_byte_for_byte() {
        let (dir, _) = keys(&["br_a/root"]);
        let file = dir.path().join("scan.json");
        let long = format!("{{\"content\":\"{}\"}}\n", "x".repeat(LONGEST_WORD));
        std::fs::write(&file, &long).expect("written");
        let line = format!("sign POST /v1/documents/dsp_9.0 --as br_a/root --body @{}", file.display());
        let (exit, said, err) = tallyhouse(dir.path(), &line, "");
        assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
        assert!(said.contains(&format!("--data-binary '@{}'", file.display())), "{said}");
        assert!(said.contains(&crate::sign::content_digest(long.as_bytes())) && said.len() < 2_000, "{said}");
        let (exit, _, err) =
            tallyhouse(dir.path(), "sign POST /v1/documents/dsp_9.0 --as br_a/root --body -", &long);
        assert!(exit == Exit::Usage && err.contains("--body @FILE"), "{err}");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let body = "it's \"$HOME\" `id`\n\\n";
        let mut shell = std::process::Command::new("sh");
        let said = shell.arg("-c").arg(format!("printf %s {}", quoted(body))).output().expect("a shell");
        assert_eq!(said.stdout, body.as_bytes());
    }

    #[test]
    fn statements_with_approvals_and_approvals_of_statements() {
        let (dir, keys) = keys(&["operator/root-1", "operator/root-2"]);
        let line = ["sign", "POST", "/v1/participants", "--as", "operator/root-1", "--net", NET, "--body"];
        let body = r#"{"participant":"pa_a","currency":"EUR"}"#;
        let more = [body, "--approve", "operator/root-2"];
        let sent = json(dir.path(), &[&line[..], &more[..]].concat());
        assert_eq!(sent["headers"]["content-type"], "application/jose");
        let request = crate::machine::Request::of(
            sent["body"].as_str().expect("a body").lines().map(str::to_owned).collect(),
        );
        let find = |kid| keys.iter().map(|key| Verifier::new(&key.public())).find(|key| key.kid() == kid);
        let command = crate::machine::Command::read(&request, net(NET).expect("an id"), &find);
        assert_eq!(command.expect("a command").asked.signers().len(), 2);
        let alone = json(dir.path(), &[&line[..], &[body, "--jws"]].concat());
        let statement = alone["jws"][0].as_str().expect("a statement");
        let more = ["sign", "approval", statement, "--as", "operator/root-2", "--net", NET];
        let approval = json(dir.path(), &more);
        let approval = Jws::parse(approval["jws"][0].as_str().expect("a statement")).expect("well formed");
        let claims: Approval = approval.payload().expect("an approval");
        assert_eq!(claims.digest, Jws::parse(statement).expect("well formed").identity());
        assert_eq!(approval.verify(&keys[1].public()), Ok(()));
    }

    #[test]
    fn a_payment_as_statements_carries_its_consents() {
        let (dir, keys) = keys(&["br_a/till-1", "br_a/holder"]);
        let consent = PaymentConsent {
            offer: None,
            aud: net(NET).expect("an id"),
            jti: "c-1".parse().expect("an id"),
            account: "ac_0123456789abcdefghjkmnpqrs".parse().expect("an account"),
            payee: "br_a".parse().expect("a brand"),
            payment: "p-1".parse().expect("an id"),
            till: None,
            amount: crate::types::Money::new(5).expect("money"),
            currency: "EUR".parse().expect("a currency"),
            points: crate::types::Points::new(5).expect("points"),
            deadline: 2,
            iat: None,
            exp: 1,
        };
        let consent = sign(&keys[1], Typ::PaymentConsent, &encode(&consent));
        let line =
            ["sign", "POST", "/v1/payments", "--as", "br_a/till-1", "--net", NET, "--id", "p-1", "--jws"];
        let body = r#"{"amount":5,"currency":"EUR","deadline":2}"#;
        let printed = json(dir.path(), &[&line[..], &["--body", body, "--consent", &consent]].concat());
        let jws: Vec<String> = serde_json::from_value(printed["jws"].clone()).expect("statements");
        assert_eq!(jws[1..], [consent]);
        let find = |kid| keys.iter().map(|key| Verifier::new(&key.public())).find(|key| key.kid() == kid);
        let command = Command::read(&Request::of(jws), net(NET).expect("an id"), &find).expect("a command");
        let Body::Authorise(_, consents) = &command.body else { panic!("{:?}", command.body) };
        assert_eq!(consents.len(), 1);
    }

    #[test]
    fn wrong_lines_are_said_before_anything_is_signed() {
        let (dir, _) = keys(&["br_a/root"]);
        for line in [
            "sign GET /v1/nothing --as br_a/root",
            "sign GET /v1/me --as br_a",
            "sign GET /v1/me --as br_a/other",
            "sign GET /v1/me --as br_a/root --expires 301",
            "sign GET /v1/me --as br_a/root --header x",
            "sign POST /v1/api-keys --as br_a/root --jws",
            "sign PUT /v1/me --as br_a/root",
        ] {
            assert_eq!(tallyhouse(dir.path(), line, "").0, Exit::Usage, "{line}");
        }
        // Where another verb makes the statement, it is named.
        for (path, verb) in [
            ("/v1/keys", "keys certify"),
            ("/v1/budgets", "keys budget"),
            ("/v1/tokens", "token sign"),
            ("/v1/awards:batch", "import"),
            ("/v1/payments:batch", "sign POST /v1/payments"),
        ] {
            let (exit, _, err) = tallyhouse(dir.path(), &format!("sign POST {path} --as br_a/root"), "");
            assert_eq!(exit, Exit::Usage, "{path}");
            assert!(err.contains(&format!("tallyhouse {verb}")), "{path}: {err}");
        }
    }
}
