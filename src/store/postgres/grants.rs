//! Grants: what the account of a connection must be allowed to do.
//!
//! Owns: the privileges that each purpose needs, and what is said where one is missing.
//! Promises: what is missing is named as `GRANT` takes it.
//! Refuses to know: who grants it. `config/postgres-roles.sql` does.

use super::super::fault::Fault;
use super::schema::Schema;
use super::session::{Purpose, Session};
use diesel::prelude::*;
use diesel::sql_types::Text;

/// What tables of a purpose are asked for.
const READS: &[&str] = &["SELECT"];
const ADDS: &[&str] = &["SELECT", "INSERT"];
const MOVES: &[&str] = &["SELECT", "INSERT", "UPDATE"];
const WRITES: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];

/// The tables of a purpose, `None` being all of a schema, and what it does with them.
fn needs(purpose: Purpose) -> &'static [(Schema, Option<&'static str>, &'static [&'static str])] {
    match purpose {
        Purpose::Log => &[
            (Schema::Log, Some("entry"), ADDS),
            (Schema::Log, Some("parts"), ADDS),
            (Schema::Log, Some("tip"), MOVES),
        ],
        Purpose::Lease => &[(Schema::Log, Some("lease"), MOVES)],
        Purpose::State => &[(Schema::State, Some("state"), WRITES), (Schema::State, Some("cursor"), WRITES)],
        Purpose::Read => &[
            (Schema::State, Some("state"), READS),
            (Schema::State, Some("cursor"), READS),
            (Schema::Log, Some("entry"), READS),
            (Schema::Log, Some("parts"), READS),
            (Schema::Log, Some("tip"), READS),
        ],
        Purpose::Views => &[(Schema::Views, None, WRITES)],
        Purpose::ReadViews => &[(Schema::Views, None, READS)],
        Purpose::Vault => &[(Schema::Vault, None, WRITES)],
        Purpose::Migrate(_) => &[],
    }
}

/// What the account of a connection lacks, as `GRANT` takes it.
pub(super) fn lacking(session: &mut Session) -> Result<Vec<String>, Fault> {
    let mut asks = vec![];
    let all: &[Schema] = &Schema::ALL;
    let schemas = match session.purpose() {
        // A program that opens the database looks at all of them.
        Purpose::Migrate(_) => all,
        purpose => purpose.schemas(),
    };
    for schema in schemas {
        let name = schema.name();
        asks.push(format!(
            "SELECT 'USAGE ON SCHEMA {name}' WHERE NOT has_schema_privilege(to_regnamespace('{name}')::oid, 'USAGE')"
        ));
    }
    for (schema, table, privileges) in needs(session.purpose()) {
        // The migrations' own table is the owner's.
        let which = match table {
            Some(table) => format!("c.relname = '{table}'"),
            None => "c.relname !~ '^__'".to_owned(),
        };
        asks.push(format!(
            "SELECT format('%s ON %I.%I', p, n.nspname, c.relname) FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(ARRAY['{}']) AS p \
             WHERE n.nspname = '{}' AND c.relkind = 'r' AND {which} AND NOT has_table_privilege(c.oid, p)",
            privileges.join("','"),
            schema.name()
        ));
    }
    let lock = match session.purpose() {
        Purpose::Log => Some("pg_try_advisory_lock(bigint)"),
        Purpose::State | Purpose::Views => Some("pg_advisory_lock_shared(bigint)"),
        Purpose::Vault => Some("pg_advisory_xact_lock(bigint)"),
        Purpose::Read | Purpose::ReadViews | Purpose::Lease | Purpose::Migrate(_) => None,
    };
    asks.extend(lock.map(|function| {
        format!(
            "SELECT 'EXECUTE ON FUNCTION {function}' \
             WHERE NOT has_function_privilege('pg_catalog.{function}', 'EXECUTE')"
        )
    }));
    let all = format!("{} ORDER BY 1", asks.join(" UNION ALL "));
    session
        .run("look at what this account may do", |connection| diesel::dsl::sql::<Text>(&all).load(connection))
}

/// What is said to whoever can help.
pub(super) fn remedy(lacks: &[String]) -> String {
    let what = match lacks {
        [] => String::new(),
        lacks => format!("this account lacks {}: ", lacks.join(", ")),
    };
    format!(
        "{what}have config/postgres-roles.sql carried out, and see that the account is IN ROLE tallyhouse_writer"
    )
}
