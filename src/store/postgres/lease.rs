//! The lease: which of the nodes that share a database writes.
//!
//! Owns: the table `lease`, the server's clock, by which it runs, and the end of connections that a writer before this one
//! left.
//! Promises: one node holds it at a time, by the server's clock; each time it changes hands its term is a larger one. It
//! is an agreement, not the fence: that is the tip of the log.
//! Refuses to know: what a writer does.

use super::super::fault::Fault;
use super::schema;
use super::session::{Database, Purpose, Session};
use crate::types::Time;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Text};
use std::time::Duration;

/// The lease as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Who holds it, or held it last.
    pub holder: String,
    /// Where that node is reached by the others.
    pub address: String,
    /// How often it changed hands.
    pub term: u64,
    /// How long it is held yet; zero: nobody holds it.
    pub left: Duration,
    /// What time the server has.
    pub now: Time,
}

/// One node's hand on the lease.
pub struct Lease {
    database: Database,
    holder: String,
    address: String,
    length: Duration,
    /// None after a fault.
    session: Option<Session>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    holder: String,
    #[diesel(sql_type = Text)]
    address: String,
    #[diesel(sql_type = BigInt)]
    term: i64,
    #[diesel(sql_type = BigInt)]
    left_us: i64,
    #[diesel(sql_type = BigInt)]
    now_us: i64,
}

const SHOWN: &str = "holder, address, term, \
     greatest(0, (extract(epoch FROM until - clock_timestamp()) * 1000000))::bigint AS left_us, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us";

impl Row {
    fn held(self) -> Held {
        let whole = |n: i64| u64::try_from(n).unwrap_or_default();
        Held {
            holder: self.holder,
            address: self.address,
            term: whole(self.term),
            left: Duration::from_micros(whole(self.left_us)),
            now: Time::from_micros(self.now_us).unwrap_or_default(),
        }
    }
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    now_us: i64,
}

impl Database {
    /// What time the server has.
    pub fn time(&self) -> Result<Time, Fault> {
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us";
        let mut session = self.open(Purpose::Lease)?;
        let row = session.run("read the server's clock", |connection| {
            diesel::sql_query(query).get_result::<Now>(connection)
        });
        let row = row.map_err(|fault| session.lost(fault))?;
        Ok(Time::from_micros(row.now_us).unwrap_or_default())
    }
}

impl Lease {
    /// The lease of a database, for a node that calls itself `holder`, a name that no other process has, and is reached
    /// at `address`. It is taken for `length` at a time.
    pub fn of(database: &Database, holder: String, address: String, length: Duration) -> Self {
        Self { database: database.clone(), holder, address, length, session: None }
    }

    /// What this node calls itself.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    fn with<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut super::PgConnection) -> QueryResult<T>,
    ) -> Result<T, Fault> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.database.open(Purpose::Lease)?,
        };
        let done = session.run(doing, work).map_err(|fault| session.lost(fault))?;
        self.session = Some(session);
        Ok(done)
    }

    fn seconds(&self) -> f64 {
        self.length.as_secs_f64()
    }

    /// As it stands; `None`: nobody ever held it.
    pub fn look(&mut self) -> Result<Option<Held>, Fault> {
        let query = diesel::sql_query(format!("SELECT {SHOWN} FROM lease WHERE id = 1"));
        self.with("read the lease", |connection| query.get_result::<Row>(connection).optional())
            .map(|row| row.map(Row::held))
    }

    /// Takes it, if nobody holds it. `None`: somebody does.
    pub fn take(&mut self) -> Result<Option<Held>, Fault> {
        let query = diesel::sql_query(format!(
            "INSERT INTO lease AS l (id, holder, address, term, until) \
             VALUES (1, $1, $2, 1, clock_timestamp() + make_interval(secs => $3)) \
             ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, address = excluded.address, term = l.term + 1, \
             until = clock_timestamp() + make_interval(secs => $3) WHERE l.until < clock_timestamp() RETURNING {SHOWN}"
        ));
        let query = query
            .bind::<Text, _>(self.holder.clone())
            .bind::<Text, _>(self.address.clone())
            .bind::<Double, _>(self.seconds());
        self.with("take the lease", |connection| query.get_result::<Row>(connection).optional())
            .map(|row| row.map(Row::held))
    }

    /// Holds it for longer. False: it is another's by now, or of another term.
    pub fn renew(&mut self, term: u64) -> Result<bool, Fault> {
        let query = diesel::sql_query(
            "UPDATE lease SET until = clock_timestamp() + make_interval(secs => $1) \
             WHERE id = 1 AND holder = $2 AND term = $3",
        );
        let query = query
            .bind::<Double, _>(self.seconds())
            .bind::<Text, _>(self.holder.clone())
            .bind::<BigInt, _>(i64::try_from(term).unwrap_or(i64::MAX));
        self.with("renew the lease", |connection| query.execute(connection)).map(|rows| rows == 1)
    }

    /// Lets go of it, if it is held still: whoever wants it need not wait.
    pub fn give_up(&mut self, term: u64) -> Result<(), Fault> {
        let query = diesel::sql_query(
            "UPDATE lease SET until = clock_timestamp() - interval '1 millisecond' \
             WHERE id = 1 AND holder = $1 AND term = $2",
        );
        let query = query
            .bind::<Text, _>(self.holder.clone())
            .bind::<BigInt, _>(i64::try_from(term).unwrap_or(i64::MAX));
        self.with("give up the lease", |connection| query.execute(connection)).map(drop)
    }

    /// Ends what connections a writer before this one has open, those of a process that is paused too: it may hold locks.
    /// Whoever calls this holds the lease, and none of those connections.
    pub fn clear_way(&mut self) -> Result<usize, Fault> {
        self.with("end the connections of the writer before", schema::end_writers)
    }
}
