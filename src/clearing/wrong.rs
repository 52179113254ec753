//! What can be wrong with obligations, or with a result that somebody claims for them.
//!
//! Owns: the closed list, with words for people.
//! Promises: each way of tampering with a result has a name of its own.
//! Refuses to know: who tampered.

use crate::types::ParticipantId;

/// Obligations, or a result over them, that do not hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsound {
    /// Nobody owes itself.
    #[error("{0} owes itself")]
    Self_(ParticipantId),
    /// A sum is above 2^53 − 1, the most that the log can say.
    #[error("a sum of {0} is above 9007199254740991")]
    TooLarge(ParticipantId),
    /// Positions that do not sum to zero.
    #[error("positions sum to {0}, not to 0: an obligation has a debtor and a creditor")]
    Sum(i128),
    /// A bank's minor unit of nothing.
    #[error("the bank's minor unit is 0; it is at least 1 of the currency's scale")]
    Unit,
    /// A line that is not in the order of debtor and creditor, or comes twice.
    #[error("the line {debtor} to {creditor} is twice there, or out of order")]
    Order {
        /// Who owes.
        debtor: ParticipantId,
        /// Who is owed.
        creditor: ParticipantId,
    },
    /// Set-off of a debt that does not exist, or of more than it.
    #[error("{debtor} owes {creditor} less than what is set off")]
    NotOwed {
        /// Who owes.
        debtor: ParticipantId,
        /// Who is owed.
        creditor: ParticipantId,
    },
    /// A line that sets nothing off.
    #[error("the line {debtor} to {creditor} sets nothing off")]
    Nothing {
        /// Who owes.
        debtor: ParticipantId,
        /// Who is owed.
        creditor: ParticipantId,
    },
    /// Set-off that leaves somebody with another net.
    #[error("the net of {0} is not what it was")]
    NetChanged(ParticipantId),
    /// A participant without a level, with two, or with one that stands out of order.
    #[error("{0} has no level, or not its own")]
    Level(ParticipantId),
    /// A debt that is left and does not rise to a higher level: it may close a loop.
    #[error("what {debtor} still owes {creditor} may be part of a loop: more could be set off")]
    LoopLeft {
        /// Who owes.
        debtor: ParticipantId,
        /// Who is owed.
        creditor: ParticipantId,
    },
    /// A debt that was set off although it spans several levels: others would have saved more.
    #[error("setting off what {debtor} owes {creditor} leaves more debt than need be")]
    NotLeast {
        /// Who owes.
        debtor: ParticipantId,
        /// Who is owed.
        creditor: ParticipantId,
    },
    /// The solver contradicts itself: a bug of ours.
    #[error("netting contradicts itself: {0}")]
    Bug(&'static str),
}
