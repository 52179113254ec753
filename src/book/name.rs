//! Names of records: one ordered key space, natural order kept, nothing hashed.

use super::change::Shared;
use super::limit::Measure;
use crate::types::{
    AccountId, AwardId, BrandId, ComplaintId, ConsentId, Currency, DisputeId, ExchangeId, Ident,
    InstructionId, Kid, Malformed, ObjectionId, OfferId, ParticipantId, PaymentId, UnitCode,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// On whose behalf a command id is used: the scope in which it is unique.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Principal {
    /// The operator of the network.
    Operator,
    /// A brand, whichever of its keys signs.
    Brand(BrandId),
    /// The holder of an account.
    Account(AccountId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("op"),
            Self::Brand(brand) => brand.fmt(f),
            Self::Account(account) => account.fmt(f),
        }
    }
}

impl FromStr for Principal {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == "op" {
            Ok(Self::Operator)
        } else if text.starts_with("ac_") {
            text.parse().map(Self::Account)
        } else {
            text.parse().map(Self::Brand)
        }
    }
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::types::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of one record of state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Name {
    /// What a brand accepts.
    Acceptance(BrandId),
    /// A holder's account.
    Account(AccountId),
    /// What the operator's participant bears on an account and has not brought: write-offs, its tranches, what the bank
    /// charges; below 0, what of its own is there.
    Borne(Currency),
    /// A brand.
    Brand(BrandId),
    /// How many of a unit's points are expected to be spent.
    Breakage(UnitCode),
    /// What an issuing or till key may issue.
    Budget(Kid),
    /// Points of an award that were taken back.
    ClawedBack(AwardId),
    /// A command id that took effect or was refused for good.
    Command(Principal, Ident),
    /// A complaint of a consumer.
    Complaint(ComplaintId),
    /// A consent that stays open, as the shop's brand knows it.
    Consent(ConsentId),
    /// A step of a participant's cover, by the entry that took it.
    CoverStep(ParticipantId, Currency, u64),
    /// The settlement account of a currency.
    Bank(Currency),
    /// A cycle, by its number.
    Closing(u64),
    /// Which cycles are open or under way.
    Cycle,
    /// Bank details of a participant in a currency.
    Details(ParticipantId, Currency),
    /// A version of them.
    DetailsVersion(ParticipantId, Currency, u64),
    /// A dispute over a payment.
    Dispute(DisputeId),
    /// What was charged back against a participant and is not decided.
    Disputed(ParticipantId, Currency),
    /// What one of two participants, in the order of their ids, is to pay the other by itself.
    Due(ParticipantId, ParticipantId, Currency),
    /// A participant, by its number from 0.
    Enrolled(u64),
    /// A part that was erased on request: its entry and its place in that.
    Erased(u64, u16),
    /// An exchange, as the holder of the points that were given up knows it.
    Exchange(ExchangeId),
    /// The network's fees that are in force or announced.
    Fees,
    /// What stands behind a participant's debts.
    Funding(ParticipantId, Currency),
    /// The house's settlement account of a currency.
    House(Currency),
    /// A version of it.
    HouseVersion(Currency, u64),
    /// A payment that a cycle asks for.
    Instruction(InstructionId),
    /// A key.
    Key(Kid),
    /// What has been drawn on a limit; the brand is the one whose limit it is.
    Limit(BrandId, Ident, Measure),
    /// What a cycle means for a participant.
    Line(u64, ParticipantId, Currency),
    /// What a participant has from all others by the obligations of a cycle.
    Net(u64, ParticipantId, Currency),
    /// Which participants do not accept the clearing house as their counterparty.
    Netting,
    /// The network: genesis' content.
    Network,
    /// How many objections of a participant to a cycle wait for an answer.
    Objecting(u64, ParticipantId),
    /// An objection to a cycle.
    Objection(ObjectionId),
    /// An offer, as whoever made it knows it.
    Offer(OfferId),
    /// What stands between two participants by the obligations of a cycle, in the order of their ids: what the
    /// first has from the second.
    Pair(u64, ParticipantId, ParticipantId, Currency),
    /// A participant.
    Participant(ParticipantId),
    /// A payment, as the shop's brand knows it.
    Payment(PaymentId),
    /// The month that was closed last.
    Period,
    /// The prices of a unit that are in force or announced.
    Prices(UnitCode),
    /// What accepted objections put off, of what a participant owes for a payment, out of a cycle.
    PutOff(u64, PaymentId, ParticipantId),
    /// A version of a unit's prices, as it was published.
    Published(UnitCode, u64),
    /// A version of the network's fees, as it was published.
    PublishedFees(u64),
    /// What must stand behind a unit's points, and what does.
    Reserve(UnitCode),
    /// How many participants there are.
    Roll,
    /// When cycles are sealed by themselves.
    Schedule,
    /// The part of a payment that one unit bears, as its holder and its brand know it.
    Share(PaymentId, UnitCode),
    /// Whose code opened a consent, as the holder and the holder's brand know it.
    Shown(ConsentId),
    /// Awards that another participant pays for.
    Sponsored(AwardId),
    /// Whose budgets for awards of a unit's points, that they pay for, are live.
    Sponsors(UnitCode),
    /// A unit's shared account: the total of its legs.
    Shared(UnitCode, Shared),
    /// A statement of the settlement account of a currency.
    Statement(Currency, Ident),
    /// How a participant's supplies are taxed.
    Tax(ParticipantId),
    /// The writer's current term.
    Term,
    /// Through when due work is swept.
    Tick,
    /// A bank's entry that a notification told of, and no statement of the account of a currency repeated yet.
    Told(Currency, Ident),
    /// A unit.
    Unit(UnitCode),
    /// A token or batch that took effect, by its issuer and `jti`.
    UsedToken(BrandId, Ident),
    /// A bank's entry that a statement of the account of a currency brought.
    UsedEntry(Currency, Ident),
    /// The reference of an order by which cover is taken back: there is one of it in the account of a currency.
    UsedOrder(Currency, Ident),
    /// A payment of what was due between two, in the order of their ids, that was confirmed: by its reference.
    UsedDue(ParticipantId, ParticipantId, Ident),
    /// A receipt that points were given for, by brand, till and number.
    UsedRef(BrandId, Ident, Ident),
    /// A consent that took effect.
    UsedConsent(AccountId, Ident),
}

impl Name {
    /// The entry that a record is named after, if it is: the one that made it.
    pub(super) fn seq(&self) -> Option<u64> {
        match self {
            Self::Payment(id) | Self::Share(id, _) => Some(id.seq),
            Self::Consent(id) | Self::Shown(id) => Some(id.seq),
            Self::Offer(id) => Some(id.seq),
            Self::Exchange(id) => Some(id.seq),
            Self::Sponsored(id) | Self::ClawedBack(id) => Some(id.seq),
            Self::Objection(id) => Some(id.seq),
            Self::Dispute(id) => Some(id.seq),
            Self::Complaint(id) => Some(id.seq),
            Self::Instruction(id) => Some(id.seq),
            Self::CoverStep(_, _, seq) => Some(*seq),
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acceptance(brand) => write!(f, "acceptance/{brand}"),
            Self::Account(account) => write!(f, "account/{account}"),
            Self::Borne(currency) => write!(f, "borne/{currency}"),
            Self::Brand(brand) => write!(f, "brand/{brand}"),
            Self::Breakage(unit) => write!(f, "breakage/{unit}"),
            Self::Budget(kid) => write!(f, "budget/{kid}"),
            Self::ClawedBack(award) => write!(f, "clawed-back/{award}"),
            Self::Command(principal, id) => write!(f, "command/{principal}/{id}"),
            Self::Complaint(complaint) => write!(f, "complaint/{complaint}"),
            Self::Consent(consent) => write!(f, "consent/{consent}"),
            // Sixteen digits, so that steps stand in their order.
            Self::CoverStep(who, currency, seq) => write!(f, "cover/{who}/{currency}/{seq:016}"),
            Self::Bank(currency) => write!(f, "bank/{currency}"),
            Self::Closing(cycle) => write!(f, "cycle/{cycle}"),
            Self::Cycle => f.write_str("cycle"),
            Self::Details(who, currency) => write!(f, "details/{who}/{currency}"),
            // Ten digits, as of prices.
            Self::DetailsVersion(who, currency, version) => {
                write!(f, "details/{who}/{currency}/{version:010}")
            }
            Self::Dispute(dispute) => write!(f, "dispute/{dispute}"),
            Self::Disputed(participant, currency) => write!(f, "disputed/{participant}/{currency}"),
            Self::Due(a, b, currency) => write!(f, "due/{a}:{b}/{currency}"),
            Self::Enrolled(number) => write!(f, "roll/{number}"),
            Self::Erased(seq, part) => write!(f, "erased/{seq}.{part}"),
            Self::Exchange(exchange) => write!(f, "exchange/{exchange}"),
            Self::Fees => f.write_str("fees"),
            Self::Funding(participant, currency) => write!(f, "funding/{participant}/{currency}"),
            Self::House(currency) => write!(f, "house/{currency}"),
            // Ten digits, as of prices.
            Self::HouseVersion(currency, version) => write!(f, "house/{currency}/{version:010}"),
            Self::Instruction(instruction) => write!(f, "instruction/{instruction}"),
            Self::Key(kid) => write!(f, "key/{kid}"),
            Self::Limit(brand, subject, measure) => write!(f, "limit/{brand}/{subject}/{measure}"),
            Self::Line(cycle, who, currency) => write!(f, "line/{cycle}/{who}/{currency}"),
            Self::Net(cycle, who, currency) => write!(f, "net/{cycle}/{who}/{currency}"),
            Self::Netting => f.write_str("netting"),
            Self::Network => f.write_str("network"),
            Self::Objecting(cycle, who) => write!(f, "objecting/{cycle}/{who}"),
            Self::Objection(objection) => write!(f, "objection/{objection}"),
            Self::Offer(offer) => write!(f, "offer/{offer}"),
            Self::Pair(cycle, a, b, currency) => write!(f, "pair/{cycle}/{a}:{b}/{currency}"),
            Self::Participant(participant) => write!(f, "participant/{participant}"),
            Self::Payment(payment) => write!(f, "payment/{payment}"),
            Self::Period => f.write_str("period"),
            Self::Prices(unit) => write!(f, "prices/{unit}"),
            Self::PutOff(cycle, payment, who) => write!(f, "put-off/{cycle}/{payment}/{who}"),
            // Ten digits, so that versions stand in their order.
            Self::Published(unit, version) => write!(f, "price/{unit}/{version:010}"),
            Self::PublishedFees(version) => write!(f, "fee/{version:010}"),
            Self::Reserve(unit) => write!(f, "reserve/{unit}"),
            Self::Roll => f.write_str("roll"),
            Self::Schedule => f.write_str("schedule"),
            Self::Share(payment, unit) => write!(f, "share/{payment}/{unit}"),
            Self::Shown(consent) => write!(f, "shown/{consent}"),
            Self::Sponsored(award) => write!(f, "sponsored/{award}"),
            Self::Sponsors(unit) => write!(f, "sponsors/{unit}"),
            Self::Shared(unit, shared) => write!(f, "shared/{unit}:{shared}"),
            Self::Statement(currency, id) => write!(f, "statement/{currency}/{id}"),
            Self::Tax(participant) => write!(f, "tax/{participant}"),
            Self::Term => f.write_str("term"),
            Self::Tick => f.write_str("tick"),
            Self::Told(currency, entry) => write!(f, "told/{currency}/{entry}"),
            Self::Unit(unit) => write!(f, "unit/{unit}"),
            Self::UsedToken(brand, jti) => write!(f, "used/jti/{brand}/{jti}"),
            Self::UsedEntry(currency, entry) => write!(f, "used/entry/{currency}/{entry}"),
            Self::UsedOrder(currency, reference) => write!(f, "used/order/{currency}/{reference}"),
            Self::UsedDue(a, b, reference) => write!(f, "used/due/{a}:{b}/{reference}"),
            Self::UsedRef(brand, till, number) => write!(f, "used/ref/{brand}/{till}/{number}"),
            // Beside the account, which every payment touches: one place in the store, not two.
            Self::UsedConsent(account, jti) => write!(f, "account/{account}/consent/{jti}"),
        }
    }
}

/// A number in its one spelling: no leading zeros or plus signs.
fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

impl FromStr for Name {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let no = || Malformed(format!("{text:?} is not the name of a record"));
        let fields: Vec<&str> = text.split('/').collect();
        Ok(match fields.as_slice() {
            ["acceptance", brand] => Self::Acceptance(brand.parse()?),
            ["account", account] => Self::Account(account.parse()?),
            ["account", account, "consent", jti] => Self::UsedConsent(account.parse()?, jti.parse()?),
            ["borne", currency] => Self::Borne(currency.parse()?),
            ["brand", brand] => Self::Brand(brand.parse()?),
            ["breakage", unit] => Self::Breakage(unit.parse()?),
            ["budget", kid] => Self::Budget(kid.parse()?),
            ["clawed-back", award] => Self::ClawedBack(award.parse()?),
            ["command", principal, id] => Self::Command(principal.parse()?, id.parse()?),
            ["complaint", complaint] => Self::Complaint(complaint.parse()?),
            ["consent", consent] => Self::Consent(consent.parse()?),
            ["cover", who, currency, seq] => {
                let seq = seq.parse().map_err(|_| no())?;
                let name = Self::CoverStep(who.parse()?, currency.parse()?, seq);
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["bank", currency] => Self::Bank(currency.parse()?),
            ["cycle"] => Self::Cycle,
            ["cycle", cycle] => Self::Closing(number(cycle).ok_or_else(no)?),
            ["details", who, currency] => Self::Details(who.parse()?, currency.parse()?),
            ["details", who, currency, version] => {
                let version = version.parse().map_err(|_| no())?;
                let name = Self::DetailsVersion(who.parse()?, currency.parse()?, version);
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["dispute", dispute] => Self::Dispute(dispute.parse()?),
            ["disputed", participant, currency] => Self::Disputed(participant.parse()?, currency.parse()?),
            ["due", pair, currency] => {
                let (a, b) = pair.split_once(':').ok_or_else(no)?;
                Self::Due(a.parse()?, b.parse()?, currency.parse()?)
            }
            ["erased", place] => {
                let (seq, part) = place.split_once('.').ok_or_else(no)?;
                let name = Self::Erased(seq.parse().map_err(|_| no())?, part.parse().map_err(|_| no())?);
                // One spelling each: no leading zeros or plus signs.
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["exchange", exchange] => Self::Exchange(exchange.parse()?),
            ["fee", version] => {
                let name = Self::PublishedFees(version.parse().map_err(|_| no())?);
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["fees"] => Self::Fees,
            ["funding", participant, currency] => Self::Funding(participant.parse()?, currency.parse()?),
            ["house", currency] => Self::House(currency.parse()?),
            ["house", currency, version] => {
                let version = version.parse().map_err(|_| no())?;
                let name = Self::HouseVersion(currency.parse()?, version);
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["instruction", instruction] => Self::Instruction(instruction.parse()?),
            ["key", kid] => Self::Key(kid.parse()?),
            ["limit", brand, subject, measure] => {
                Self::Limit(brand.parse()?, subject.parse()?, measure.parse()?)
            }
            ["line", cycle, who, currency] => {
                Self::Line(number(cycle).ok_or_else(no)?, who.parse()?, currency.parse()?)
            }
            ["net", cycle, who, currency] => {
                Self::Net(number(cycle).ok_or_else(no)?, who.parse()?, currency.parse()?)
            }
            ["netting"] => Self::Netting,
            ["network"] => Self::Network,
            ["objecting", cycle, who] => Self::Objecting(number(cycle).ok_or_else(no)?, who.parse()?),
            ["objection", objection] => Self::Objection(objection.parse()?),
            ["offer", offer] => Self::Offer(offer.parse()?),
            ["pair", cycle, pair, currency] => {
                let (a, b) = pair.split_once(':').ok_or_else(no)?;
                Self::Pair(number(cycle).ok_or_else(no)?, a.parse()?, b.parse()?, currency.parse()?)
            }
            ["participant", participant] => Self::Participant(participant.parse()?),
            ["payment", payment] => Self::Payment(payment.parse()?),
            ["period"] => Self::Period,
            ["price", unit, version] => {
                let name = Self::Published(unit.parse()?, version.parse().map_err(|_| no())?);
                return if name.to_string() == text { Ok(name) } else { Err(no()) };
            }
            ["prices", unit] => Self::Prices(unit.parse()?),
            ["put-off", cycle, payment, who] => {
                Self::PutOff(number(cycle).ok_or_else(no)?, payment.parse()?, who.parse()?)
            }
            ["reserve", unit] => Self::Reserve(unit.parse()?),
            ["roll"] => Self::Roll,
            ["roll", at] => Self::Enrolled(number(at).ok_or_else(no)?),
            ["schedule"] => Self::Schedule,
            ["share", payment, unit] => Self::Share(payment.parse()?, unit.parse()?),
            ["shown", consent] => Self::Shown(consent.parse()?),
            ["shared", place] => {
                let (unit, shared) = place.split_once(':').ok_or_else(no)?;
                Self::Shared(unit.parse()?, shared.parse()?)
            }
            ["sponsored", award] => Self::Sponsored(award.parse()?),
            ["sponsors", unit] => Self::Sponsors(unit.parse()?),
            ["statement", currency, id] => Self::Statement(currency.parse()?, id.parse()?),
            ["tax", participant] => Self::Tax(participant.parse()?),
            ["term"] => Self::Term,
            ["tick"] => Self::Tick,
            ["told", currency, entry] => Self::Told(currency.parse()?, entry.parse()?),
            ["unit", unit] => Self::Unit(unit.parse()?),
            ["used", "entry", currency, entry] => Self::UsedEntry(currency.parse()?, entry.parse()?),
            ["used", "order", currency, reference] => Self::UsedOrder(currency.parse()?, reference.parse()?),
            ["used", "due", pair, reference] => {
                let (a, b) = pair.split_once(':').ok_or_else(no)?;
                Self::UsedDue(a.parse()?, b.parse()?, reference.parse()?)
            }
            ["used", "jti", brand, jti] => Self::UsedToken(brand.parse()?, jti.parse()?),
            ["used", "ref", brand, till, number] => {
                Self::UsedRef(brand.parse()?, till.parse()?, number.parse()?)
            }
            _ => return Err(no()),
        })
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        crate::types::as_text(self, s)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
