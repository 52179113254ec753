//! Entries: how a decision is written down, and what its caller is told.

use super::command::{Body, Command};
use super::kind::Kind;
use crate::book::{
    Done, Name, OfferTerms, PartKey, PartOut, Place, Record, Service, Stop, Supply, Tag, Tax, TaxCategory,
};
use crate::log::{self, Envelope, PartsRef};
use crate::points::{Lines, Verdict};
use crate::sign::{HttpMessage, Jws};
use crate::types::{
    CauseId, ConsentId, ExchangeId, Hash, Malformed, OfferId, ParticipantId, PaymentId, Time, decode, encode,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The body of a part: everything but its salt. A `said` part has `jws` or `http` alone and may be erased; a
/// line of a batch has line, verdict and effects; all others have effects.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartBody {
    /// Evidence: what was asked, an approval, or a consent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jws: Option<Jws>,
    /// Evidence: what was asked, as a signed HTTP message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub http: Option<Box<HttpMessage>>,
    /// A line of a batch, as it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<String>,
    /// What became of the line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// The payment that an obligation belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment: Option<PaymentId>,
    /// The exchange that an obligation belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exchange: Option<ExchangeId>,
    /// What else an obligation belongs to: an objection, a dispute, an instruction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<CauseId>,
    /// The cycle that an obligation falls into.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cycle: Option<u64>,
    /// What an obligation is for, if more is to be said than that points were: a fee, a tax.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub supply: Option<SupplyLine>,
    /// Effects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub done: Option<Done>,
}

/// What an obligation is for, as both sides book it. Amounts are changes: below zero where something is taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupplyLine {
    /// What is supplied.
    pub service: Service,
    /// By whom: who is owed.
    pub supplier: ParticipantId,
    /// To whom: who owes.
    pub customer: ParticipantId,
    /// Without tax.
    pub net: i64,
    /// The tax's category.
    pub category: TaxCategory,
    /// The tax's rate, in parts per million of the net amount.
    pub rate: u32,
    /// The tax.
    pub tax: i64,
    /// Net and tax together: the obligation.
    pub gross: i64,
}

impl SupplyLine {
    /// The line of a part: its first leg is that of who is owed.
    pub(super) fn of(part: &PartOut) -> Option<Self> {
        let Supply { service, tax, net, amount } = part.tag?.supply?;
        let leg = part.done.legs.first()?;
        let Place::Pair(supplier, customer) = &leg.place else { return None };
        let (supplier, customer) = (supplier.clone(), customer.clone());
        let Tax { category, rate } = tax;
        Some(Self { service, supplier, customer, net, category, rate, tax: amount, gross: leg.amount })
    }

    fn supply(&self) -> Supply {
        let tax = Tax { category: self.category, rate: self.rate };
        Supply { service: self.service, tax, net: self.net, amount: self.tax }
    }
}

/// A part body in the writing: the same members in the same order, borrowed.
#[derive(Serialize, Default)]
struct Writing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jws: Option<&'a Jws>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<&'a HttpMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<ExchangeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supply: Option<SupplyLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a Done>,
}

/// The bytes of a part that has effects only.
pub(super) fn effects_only(part: &PartOut) -> Vec<u8> {
    let (payment, exchange, cause, cycle) = tagged(part.tag);
    let supply = SupplyLine::of(part);
    encode(&Writing { payment, exchange, cause, cycle, supply, done: Some(&part.done), ..Writing::default() })
}

/// The `pub` of a public entry, genesis and snapshots aside: evidence and effects.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PubBody {
    /// Evidence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub jws: Vec<Jws>,
    /// Evidence: what was asked, as a signed HTTP message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub http: Option<Box<HttpMessage>>,
    /// Effects.
    pub done: Done,
}

/// The `pub` of a snapshot: the RFC 6962 root over all state records, in the order of their names, as
/// of an earlier entry. A leaf is the name, a zero byte and the record's canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The entry.
    pub of: u64,
    /// The root.
    pub root: Hash,
    /// How many records.
    pub rows: u64,
}

/// An entry that is decided and not yet sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryBody {
    /// What it is.
    pub kind: Kind,
    /// `pub`, canonical.
    pub public: Option<Vec<u8>>,
    /// Bodies of the parts, canonical.
    pub parts: Vec<Vec<u8>>,
}

/// An entry ready for the log.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its place.
    pub seq: u64,
    /// Log time.
    pub at: Time,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// The parts' bytes.
    pub parts: Vec<Vec<u8>>,
    /// BLAKE3 of the envelope: the next one's `prev`.
    pub hash: Hash,
    /// RFC 6962 leaf hash of the envelope.
    pub leaf: Hash,
}

/// The body of a part of evidence: `encode` of it (a test holds that), without looking for what to escape in
/// a text that has nothing of the kind.
fn said(jws: &Jws) -> Vec<u8> {
    [b"{\"jws\":\"", jws.text().as_bytes(), b"\"}"].concat()
}

/// A tag as a part has it: payment, exchange, or else the cause; and the cycle.
pub(super) type Tagged = (Option<PaymentId>, Option<ExchangeId>, Option<CauseId>, Option<u64>);

/// How a part writes down what its obligations belong to.
pub(super) fn tagged(tag: Option<Tag>) -> Tagged {
    match tag {
        Some(Tag { cause: CauseId::Payment(payment), cycle, .. }) => (Some(payment), None, None, Some(cycle)),
        Some(Tag { cause: CauseId::Exchange(exchange), cycle, .. }) => {
            (None, Some(exchange), None, Some(cycle))
        }
        Some(Tag { cause, cycle, .. }) => (None, None, Some(cause), Some(cycle)),
        None => (None, None, None, None),
    }
}

/// Puts a decided command into the form of its kind.
pub(super) fn assemble(
    kind: Kind,
    command: &Command,
    parts: &[PartOut],
    verdicts: &[Verdict],
) -> Result<EntryBody, Stop> {
    if kind.is_public() {
        let mut done = Done::default();
        for part in parts {
            merge(&mut done, &part.done);
        }
        let public = encode(&PubBody {
            jws: command.jws.clone(),
            http: command.http.as_ref().map(|http| Box::new(http.message().clone())),
            done,
        });
        return Ok(EntryBody { kind, public: Some(public), parts: vec![] });
    }
    let said = command.jws.iter().map(said);
    let statements = command.jws.len().saturating_add(usize::from(command.http.is_some()));
    let mut bodies: Vec<Vec<u8>> = Vec::with_capacity(statements.saturating_add(parts.len()));
    let http = command.http.iter().map(|http| Writing { http: Some(http.message()), ..Writing::default() });
    bodies.extend(http.map(|body| encode(&body)));
    bodies.extend(said);
    let none = Lines::default();
    let lines = match &command.body {
        Body::Batch(batch) => &batch.lines,
        _ => &none,
    };
    let mut lines = lines.iter().zip(verdicts);
    for part in parts {
        let mut body = Writing { done: (!part.done.is_empty()).then_some(&part.done), ..Writing::default() };
        if let PartKey::Line(_) = part.key {
            let (line, verdict) = lines.next().ok_or_else(|| Stop::Bug("more parts than lines".into()))?;
            body.line = Some(std::str::from_utf8(line).map_err(|_| Stop::Bug("a line is not text".into()))?);
            body.verdict = Some(*verdict);
        }
        (body.payment, body.exchange, body.cause, body.cycle) = tagged(part.tag);
        body.supply = SupplyLine::of(part);
        bodies.push(encode(&body));
    }
    Ok(EntryBody { kind, public: None, parts: bodies })
}

fn merge(all: &mut Done, part: &Done) {
    all.legs.extend_from_slice(&part.legs);
    all.heads.extend_from_slice(&part.heads);
    all.lots.extend_from_slice(&part.lots);
    all.holds.extend_from_slice(&part.holds);
    all.put.extend_from_slice(&part.put);
}

/// Seals an entry: salts its parts, hashes them, writes the envelope.
pub fn seal(
    body: EntryBody,
    seq: u64,
    prev: Hash,
    at: Time,
    salts: &mut dyn FnMut() -> [u8; 16],
) -> Result<Sealed, Malformed> {
    let salted = |part: &Vec<u8>| log::seal_encoded(salts(), part);
    let parts = body.parts.iter().map(salted).collect::<Result<Vec<_>, _>>()?;
    let refer = if parts.is_empty() {
        PartsRef::NONE
    } else {
        let leaves: Vec<Hash> = parts.iter().map(|part| log::leaf_hash(part)).collect();
        let n = u32::try_from(parts.len()).map_err(|e| Malformed(e.to_string()))?;
        PartsRef { n, root: log::root_of(&leaves) }
    };
    let public = match body.public {
        Some(bytes) => {
            let text = String::from_utf8(bytes).map_err(|e| Malformed(e.to_string()))?;
            Some(RawValue::from_string(text).map_err(|e| Malformed(e.to_string()))?)
        }
        None => None,
    };
    let envelope =
        Envelope { v: log::VERSION, seq, prev, at, kind: body.kind.text().into(), public, parts: refer };
    envelope.check()?;
    let bytes = envelope.encode();
    Ok(Sealed { seq, at, hash: Envelope::hash(&bytes), leaf: log::leaf_hash(&bytes), envelope: bytes, parts })
}

/// The effects of one part, with what an obligation in it belongs to.
#[derive(Debug, Clone)]
pub struct Effect {
    /// What an obligation belongs to.
    pub tag: Option<Tag>,
    /// What the part records.
    pub done: Done,
}

/// An entry as followers see it: what happened, without evidence.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place.
    pub seq: u64,
    /// BLAKE3 of its envelope.
    pub hash: Hash,
    /// Log time.
    pub at: Time,
    /// What it is.
    pub kind: Kind,
    /// Its effects, in the order of its parts.
    pub effects: Vec<Effect>,
}

impl From<PartOut> for Effect {
    fn from(part: PartOut) -> Self {
        Self { tag: part.tag, done: part.done }
    }
}

impl PartBody {
    /// Whether it is evidence and nothing else.
    pub fn is_evidence(&self) -> bool {
        let alone = Self { jws: None, http: None, ..self.clone() } == Self::default();
        alone && self.jws.is_some() != self.http.is_some()
    }

    /// What the part records, if it records effects.
    pub(super) fn effect(self) -> Option<Effect> {
        let exchange = self.exchange.map(CauseId::from);
        let cause = self.payment.map(CauseId::from).or(exchange).or(self.cause);
        let supply = self.supply.as_ref().map(SupplyLine::supply);
        let tag = cause.zip(self.cycle).map(|(cause, cycle)| Tag { cause, cycle, supply });
        self.done.map(|done| Effect { tag, done })
    }
}

impl Event {
    /// The names of all records that the entry changed: what must be at hand to take it over or to
    /// decide it again, but for what is only read.
    pub fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.effects.iter().flat_map(|effect| {
            let cycle = effect.tag.map(|tag| tag.cycle);
            effect.done.names(cycle).into_iter().chain(effect.done.puts().map(|(name, _)| name.clone()))
        })
    }

    /// The event of a stored entry.
    pub fn read(envelope: &Envelope, hash: Hash, parts: &[log::Slot]) -> Result<Self, Malformed> {
        let kind: Kind = envelope.kind.parse()?;
        let mut effects = vec![];
        match (&envelope.public, kind) {
            (_, Kind::Genesis | Kind::Snapshot) | (None, _) => {}
            (Some(public), _) => {
                let body: PubBody = decode(public.get().as_bytes())?;
                effects.push(Effect { tag: None, done: body.done });
            }
        }
        for part in parts {
            if let log::Slot::Whole(bytes) = part {
                let body: PartBody = decode(&log::open(bytes)?.1)?;
                effects.extend(body.effect());
            }
        }
        Ok(Self { seq: envelope.seq, hash, at: envelope.at, kind, effects })
    }
}

/// A line of a batch that did not go in as new.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineVerdict {
    /// Its number, from 1.
    pub line: u64,
    /// What became of it.
    pub verdict: Verdict,
}

/// An offer, for whoever asked for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Offered {
    /// Its id.
    pub offer: OfferId,
    /// What a consent to it repeats, hexadecimal: SHA-256 of the canonical JSON of `offer`, `terms` and `until`.
    pub hash: Hash,
    /// What is offered.
    pub terms: OfferTerms,
    /// First instant at which it can no longer be agreed to.
    pub until: Time,
}

/// What the caller of a command is told: a function of its entry, so the same for every repeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// The entry.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// Log time.
    pub at: Time,
    /// The payment it made or moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment: Option<PaymentId>,
    /// The consent that it opened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consent: Option<ConsentId>,
    /// The offer that it made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<Box<Offered>>,
    /// The exchange that it made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exchange: Option<ExchangeId>,
    /// For a batch: how many lines gave points.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub awarded: Option<u64>,
    /// For a batch: the lines that gave none, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<LineVerdict>,
    /// Whether the command took effect before and this is its answer again; never written.
    #[serde(skip)]
    pub replayed: bool,
}

impl Answer {
    /// The answer to a command.
    pub fn new(seq: u64, at: Time, kind: Kind, payment: Option<PaymentId>, verdicts: &[Verdict]) -> Self {
        let numbered = verdicts.iter().zip(1u64..);
        let others = numbered.filter(|(verdict, _)| **verdict != Verdict::Ok);
        let others: Vec<_> = others.map(|(verdict, line)| LineVerdict { line, verdict: *verdict }).collect();
        let awarded = (kind == Kind::PointsBatch)
            .then(|| u64::try_from(verdicts.len().saturating_sub(others.len())).unwrap_or(u64::MAX));
        let consent = (kind == Kind::ConsentOpened).then_some(ConsentId { seq, part: 0 });
        let exchange = (kind == Kind::ExchangeMade).then_some(ExchangeId { seq, part: 0 });
        let (kind, offer) = (kind.text().into(), None);
        Self { seq, kind, at, payment, consent, offer, exchange, awarded, others, replayed: false }
    }

    /// The same, with the offer that the entry made, if it made one.
    pub(super) fn offering<'a>(self, puts: impl Iterator<Item = (&'a Name, Option<&'a Record>)>) -> Self {
        if self.kind != Kind::OfferMade.text() {
            return self;
        }
        let mut puts = puts;
        let offer = puts.find_map(|(name, record)| match (name, record) {
            (Name::Offer(id), Some(Record::Offer(offer))) => Some(Offered {
                offer: *id,
                hash: offer.hash(*id),
                terms: offer.terms.clone(),
                until: offer.until,
            }),
            _ => None,
        });
        Self { offer: offer.map(Box::new), ..self }
    }
}

/// Opens an entry's parts.
pub fn bodies<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<PartBody>, Malformed> {
    parts.map(|part| log::open(part).and_then(|(_, body)| decode(&body))).collect()
}

/// The answer again, from the entry itself.
pub fn answer(envelope: &Envelope, parts: &[PartBody]) -> Result<Answer, Malformed> {
    let kind: Kind = envelope.kind.parse()?;
    let verdicts: Vec<Verdict> = parts.iter().filter_map(|part| part.verdict).collect();
    let puts = || parts.iter().filter_map(|part| part.done.as_ref()).flat_map(Done::puts);
    // Others may change what stands of a payment, and are no answer about it.
    let is_payment = matches!(
        kind,
        Kind::PaymentAuthorised | Kind::PaymentCaptured | Kind::PaymentVoided | Kind::PaymentRefunded
    );
    let payment = puts().filter(|_| is_payment).find_map(|(name, _)| match name {
        Name::Payment(id) => Some(*id),
        _ => None,
    });
    Ok(Answer::new(envelope.seq, envelope.at, kind, payment, &verdicts).offering(puts()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{SecretKey, Typ, sign};

    #[test]
    fn evidence_is_written_as_the_encoder_writes_it() {
        let token = sign(&SecretKey::from_seed([3; 32]), Typ::Command, br#"{"aud":"x","list":[1,true]}"#);
        let jws = Jws::parse(&token).expect("a token");
        let body = PartBody { jws: Some(jws.clone()), ..PartBody::default() };
        assert_eq!(said(&jws), encode(&body));
        assert_eq!(said(&jws), encode(&Writing { jws: Some(&jws), ..Writing::default() }));
    }
}
