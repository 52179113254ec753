//! Keys, what each may sign, and the two forms in which it is signed.
//!
//! Owns: Ed25519 keys as JWKs and their thumbprints, the table of key purposes, and the two profiles in which
//! something is signed: a compact JWS with header exactly `{alg, typ, kid}`, and an HTTP message (RFC 9421).
//! Promises: a [`PublicKey`] is a usable point in its one spelling; a [`Jws`] is well formed; one strict
//! predicate decides whether a signature holds, everywhere.
//! Refuses to know: who owns a key, whether it is registered, retired or past its time, and what the
//! payloads mean.

mod grammar;
mod http;
mod jws;
mod key;
mod purpose;
mod schema;

mod claims;

pub use claims::{
    Approval, Award, AwardOrder, CommandClaims, HeldCaps, KeyBudget, KeyCert, OnLineError, PaymentConsent,
    PointBatch, PointToken, Sale, SaleLine, SpendCode, SponsorTerms, TillClaims, TillLimits, Window,
};
pub use grammar::{MAX_DEPTH, object, objects, optional_object, optional_objects, read_body, read_object};
pub use http::{
    AHEAD, HttpFields, HttpLife, HttpMessage, HttpSigned, LONGEST, MAX_BODY, TAG, content_digest,
    signature_base,
};
pub use jws::{Jws, MAX_TOKEN, sign};
pub use key::{PublicKey, SecretKey, Verifier, recorded};
pub use purpose::{Purpose, Typ};

#[cfg(test)]
mod malformed;
