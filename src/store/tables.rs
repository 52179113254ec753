//! The tables of log and state, as both databases have them.
//!
//! Owns: the names and types of their columns; the migrations make them.
//! Promises: nothing in a query depends on which database it goes to. On PostgreSQL each connection looks in the
//! schemas that it is for, so that names stand here without one.
//! Refuses to know: what stands in them.

diesel::table! {
    entry (seq) {
        seq -> BigInt,
        envelope -> Binary,
    }
}

diesel::table! {
    parts (id) {
        id -> BigInt,
        bytes -> Binary,
    }
}

diesel::table! {
    tip (id) {
        id -> Integer,
        seq -> BigInt,
        hash -> Binary,
        edge -> Binary,
        checkpoint -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(entry, tip);

diesel::table! {
    state (key) {
        key -> Text,
        value -> Binary,
        seq -> BigInt,
        due -> Nullable<BigInt>,
    }
}

diesel::table! {
    cursor (id) {
        id -> Integer,
        seq -> BigInt,
        hash -> Binary,
    }
}
