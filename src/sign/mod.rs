//! Keys, what each may sign, and the one form of signed statement there is.
//!
//! Owns: Ed25519 keys as JWKs and their thumbprints, the table of key purposes, and the JWS profile:
//! compact, header exactly `{alg, typ, kid}`, payload a JSON object within fixed bounds.
//! Promises: a [`PublicKey`] is a usable point in its one spelling; a [`Jws`] is well formed; one strict
//! predicate decides whether a signature holds, everywhere.
//! Refuses to know: who owns a key, whether it is registered, retired or past its time, and what the
//! payloads mean.

mod grammar;
mod jws;
mod key;
mod purpose;

mod claims;

pub use claims::{
    Approval, Award, CommandClaims, HeldCaps, KeyBudget, KeyCert, OnLineError, PaymentConsent, PointBatch,
    PointToken, Sale, SaleLine, TillClaims, TillLimits, Window,
};
pub use grammar::{MAX_DEPTH, object, objects, optional_object, optional_objects, read_object};
pub use jws::{Jws, MAX_TOKEN, sign};
pub use key::{PublicKey, SecretKey, Verifier, recorded};
pub use purpose::{Purpose, Typ};

#[cfg(test)]
mod malformed;
