//! `claw-back`: what to sign so that an award's points are taken back.
//!
//! Owns: finding the award's own text in the log.
//! Promises: what is printed names that award and no other, and can be taken in; nothing is signed or sent from here.
//! Refuses to know: how many of the points are left.

use super::context::{CliError, Context, Exit};
use super::folder::Folder;
use crate::book::{Name, Record};
use crate::log::{Envelope, Slot};
use crate::machine::{self, Kind, Stored};
use crate::points::ClawBack;
use crate::sign::{Award, AwardOrder, Jws, PointToken, read_object};
use crate::store::StoredPart;
use crate::types::{AccountId, Ident, Month, Points};

/// Options of `claw-back`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse claw-back 42 --reason error | tallyhouse sign POST /v1/awards/claw-backs --as br_harvest/issuing --body - | sh
  tallyhouse claw-back 42 --line 7 --points 120 --reason returned
  tallyhouse claw-back 42 --till t-9 --reason returned          a till awarded it, and its text does not name that

What is printed are the arguments: the award's own text, as it stands in the log, and what shall be taken back of it. The
brand whose key awarded the points signs them with an issuing key. Spent points stay spent: the entry says how many were
taken.

An award is known again by its receipt's number (`ref`), or as a token by its id. One that has neither cannot be taken
back: its holder may pay the points in at one of the brand's tills. Give each award a ref.")]
pub struct Args {
    /// The entry that took the award in
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// The line of a batch, from 1
    #[arg(long)]
    line: Option<usize>,
    /// How many points, in the unit's smallest; all of them if left out
    #[arg(long)]
    points: Option<u64>,
    /// The till, if a till awarded the points and the award does not name it
    #[arg(long)]
    till: Option<Ident>,
    /// A code for why, such as `returned` or `error`
    #[arg(long)]
    reason: Ident,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let stored = folder.read.read_envelopes(args.seq, 1)?.into_iter().next();
    let stored = stored.ok_or_else(|| CliError::usage(format!("there is no entry {}", args.seq)))?;
    let envelope = Envelope::decode(&stored.bytes).map_err(CliError::fault)?;
    let text = text(&args, &folder, &envelope)?;
    let account = sub(&text).ok_or_else(|| CliError::usage(format!("entry {} is no award", args.seq)))?;
    if !is_known_again(&text) {
        return Err(CliError::Refused(format!(
            "the award in entry {} has no receipt's number (`ref`) and is no token: nothing tells it from another of the \
             same text, so it cannot be taken back (award_unknown). Its holder may pay the points in at one of the brand's \
             tills; give each award a ref from now on",
            args.seq
        )));
    }
    let points = match args.points.map(Points::new) {
        Some(None) => return Err(CliError::usage("--points: too many")),
        some => some.flatten(),
    };
    // An award that does not say its day is of the day on which it was taken in.
    let month = month(&folder, account, &envelope)?;
    let back = ClawBack { award: text, till: args.till, month: Some(month), points, reason: args.reason };
    context.say_json(&back)?;
    Ok(Exit::Ok)
}

/// The award's text.
fn text(args: &Args, folder: &Folder, envelope: &Envelope) -> Result<String, CliError> {
    let kind: Kind = envelope.kind.parse().map_err(CliError::fault)?;
    let slots = folder.read.read_parts(args.seq)?.into_iter().map(|part| match part {
        StoredPart::Whole(bytes) => Slot::Whole(bytes),
        StoredPart::Erased(leaf) => Slot::Erased(leaf),
    });
    let slots: Vec<Slot> = slots.collect();
    let gone = || CliError::usage(format!("entry {}: no such award, or its text was erased", args.seq));
    let request = machine::request(Stored { envelope, parts: &slots }, kind).map_err(CliError::fault)?;
    match (kind, args.line) {
        (Kind::PointsIssued, None) => match (request.http, request.jws.into_iter().next()) {
            (Some(message), _) => message.body.ok_or_else(gone),
            (None, token) => token.ok_or_else(gone),
        },
        (Kind::PointsBatch, Some(line)) => {
            let lines = request.lines.ok_or_else(gone)?;
            let mut lines =
                lines.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
            line.checked_sub(1).and_then(|at| lines.nth(at)).filter(|line| !line.is_empty()).ok_or_else(gone)
        }
        (Kind::PointsBatch, None) => {
            Err(CliError::usage(format!("entry {} is a batch: name a --line", args.seq)))
        }
        _ => Err(gone()),
    }
}

/// The account that the award gave points to.
fn sub(text: &str) -> Option<AccountId> {
    let line = read_object::<Award>(text.as_bytes()).map(|award| award.sub);
    let order = || read_object::<AwardOrder>(text.as_bytes()).map(|order| order.sub);
    let token = || Jws::parse(text).and_then(|jws| jws.payload::<PointToken>()).map(|token| token.sub);
    line.or_else(|_| order()).or_else(|_| token()).ok()
}

/// Whether the log keeps under which name the award was taken in: by its receipt's number, or by the id of a token.
fn is_known_again(text: &str) -> bool {
    let line = read_object::<Award>(text.as_bytes()).map(|award| award.reference.is_some());
    let order = || read_object::<AwardOrder>(text.as_bytes()).map(|order| order.reference.is_some());
    line.or_else(|_| order()).unwrap_or(true)
}

/// The month of the entry, on the account's own calendar.
fn month(folder: &Folder, account: AccountId, envelope: &Envelope) -> Result<Month, CliError> {
    let name = Name::Account(account);
    let loaded = folder.read.load(&[name.to_string()])?;
    let record = loaded.rows.first().map(|row| Record::decode(&name, &row.value)).transpose();
    let record = record.map_err(CliError::fault)?;
    let head = record.as_ref().and_then(Record::account).map(|account| account.head.offset);
    let offset = head.ok_or_else(|| CliError::usage(format!("{account} is no account")))?;
    Ok(envelope.at.date(offset).month())
}
