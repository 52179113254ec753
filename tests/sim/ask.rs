//! What is asked for, in plain words: the generator makes it, the world signs it, the model judges it.

use tallyhouse::machine::Request;
use tallyhouse::network::{DefineUnit, OpenAccount, RegisterBrand, RegisterParticipant, RevokeKey};
use tallyhouse::payments::{AgreeExchange, Authorise, CancelOffer, MakeOffer, OpenConsent};
use tallyhouse::points::ClawBack;
use tallyhouse::prices::{PublishAcceptance, PublishPrices};
use tallyhouse::sign::{Award, KeyBudget, KeyCert, PaymentConsent, PointBatch, PointToken, SpendCode};
use tallyhouse::types::{AccountId, BrandId, Hash, Kid, PaymentId, Refusal, UnitCode};

/// A line of a batch: its bytes, and the award in it if it is one.
pub type Line = (Vec<u8>, Option<Award>);

#[derive(Clone, Debug)]
pub enum What {
    Participant(RegisterParticipant),
    Brand(RegisterBrand),
    Certify(KeyCert),
    Revoke(RevokeKey),
    RevokeAccountKey(RevokeKey),
    Budget(KeyBudget),
    Unit(DefineUnit),
    Prices(PublishPrices),
    Acceptance(PublishAcceptance),
    FreezeNetwork(bool),
    FreezeBrand(BrandId, bool),
    FreezeUnit(UnitCode, bool),
    FreezeAccount(AccountId, bool),
    Open(OpenAccount),
    Token(Box<PointToken>),
    Batch(PointBatch, Vec<Line>),
    ClawBack(ClawBack),
    Show(OpenConsent, Option<(Kid, SpendCode)>),
    Authorise(Authorise, Vec<(Kid, PaymentConsent)>),
    Capture(PaymentId, u64, bool),
    Void(PaymentId),
    Refund(PaymentId, u64),
    MakeOffer(MakeOffer),
    CancelOffer(CancelOffer),
    Exchange(AgreeExchange),
}

impl What {
    /// The kind of entry that it makes, as the documentation lists them.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Participant(_) => "participant.registered",
            Self::Brand(_) => "brand.registered",
            Self::Certify(_) => "key.certified",
            Self::Revoke(_) => "key.revoked",
            Self::RevokeAccountKey(_) => "account.key_revoked",
            Self::Budget(_) => "budget.set",
            Self::Unit(_) => "unit.defined",
            Self::Prices(_) => "prices.published",
            Self::Acceptance(_) => "acceptance.published",
            Self::FreezeNetwork(_) => "network.frozen",
            Self::FreezeBrand(..) => "brand.frozen",
            Self::FreezeUnit(..) => "unit.frozen",
            Self::FreezeAccount(..) => "account.frozen",
            Self::Open(_) => "account.opened",
            Self::Token(_) => "points.issued",
            Self::Batch(..) => "points.batch",
            Self::ClawBack(_) => "points.clawed_back",
            Self::Show(..) => "consent.opened",
            Self::Authorise(..) => "payment.authorised",
            Self::Capture(..) => "payment.captured",
            Self::Void(_) => "payment.voided",
            Self::Refund(..) => "payment.refunded",
            Self::MakeOffer(_) => "offer.made",
            Self::CancelOffer(_) => "offer.cancelled",
            Self::Exchange(_) => "exchange.made",
        }
    }

    /// Whether it moves or holds points, and so leaves keys and settings alone.
    pub fn is_trade(&self) -> bool {
        matches!(
            self,
            Self::Token(_)
                | Self::Batch(..)
                | Self::ClawBack(_)
                | Self::Show(..)
                | Self::Authorise(..)
                | Self::Capture(..)
                | Self::Void(_)
                | Self::Refund(..)
                | Self::MakeOffer(_)
                | Self::CancelOffer(_)
                | Self::Exchange(_)
        )
    }
}

/// A request and all that decides its outcome.
#[derive(Clone, Debug)]
pub struct Ask {
    pub request: Request,
    /// Who signed the statement itself.
    pub signer: Kid,
    /// Who approved it.
    pub approvals: Vec<Kid>,
    /// Its own id, if it has one.
    pub cid: Option<String>,
    /// Recognises the same content: of all that was signed.
    pub content: Hash,
    pub what: What,
    /// What is wrong with the evidence itself, so that no state is needed to refuse it.
    pub flaw: Option<Refusal>,
}

impl Ask {
    pub fn new(request: Request, signer: Kid, approvals: Vec<Kid>, cid: Option<&str>, what: What) -> Self {
        let signed = request.jws[0].rsplit_once('.').expect("three parts").0;
        let content = Hash::sha256(signed.as_bytes());
        // Certificates and budgets are their own ids: base64url of the SHA-256 of what was signed.
        let own = || data_encoding::BASE64URL_NOPAD.encode(&content.0);
        let cid = match what {
            What::Certify(_) | What::Budget(_) => Some(own()),
            _ => cid.map(str::to_owned),
        };
        Self { request, signer, approvals, cid, content, what, flaw: None }
    }
}
