//! The book: units' points on accounts, and the one way to change them.
//!
//! Owns: the records that make up state, their names, the draft on which a command is decided, and
//! the movements of points: give, hold, release, take, restore, expire.
//! Promises: amounts never go below zero; every part of an entry sums to zero per asset; what is due
//! on a record is booked before anybody reads it; a refused draft leaves nothing behind.
//! Refuses to know: people, wallets, signatures, where records are kept.

mod account;
mod apart;
mod change;
mod clearing;
mod details;
mod dispute;
mod draft;
mod fees;
mod funding;
mod limit;
mod moves;
mod name;
mod network;
mod offer;
mod part;
mod record;
mod schedule;
mod terms;
mod sums;

pub use account::{Account, Bucket, Head, Hold, Lot, MAX_HOLDS, MAX_LOTS, Origin};
pub use apart::{Declared, Due, DueClaim, Netting, NettingMode, SetOffSums, TakenApart};
pub use change::{Apply, Done, Leg, Place, Shared};
pub use clearing::{
    Answered, Assigned, Bank, Booking, Closing, Complaint, ComplaintStage, Computed, Cycle, Exception, Fate,
    Instruction, Line, LinePlace, Mark, Objection, PROVISIONAL, Part, Rejection, Roll, Statement,
    StatementLine, StatementState, Sums, Told, Way, WithdrawalPlace,
};
pub use details::{Details, DetailsVersion};
pub use dispute::{Dispute, DisputeFee, DisputeOutcome, DisputeStage, PointsEffect};
pub use draft::{Draft, Found, Of, Source, Stop, changed};
pub use fees::{
    ExchangeFee, ExchangeFeeTerms, Fee, FeeTerms, FeeVersions, Fees, LosingFees, MILLION, Service, Supply,
    Tax, TaxCategory, TaxTable, TaxVersion,
};
pub use funding::{
    AtIssuance, BreakageTo, CoverChange, CoverStep, Funding, FundingTerms, MarginCall, Pledge, Reserve,
};
pub use limit::{Asserted, Draw, Limit, Measure};
pub use name::{Name, Principal};
pub use network::{Network, Participant};
pub use offer::{
    BillTerms, ClawedBack, Exchange, ExchangeTerms, Offer, OfferState, OfferTerms, OfferedShare, Sponsored,
};
pub use part::{Effects, PartKey, PartOut, Tag};
pub use record::{
    Brand, Budget, Command, Consent, Erased, Expiry, Kept, KeyRecord, KeyState, Payment, Record, Root, Share,
    ShareTerms, Shown, Term, Tick, TillTerms, Unit, Used,
};
pub use schedule::{DayOfMonth, DayOfWeek, Every, Period, Schedule, Tolerance};
pub use terms::{
    Acceptance, Accepted, AcceptedUnit, AnnouncedAcceptance, Breakage, Dated, ExchangeAccepted, Floor,
    Notice, Price, PriceFor, Prices, Published, Sponsor, Sponsors,
};
