//! Commands: read from their evidence, never stored beside it.
//!
//! Reading checks form, audience and every signature. Which key may sign what, and whether it counts
//! at this time, is the decision's business.

use super::http::{Read, read_http};
use super::kind::Kind;
use crate::clearing::{
    AcceptStatement, AnswerObjection, AssignLine, CallMargin, ClaimDue, ClosePeriod, ComputeCycle,
    ConfirmDetails, ConfirmDue, FileComplaint, FileDispute, FileObjection, ImportStatement, MoveComplaint,
    MoveCover, MoveCycle, MoveDispute, MoveInstruction, RejectStatement, SealCycle, SetDetails, SetFunding,
    SetNetting, SetOffCycle, SetReserve, SetSchedule,
};
use crate::network::{
    Asked, DefineUnit, EraseEvidence, FreezeAccount, FreezeBrand, FreezeNetwork, FreezeUnit, OpenAccount,
    RegisterBrand, RegisterParticipant, RevokeKey, SetTier,
};
use crate::payments::{
    AgreeExchange, Authorise, CancelOffer, Capture, Code, Consent, Given, MakeOffer, OpenConsent, Refund,
    Void,
};
use crate::points::{Batch, ClawBack, Lines};
use crate::prices::{PublishAcceptance, PublishBreakage, PublishFees, PublishPrices, PublishTax};
use crate::sign::{
    Approval, CommandClaims, HttpMessage, HttpSigned, Jws, KeyBudget, KeyCert, PaymentConsent, PointBatch,
    PointToken, PublicKey, SpendCode, Typ, Verifier, object, read_body,
};
use crate::types::{Fingerprint, Hash, Ident, Kid, Refusal, Refused, Time, b64};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Most statements of a request: a command, a consent for each of 16 units, and approvals.
const MOST_STATEMENTS: usize = 32;
/// Most bytes of statements where they stand in the envelope, which has 64 KiB for them and the effects.
const MOST_PUBLIC: usize = 32 * 1024;

/// What arrives, in one of two carriers: the command's JWS first, then approvals and consents, for a batch its
/// lines as well; or a signed HTTP message, and as JWS what holders consent to.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Compact JWS.
    pub jws: Vec<String>,
    /// NDJSON lines of a batch.
    pub lines: Option<Arc<[u8]>>,
    /// The command itself, if it came as a signed HTTP message.
    pub http: Option<HttpMessage>,
}

impl Request {
    /// A request of statements alone.
    pub fn of(jws: Vec<String>) -> Self {
        Self { jws, ..Self::default() }
    }

    /// A signed HTTP message, with the consents of a payment.
    pub fn signed(http: HttpMessage, consents: Vec<String>) -> Self {
        Self { jws: consents, lines: None, http: Some(http) }
    }
}

/// What is asked for.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Body {
    RegisterParticipant(RegisterParticipant),
    RegisterBrand(RegisterBrand),
    Certify(KeyCert),
    Revoke(RevokeKey),
    RevokeAccountKey(RevokeKey),
    SetBudget(KeyBudget),
    DefineUnit(DefineUnit),
    PublishPrices(PublishPrices),
    PublishAcceptance(PublishAcceptance),
    PublishBreakage(PublishBreakage),
    PublishFees(Box<PublishFees>),
    PublishTax(PublishTax),
    FreezeNetwork(FreezeNetwork),
    EraseEvidence(EraseEvidence),
    FreezeBrand(FreezeBrand),
    FreezeUnit(FreezeUnit),
    FreezeAccount(FreezeAccount),
    SetTier(SetTier),
    OpenAccount(OpenAccount),
    Issue(Box<PointToken>),
    Batch(Box<Batch>),
    ClawBack(ClawBack),
    OpenConsent(OpenConsent, Option<Code>),
    Authorise(Authorise, Vec<Consent>),
    Capture(Capture),
    Void(Void),
    Refund(Refund),
    MakeOffer(MakeOffer),
    CancelOffer(CancelOffer),
    Exchange(AgreeExchange),
    SealCycle(SealCycle),
    ComputeCycle(ComputeCycle),
    MoveCycle(MoveCycle),
    FileObjection(FileObjection),
    AnswerObjection(AnswerObjection),
    ImportStatement(ImportStatement),
    AcceptStatement(AcceptStatement),
    RejectStatement(RejectStatement),
    AssignLine(AssignLine),
    MoveInstruction(MoveInstruction),
    SetFunding(SetFunding),
    SetReserve(SetReserve),
    MoveCover(MoveCover),
    CallMargin(CallMargin),
    SetDetails(SetDetails),
    ConfirmDetails(ConfirmDetails),
    SetSchedule(SetSchedule),
    SetNetting(SetNetting),
    SetOffCycle(SetOffCycle),
    ConfirmDue(ConfirmDue),
    ClaimDue(ClaimDue),
    ClosePeriod(ClosePeriod),
    FileDispute(FileDispute),
    MoveDispute(MoveDispute),
    FileComplaint(FileComplaint),
    MoveComplaint(MoveComplaint),
}

impl Body {
    /// The kind of entry that it makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::RegisterParticipant(_) => Kind::ParticipantRegistered,
            Self::RegisterBrand(_) => Kind::BrandRegistered,
            Self::Certify(_) => Kind::KeyCertified,
            Self::Revoke(_) => Kind::KeyRevoked,
            Self::RevokeAccountKey(_) => Kind::AccountKeyRevoked,
            Self::SetBudget(_) => Kind::BudgetSet,
            Self::DefineUnit(_) => Kind::UnitDefined,
            Self::PublishPrices(_) => Kind::PricesPublished,
            Self::PublishAcceptance(_) => Kind::AcceptancePublished,
            Self::PublishBreakage(_) => Kind::BreakagePublished,
            Self::PublishFees(_) => Kind::FeesPublished,
            Self::PublishTax(_) => Kind::TaxPublished,
            Self::FreezeNetwork(_) => Kind::NetworkFrozen,
            Self::EraseEvidence(_) => Kind::EvidenceErased,
            Self::FreezeBrand(_) => Kind::BrandFrozen,
            Self::FreezeUnit(_) => Kind::UnitFrozen,
            Self::FreezeAccount(_) => Kind::AccountFrozen,
            Self::SetTier(_) => Kind::AccountTierSet,
            Self::OpenAccount(_) => Kind::AccountOpened,
            Self::Issue(_) => Kind::PointsIssued,
            Self::Batch(_) => Kind::PointsBatch,
            Self::ClawBack(_) => Kind::PointsClawedBack,
            Self::OpenConsent(..) => Kind::ConsentOpened,
            Self::Authorise(..) => Kind::PaymentAuthorised,
            Self::Capture(_) => Kind::PaymentCaptured,
            Self::Void(_) => Kind::PaymentVoided,
            Self::Refund(_) => Kind::PaymentRefunded,
            Self::MakeOffer(_) => Kind::OfferMade,
            Self::CancelOffer(_) => Kind::OfferCancelled,
            Self::Exchange(_) => Kind::ExchangeMade,
            Self::SealCycle(_) => Kind::CycleSealed,
            Self::ComputeCycle(_) => Kind::CycleComputed,
            Self::MoveCycle(_) => Kind::CycleMoved,
            Self::FileObjection(_) => Kind::ObjectionFiled,
            Self::AnswerObjection(_) => Kind::ObjectionAnswered,
            Self::ImportStatement(_) => Kind::StatementImported,
            Self::AcceptStatement(_) => Kind::StatementAccepted,
            Self::RejectStatement(_) => Kind::StatementRejected,
            Self::AssignLine(_) => Kind::LineAssigned,
            Self::MoveInstruction(_) => Kind::InstructionMoved,
            Self::SetFunding(_) => Kind::FundingSet,
            Self::SetReserve(_) => Kind::ReserveSet,
            Self::MoveCover(_) => Kind::CoverMoved,
            Self::CallMargin(_) => Kind::MarginCalled,
            Self::SetDetails(_) => Kind::DetailsSet,
            Self::ConfirmDetails(_) => Kind::DetailsConfirmed,
            Self::SetSchedule(_) => Kind::ScheduleSet,
            Self::SetNetting(_) => Kind::NettingSet,
            Self::SetOffCycle(_) => Kind::CycleSetOff,
            Self::ConfirmDue(_) => Kind::DueConfirmed,
            Self::ClaimDue(_) => Kind::DueClaimed,
            Self::ClosePeriod(_) => Kind::PeriodClosed,
            Self::FileDispute(_) => Kind::DisputeFiled,
            Self::MoveDispute(_) => Kind::DisputeMoved,
            Self::FileComplaint(_) => Kind::ComplaintFiled,
            Self::MoveComplaint(_) => Kind::ComplaintMoved,
        }
    }

    /// Whether approvals may come along. Where they mean nothing they are refused, so that an entry of
    /// such a kind has a known number of statements.
    fn takes_approvals(&self) -> bool {
        let points = matches!(self, Self::Issue(_) | Self::Batch(_) | Self::ClawBack(_));
        let payment =
            matches!(self, Self::Authorise(..) | Self::Capture(_) | Self::Void(_) | Self::Refund(_));
        let offer = matches!(self, Self::MakeOffer(_) | Self::CancelOffer(_));
        !(points || payment || offer || matches!(self, Self::OpenConsent(..)))
    }

    /// Takes a holder's statement in that belongs to the command.
    fn take(&mut self, jws: &Jws, net: Hash) -> Result<(), Refused> {
        match (jws.typ(), self) {
            (Typ::PaymentConsent, Self::Authorise(_, consents)) => {
                let claims: PaymentConsent = jws.payload()?;
                audience(claims.aud, net)?;
                consents.push(given(jws, claims));
                Ok(())
            }
            (Typ::SpendCode, Self::OpenConsent(_, code @ None)) => {
                let claims: SpendCode = jws.payload()?;
                audience(claims.aud, net)?;
                *code = Some(given(jws, claims));
                Ok(())
            }
            (typ, _) => Err(Refused::about(Refusal::TokenType, typ)),
        }
    }

    /// Keys that the statement itself carries: it is signed by keys that nobody registered yet.
    pub(super) fn own_keys(&self) -> Vec<PublicKey> {
        match self {
            Self::RegisterBrand(args) => std::iter::once(args.root).chain(args.recovery).collect(),
            Self::Certify(cert) => vec![cert.key],
            Self::OpenAccount(args) => vec![args.key],
            _ => vec![],
        }
    }
}

/// A command whose evidence verified.
#[derive(Debug)]
pub struct Command {
    /// Who asks.
    pub asked: Asked,
    /// What for.
    pub body: Body,
    /// The evidence, in the order of its parts; behind the signed HTTP message if there is one.
    pub jws: Vec<Jws>,
    /// The command itself, if it came as a signed HTTP message.
    pub http: Option<Box<HttpSigned>>,
}

/// A command that was signed, or sent, as a dry run: to be decided and never committed. There is no way from
/// here to a [`Command`] of one's own, which is what the writer takes.
#[derive(Debug)]
pub struct DryRun(Command);

impl DryRun {
    /// Reads and checks a request as [`Command::read`] does, but takes what was signed for a dry run too.
    pub fn read(request: &Request, net: Hash, keys: Keys) -> Result<Self, Refused> {
        let (command, _) = Command::read_either(request, net)?;
        command.verify(keys)?;
        Ok(Self(command))
    }

    /// The command, to decide it.
    pub fn command(&self) -> &Command {
        &self.0
    }
}

/// Looks a public key up by its id; what it answers needs no trust, since an id is the key's own hash.
pub(super) type Keys<'a> = &'a dyn Fn(Kid) -> Option<Verifier>;

impl Command {
    /// Reads and checks a request. `net` is this network's id.
    pub fn read(request: &Request, net: Hash, keys: Keys) -> Result<Self, Refused> {
        let command = Self::read_unsigned(request, net)?;
        command.verify(keys)?;
        Ok(command)
    }

    /// Verifies every signature.
    fn verify(&self, keys: Keys) -> Result<(), Refused> {
        verify(&self.jws, self.http.as_deref(), &self.body.own_keys(), keys)
    }

    /// The keys that signed, in the order of the evidence.
    pub fn kids(&self) -> impl Iterator<Item = Kid> + '_ {
        self.http.iter().map(|http| http.kid()).chain(self.jws.iter().map(Jws::kid))
    }

    /// Whether the command may be taken at this instant of the wall clock: for whoever receives it. Statements
    /// bring their own limits of time, which are judged when they are decided; an HTTP signature counts for
    /// minutes.
    pub fn fresh(&self, now: Time) -> Result<(), Refused> {
        self.http.as_ref().map_or(Ok(()), |http| http.fresh(now.seconds()))
    }

    /// Whether who asks brought their own key along: anybody can make one up.
    pub fn is_by_own_key(&self) -> bool {
        self.body.own_keys().iter().any(|key| key.kid() == self.asked.kid)
    }

    /// The keys that signed and that the statement does not bring itself: each must be registered.
    pub(super) fn foreign_keys(&self) -> Vec<Kid> {
        let own: Vec<Kid> = self.body.own_keys().iter().map(PublicKey::kid).collect();
        self.kids().filter(|kid| !own.contains(kid)).collect()
    }

    /// Reads a request without verifying its signatures: to measure, never to decide.
    pub fn read_unsigned(request: &Request, net: Hash) -> Result<Self, Refused> {
        match Self::read_either(request, net)? {
            (command, false) => Ok(command),
            (_, true) => {
                let about = "signed with dry_run=true: to be tried, not done";
                Err(Refused::about(Refusal::EvidenceMismatch, about))
            }
        }
    }

    /// The command, and whether it was signed for a dry run.
    fn read_either(request: &Request, net: Hash) -> Result<(Self, bool), Refused> {
        if request.jws.len() > MOST_STATEMENTS {
            return Err(Refused::about(Refusal::TooLarge, format!("at most {MOST_STATEMENTS} statements")));
        }
        let jws = request.jws.iter().map(|text| Jws::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(message) = &request.http {
            return Self::of_message(message.clone(), jws, request.lines.is_some(), net);
        }
        let Some((first, others)) = jws.split_first() else {
            return Err(Refused::about(Refusal::EvidenceMissing, "no token"));
        };
        let lines = request.lines.clone().map(Lines::split);
        let (mut body, cid) = read_first(first, net, lines)?;
        let mut approvals = vec![];
        for other in others {
            match (other.typ(), &mut body) {
                (Typ::Approval, _) if approvals.contains(&other.kid()) => {
                    return Err(Refused::about(Refusal::EvidenceMismatch, "two approvals by one key"));
                }
                (Typ::Approval, body) if body.takes_approvals() => {
                    approvals.push(read_approval(other, first, net)?)
                }
                (_, body) => body.take(other, net)?,
            }
        }
        let bytes = request.jws.iter().fold(0usize, |sum, text| sum.saturating_add(text.len()));
        if body.kind().is_public() && bytes > MOST_PUBLIC {
            return Err(Refused::about(
                Refusal::TooLarge,
                format!("at most {MOST_PUBLIC} bytes of statements"),
            ));
        }
        let fingerprint = Fingerprint::of(&first.identity().0);
        let asked = Asked { kid: first.kid(), approvals, cid, fingerprint };
        Ok((Self { asked, body, jws, http: None }, false))
    }

    /// A command as a signed HTTP message. Beside it stand consents or a code and nothing else: an approval is of a
    /// statement, which can be handed on.
    fn of_message(
        message: HttpMessage,
        jws: Vec<Jws>,
        lines: bool,
        net: Hash,
    ) -> Result<(Self, bool), Refused> {
        let signed = HttpSigned::parse(message)?;
        if lines {
            return Err(Refused::about(Refusal::EvidenceMismatch, "lines come with a batch, which is a JWS"));
        }
        let Read { mut body, cid, fingerprint, dry_run } = read_http(&signed, net)?;
        for statement in &jws {
            body.take(statement, net)?;
        }
        let asked = Asked { kid: signed.kid(), approvals: vec![], cid, fingerprint };
        Ok((Self { asked, body, jws, http: Some(Box::new(signed)) }, dry_run))
    }
}

/// Verifies what was signed, each under the key that it names: one of `own`, or one that `keys` knows.
pub(super) fn verify(
    statements: &[Jws],
    http: Option<&HttpSigned>,
    own: &[PublicKey],
    keys: Keys,
) -> Result<(), Refused> {
    let find = |kid: Kid| {
        let key = own.iter().find(|key| key.kid() == kid).map(Verifier::new).or_else(|| keys(kid));
        key.ok_or_else(|| Refused::about(Refusal::KeyUnknown, kid))
    };
    if let Some(one) = http {
        one.verify_with(&find(one.kid())?)?;
    }
    statements.iter().try_for_each(|one| one.verify_with(&find(one.kid())?))
}

pub(super) fn audience(aud: Hash, net: Hash) -> Result<(), Refused> {
    if aud == net { Ok(()) } else { Err(Refused::about(Refusal::AudienceMismatch, aud)) }
}

pub(super) fn read_approval(approval: &Jws, of: &Jws, net: Hash) -> Result<Kid, Refused> {
    let claims: Approval = approval.payload()?;
    audience(claims.aud, net)?;
    if claims.digest == of.identity() {
        Ok(approval.kid())
    } else {
        Err(Refused::about(Refusal::EvidenceMismatch, "an approval of something else"))
    }
}

pub(super) fn given<T>(jws: &Jws, claims: T) -> Given<T> {
    Given { kid: jws.kid(), fingerprint: Fingerprint::of(&jws.identity().0), claims }
}

/// The statement itself, and its command id. A certificate or budget is its own id.
pub(super) fn read_first(
    jws: &Jws,
    net: Hash,
    lines: Option<Lines>,
) -> Result<(Body, Option<Ident>), Refused> {
    if lines.is_some() != (jws.typ() == Typ::PointBatch) {
        return Err(Refused::about(
            Refusal::EvidenceMismatch,
            "lines come with a batch, and a batch with lines",
        ));
    }
    let own_id = || b64(&jws.identity().0).parse::<Ident>().ok();
    match jws.typ() {
        Typ::PointToken => {
            let claims: PointToken = jws.payload()?;
            audience(claims.aud, net)?;
            Ok((Body::Issue(Box::new(claims)), None))
        }
        Typ::PointBatch => {
            let claims: PointBatch = jws.payload()?;
            audience(claims.aud, net)?;
            Ok((Body::Batch(Box::new(Batch::check(claims, lines.unwrap_or_default())?)), None))
        }
        Typ::KeyCert => {
            let claims: KeyCert = jws.payload()?;
            audience(claims.aud, net)?;
            Ok((Body::Certify(claims), own_id()))
        }
        Typ::KeyBudget => {
            let claims: KeyBudget = jws.payload()?;
            audience(claims.aud, net)?;
            Ok((Body::SetBudget(claims), own_id()))
        }
        Typ::Command => {
            let claims: CommandClaims = jws.payload()?;
            audience(claims.aud, net)?;
            Ok((read_command(&claims)?, Some(claims.cid)))
        }
        typ => Err(Refused::about(Refusal::TokenType, format!("{typ} does not stand alone"))),
    }
}

/// Where the arguments of a command stand.
#[derive(Clone, Copy)]
pub(super) enum Args<'a> {
    /// In a statement, which was held to the grammar as a whole.
    Claims(&'a CommandClaims),
    /// In the body of a signed request.
    Body(&'a str),
}

impl Args<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, Refused> {
        let claims = match self {
            Self::Claims(claims) => claims,
            Self::Body(text) => return read_body(text),
        };
        let mut json = serde_json::Deserializer::from_str(claims.args.get());
        object(&mut json)
            .and_then(|args| json.end().map(|()| args))
            .map_err(|e| Refused::about(Refusal::TokenPayload, format!("args of {}: {e}", claims.kind)))
    }
}

fn read_command(claims: &CommandClaims) -> Result<Body, Refused> {
    let kind = Kind::ALL.iter().find(|kind| !kind.command().is_empty() && kind.command() == claims.kind);
    let no_command =
        || Refused::about(Refusal::TokenPayload, format!("kind {:?} is not a command", claims.kind));
    read_args(*kind.ok_or_else(no_command)?, Args::Claims(claims))
}

/// The command that makes an entry of this kind, with its arguments.
pub(super) fn read_args(kind: Kind, args: Args) -> Result<Body, Refused> {
    Ok(match kind {
        Kind::ParticipantRegistered => Body::RegisterParticipant(args.read()?),
        Kind::BrandRegistered => Body::RegisterBrand(args.read()?),
        Kind::KeyRevoked => Body::Revoke(args.read()?),
        Kind::AccountKeyRevoked => Body::RevokeAccountKey(args.read()?),
        Kind::UnitDefined => Body::DefineUnit(args.read()?),
        Kind::PricesPublished => Body::PublishPrices(args.read()?),
        Kind::AcceptancePublished => Body::PublishAcceptance(args.read()?),
        Kind::BreakagePublished => Body::PublishBreakage(args.read()?),
        Kind::FeesPublished => Body::PublishFees(args.read()?),
        Kind::TaxPublished => Body::PublishTax(args.read()?),
        Kind::NetworkFrozen => Body::FreezeNetwork(args.read()?),
        Kind::EvidenceErased => Body::EraseEvidence(args.read()?),
        Kind::BrandFrozen => Body::FreezeBrand(args.read()?),
        Kind::UnitFrozen => Body::FreezeUnit(args.read()?),
        Kind::AccountFrozen => Body::FreezeAccount(args.read()?),
        Kind::AccountTierSet => Body::SetTier(args.read()?),
        Kind::AccountOpened => Body::OpenAccount(args.read()?),
        Kind::PointsClawedBack => Body::ClawBack(args.read()?),
        Kind::ConsentOpened => Body::OpenConsent(args.read()?, None),
        Kind::PaymentAuthorised => Body::Authorise(args.read()?, vec![]),
        Kind::PaymentCaptured => Body::Capture(args.read()?),
        Kind::PaymentVoided => Body::Void(args.read()?),
        Kind::PaymentRefunded => Body::Refund(args.read()?),
        Kind::OfferMade => Body::MakeOffer(args.read()?),
        Kind::OfferCancelled => Body::CancelOffer(args.read()?),
        Kind::ExchangeMade => Body::Exchange(args.read()?),
        Kind::CycleSealed => Body::SealCycle(args.read()?),
        Kind::CycleComputed => Body::ComputeCycle(args.read()?),
        Kind::CycleMoved => Body::MoveCycle(args.read()?),
        Kind::ObjectionFiled => Body::FileObjection(args.read()?),
        Kind::ObjectionAnswered => Body::AnswerObjection(args.read()?),
        Kind::StatementImported => Body::ImportStatement(args.read()?),
        Kind::StatementAccepted => Body::AcceptStatement(args.read()?),
        Kind::StatementRejected => Body::RejectStatement(args.read()?),
        Kind::LineAssigned => Body::AssignLine(args.read()?),
        Kind::InstructionMoved => Body::MoveInstruction(args.read()?),
        Kind::FundingSet => Body::SetFunding(args.read()?),
        Kind::ReserveSet => Body::SetReserve(args.read()?),
        Kind::CoverMoved => Body::MoveCover(args.read()?),
        Kind::MarginCalled => Body::CallMargin(args.read()?),
        Kind::DetailsSet => Body::SetDetails(args.read()?),
        Kind::DetailsConfirmed => Body::ConfirmDetails(args.read()?),
        Kind::ScheduleSet => Body::SetSchedule(args.read()?),
        Kind::NettingSet => Body::SetNetting(args.read()?),
        Kind::CycleSetOff => Body::SetOffCycle(args.read()?),
        Kind::DueConfirmed => Body::ConfirmDue(args.read()?),
        Kind::DueClaimed => Body::ClaimDue(args.read()?),
        Kind::PeriodClosed => Body::ClosePeriod(args.read()?),
        Kind::DisputeFiled => Body::FileDispute(args.read()?),
        Kind::DisputeMoved => Body::MoveDispute(args.read()?),
        Kind::ComplaintFiled => Body::FileComplaint(args.read()?),
        Kind::ComplaintMoved => Body::MoveComplaint(args.read()?),
        Kind::Genesis
        | Kind::Term
        | Kind::KeyCertified
        | Kind::BudgetSet
        | Kind::Snapshot
        | Kind::PointsIssued
        | Kind::PointsBatch
        | Kind::CycleDue
        | Kind::Tick
        | Kind::Refused => {
            return Err(Refused::about(Refusal::TokenPayload, format!("{kind} is made by no command")));
        }
    })
}
