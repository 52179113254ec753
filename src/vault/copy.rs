//! A vault copied as it stands, sealed: from a file or a database to another one.
//!
//! Owns: which tables there are to copy, and the comparison afterwards.
//! Promises: no key is needed and none is looked at; all rows are of one moment; the copy is whole or not there. A vault
//! that holds anything is not written to: it is the same one already, or an error. Nonces stay where they are: they
//! are over some minutes later.
//! Refuses to know: what the records say, and where the key file is kept: the copy needs the same one.

use super::Fault;
use super::file::{AccountRow, AliasRow, File, RecordRow, Stop, Tables, WalletRow};
use crate::store::Home;

/// What a vault holds, counted, and a hash over all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    /// Wallets, erased ones included.
    pub wallets: u64,
    /// Aliases, accounts and records.
    pub others: u64,
    /// Over every cell of every row, in order.
    pub digest: [u8; 32],
}

/// Counts and hashes rows.
struct Digest {
    wallets: u64,
    others: u64,
    hash: blake3::Hasher,
}

impl Digest {
    fn cell(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        self.hash.update(&length.to_le_bytes());
        self.hash.update(bytes.unwrap_or_default());
    }

    fn wallet(&mut self, row: &WalletRow) {
        self.wallets += 1;
        self.cell(Some(&row.id.to_le_bytes()));
        for cell in [Some(&row.blind[..]), row.key.as_deref(), row.sealed.as_deref()] {
            self.cell(cell);
        }
    }

    fn other(&mut self, wallet: Option<i64>, cells: &[Option<&[u8]>]) {
        self.others += 1;
        self.cell(wallet.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
        cells.iter().for_each(|cell| self.cell(*cell));
    }

    fn done(self) -> Copied {
        Copied { wallets: self.wallets, others: self.others, digest: *self.hash.finalize().as_bytes() }
    }
}

/// Takes the rows of a vault, a page at a time, in the order in which they may be inserted.
trait Sink {
    fn wallets(&mut self, rows: Vec<WalletRow>) -> Result<(), Stop>;
    fn aliases(&mut self, rows: Vec<AliasRow>) -> Result<(), Stop>;
    fn accounts(&mut self, rows: Vec<AccountRow>) -> Result<(), Stop>;
    fn records(&mut self, rows: Vec<RecordRow>) -> Result<(), Stop>;
}

/// Nobody: only counted.
struct Nobody;

impl Sink for Nobody {
    fn wallets(&mut self, _: Vec<WalletRow>) -> Result<(), Stop> {
        Ok(())
    }
    fn aliases(&mut self, _: Vec<AliasRow>) -> Result<(), Stop> {
        Ok(())
    }
    fn accounts(&mut self, _: Vec<AccountRow>) -> Result<(), Stop> {
        Ok(())
    }
    fn records(&mut self, _: Vec<RecordRow>) -> Result<(), Stop> {
        Ok(())
    }
}

impl Sink for &mut Tables<'_> {
    fn wallets(&mut self, rows: Vec<WalletRow>) -> Result<(), Stop> {
        self.add_wallets(&rows)
    }
    fn aliases(&mut self, rows: Vec<AliasRow>) -> Result<(), Stop> {
        self.add_aliases(rows)
    }
    fn accounts(&mut self, rows: Vec<AccountRow>) -> Result<(), Stop> {
        self.add_accounts(rows)
    }
    fn records(&mut self, rows: Vec<RecordRow>) -> Result<(), Stop> {
        rows.iter().try_for_each(|row| self.add_record(row))
    }
}

/// Hands over every row.
fn walk(from: &mut Tables<'_>, mut to: impl Sink) -> Result<Copied, Stop> {
    let mut digest = Digest { wallets: 0, others: 0, hash: blake3::Hasher::new() };
    let mut after = i64::MIN;
    loop {
        let rows = from.page_of_wallets(after)?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        rows.iter().for_each(|row| digest.wallet(row));
        to.wallets(rows)?;
    }
    let mut after = vec![];
    loop {
        let rows = from.page_of_aliases(&after)?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.blind);
        rows.iter().for_each(|row| digest.other(Some(row.wallet), &[Some(&row.blind), Some(&row.sealed)]));
        to.aliases(rows)?;
    }
    after.clear();
    loop {
        let rows = from.page_of_accounts(&after)?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.slot);
        for row in &rows {
            digest.other(Some(row.wallet), &[Some(&row.slot), Some(&row.blind), Some(&row.sealed)]);
        }
        to.accounts(rows)?;
    }
    after.clear();
    loop {
        let rows = from.page_of_records(&after)?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.name);
        for row in &rows {
            let cells = [
                Some(&row.name[..]),
                row.secret.as_deref(),
                Some(&row.owner),
                row.state.as_deref(),
                Some(&row.sealed),
            ];
            digest.other(row.wallet, &cells);
        }
        to.records(rows)?;
    }
    Ok(digest.done())
}

/// Copies a vault into one that is empty, or was copied before, and compares the two. `None`: there is no vault to copy.
pub fn copy(from: &Home, to: &Home) -> Result<Option<Copied>, Fault> {
    if !super::file::exists(from)? {
        return Ok(None);
    }
    let (mut source, mut target) = (File::open(from)?, File::open(to)?);
    // One transaction on either side: a moment of the one, all or nothing in the other.
    let sent = source.read("read the vault", |rows| {
        let Some(needed) = rows.needed()? else { return Ok(None) };
        let needed = needed.try_into().map_err(|_| Stop::Damaged("the key's fingerprint"))?;
        let written = target.write("copy the vault", |tables| {
            if tables.needed()?.is_some() {
                // Perhaps the same one, copied before.
                return walk(rows, Nobody);
            }
            tables.fingerprint(&needed)?;
            walk(rows, tables)
        });
        written.map(Some).map_err(Stop::Fault)
    })?;
    let found = target.read("compare the copy", |tables| walk(tables, Nobody))?;
    match sent {
        Some(sent) if sent != found => {
            let why = "it holds another vault, and a copy is made into an empty one only".into();
            Err(Fault::Foreign { path: target.path, why })
        }
        sent => Ok(sent),
    }
}
