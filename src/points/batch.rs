//! Signed batches: up to 10,000 awards under one signature, in one entry.

use super::award::{AwardLine, Issuer, Verdict, own_key, use_token};
use crate::book::{Draft, Stop};
use crate::log;
use crate::network::Asked;
use crate::sign::{Award, OnLineError, PointBatch, read_object};
use crate::types::{Fingerprint, Points, Refusal, Refused};
use std::sync::Arc;

/// Most lines of a batch.
pub const MAX_LINES: usize = 10_000;

/// Most bytes of a line.
const MAX_LINE: usize = 1_024;

/// The lines of a batch as they came, and where each begins and ends.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    bytes: Arc<[u8]>,
    ends: Vec<usize>,
}

impl Lines {
    /// Splits NDJSON at its line feeds; a last line feed may be there or not.
    pub fn split(bytes: Arc<[u8]>) -> Self {
        let mut ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
        if bytes.last().is_some_and(|b| *b != b'\n') {
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The lines' bytes, without line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end.saturating_add(1)));
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

/// A batch whose lines match what its signer signed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What was signed.
    pub claims: PointBatch,
    /// The lines as they came.
    pub lines: Lines,
    /// The lines as awards; a line that is not of the documented form is `None`.
    awards: Vec<Option<AwardLine>>,
}

impl Batch {
    /// Reads the lines and checks count, total and root. Costs no state, so it runs before the writer.
    pub fn check(claims: PointBatch, lines: Lines) -> Result<Self, Refused> {
        if lines.len() > MAX_LINES {
            return Err(Refused::about(
                Refusal::TooLarge,
                format!("{} lines, at most {MAX_LINES}", lines.len()),
            ));
        }
        // A line is kept in the log as it came: at most 1 KiB of text.
        for (at, line) in lines.iter().enumerate() {
            if line.len() > MAX_LINE || std::str::from_utf8(line).is_err() {
                let about = format!("line {}: at most {MAX_LINE} bytes of UTF-8", at.saturating_add(1));
                return Err(Refused::about(Refusal::BatchMismatch, about));
            }
        }
        let mismatch = |what: &str| Err(Refused::about(Refusal::BatchMismatch, what));
        if u64::try_from(lines.len()).ok() != Some(claims.count) {
            return mismatch("count");
        }
        let leaves: Vec<_> = lines.iter().map(log::leaf_hash).collect();
        if log::root_of(&leaves) != claims.root {
            return mismatch("root");
        }
        let read = |line: &[u8]| {
            let award: Award = read_object(line).ok()?;
            Some(AwardLine { award, fingerprint: Fingerprint::of(line) })
        };
        let awards: Vec<_> = lines.iter().map(read).collect();
        let total = awards.iter().flatten().try_fold(Points::ZERO, |sum, line| sum.plus(line.award.amount));
        if total != Some(claims.total) {
            return mismatch("total");
        }
        Ok(Self { claims, lines, awards })
    }

    /// The awards, in the order of the lines.
    pub fn awards(&self) -> impl Iterator<Item = Option<&AwardLine>> {
        self.awards.iter().map(Option::as_ref)
    }
}

/// Takes a batch in: one verdict a line. Line i stands in part i and sees the lines before it.
pub fn take_batch(draft: &mut Draft, asked: &Asked, batch: &Batch) -> Result<Vec<Verdict>, Stop> {
    let claims = &batch.claims;
    own_key(draft, asked.kid, &claims.iss)?;
    // This also makes the brand's part the first of the draft, where it is found at once.
    use_token(draft, &claims.iss, &claims.jti, asked)?;
    if claims.exp <= draft.at.seconds() {
        return Err(Refused::about(Refusal::TokenExpired, &claims.jti).into());
    }
    let mut issuer = Issuer::open(draft, asked.kid, &claims.iss, claims.unit)?;
    let mut verdicts = Vec::with_capacity(batch.awards.len());
    let mut bad: Vec<String> = vec![];
    for (at, award) in batch.awards().enumerate() {
        let part = u16::try_from(at).ok().and_then(|at| at.checked_add(1)).ok_or(Refusal::TooLarge)?;
        draft.begin_line(part);
        let decided = match award {
            Some(line) => issuer.award(draft, line, part),
            None => Err(Refusal::BatchLine.into()),
        };
        let verdict = match decided {
            Ok(verdict) => verdict,
            Err(Stop::Refused(no)) => {
                if bad.len() < 10 {
                    bad.push(format!("line {part}: {}", no.code));
                }
                Verdict::Refused(no.code)
            }
            Err(stop) => return Err(stop),
        };
        draft.end_line(verdict == Verdict::Ok)?;
        verdicts.push(verdict);
    }
    if claims.on_line_error == OnLineError::Reject && !bad.is_empty() {
        return Err(Refused::about(Refusal::BatchRejected, bad.join(", ")).into());
    }
    issuer.close(draft)?;
    Ok(verdicts)
}
