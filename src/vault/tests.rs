//! The vault through its interface, and the bytes that it leaves on disk.

use super::file::MIGRATIONS;
use super::*;
use crate::store::cluster;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::MigrationHarness;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

fn unit(code: &str) -> UnitCode {
    code.parse().expect("a unit")
}

pub(super) fn vault(home: impl Into<Home>) -> Vault {
    Vault::open(home).expect("a vault")
}

/// The same in a folder, and in a database.
pub(super) fn on_each(test: impl Fn(&Home)) {
    let dir = tempfile::tempdir().expect("a folder");
    test(&dir.path().into());
    let dir = tempfile::tempdir().expect("a folder");
    let address = cluster::shared().database().parse().expect("an address");
    test(&Home::new(dir.path(), Some(address)));
}

/// All bytes of the database's files.
pub(super) fn bytes(dir: &Path) -> Vec<u8> {
    let mut all = vec![];
    for file in fs::read_dir(dir).expect("the folder") {
        let file = file.expect("a file");
        if file.file_name().to_string_lossy().starts_with("vault.sqlite") {
            all.extend(fs::read(file.path()).expect("bytes"));
        }
    }
    assert!(all.len() > 4096);
    all
}

pub(super) fn holds(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn migrations_go_up_down_and_up_again() {
    fn schema(connection: &mut SqliteConnection) -> Vec<String> {
        let query = "SELECT 'id ' || application_id FROM pragma_application_id UNION ALL \
                     SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema \
                     WHERE name NOT LIKE '%diesel_schema_migrations%' ORDER BY 1";
        diesel::dsl::sql::<Text>(query).load(connection).expect("the schema")
    }
    let mut connection = SqliteConnection::establish(":memory:").expect("a database");
    let empty = schema(&mut connection);
    connection.run_pending_migrations(MIGRATIONS).expect("up");
    let full = schema(&mut connection);
    assert!(full.len() > 8, "{full:?}");
    connection.revert_all_migrations(MIGRATIONS).expect("down");
    assert_eq!(schema(&mut connection), empty);
    connection.run_pending_migrations(MIGRATIONS).expect("up again");
    assert_eq!(schema(&mut connection), full);
}

#[test]
fn wallets_aliases_and_accounts_there_and_back() {
    on_each(|home| {
        let (harvest, voyage) = (unit("HARVEST"), unit("VOYAGE"));
        let (wallets, accounts);
        {
            let vault = vault(home);
            assert_eq!(vault.wallet_of("card 1").expect("none"), None);
            wallets = vault.create_wallets(&["card 1", "card 2", "card 1"]).expect("wallets");
            assert_eq!(wallets[0], wallets[2]);
            assert_ne!(wallets[0], wallets[1]);
            let wanted =
                [(wallets[0], voyage), (wallets[1], harvest), (wallets[0], harvest), (wallets[0], voyage)];
            accounts = vault.ensure_accounts(&wanted).expect("accounts");
            assert_eq!(accounts[0], accounts[3]);
            vault.add_alias(wallets[0], "phone 9").expect("an alias");
            vault.add_alias(wallets[0], "phone 9").expect("again");
        }
        // Once from an open vault's memory, once from the file alone.
        for vault in [vault(home), vault(home)] {
            for _ in 0..2 {
                let found = vault.wallets_of(&["card 2", "nobody", "phone 9"]).expect("an answer");
                assert_eq!(found, [Some(wallets[1]), None, Some(wallets[0])]);
                assert_eq!(vault.aliases(wallets[0]).expect("aliases"), ["card 1", "phone 9"]);
                assert_eq!(vault.account(wallets[0], voyage).expect("an answer"), Some(accounts[0]));
                assert_eq!(vault.account(wallets[1], voyage).expect("an answer"), None);
                let both = [(harvest, accounts[2]), (voyage, accounts[0])];
                assert_eq!(vault.accounts(wallets[0]).expect("accounts"), both);
                assert_eq!(vault.wallet_of_account(accounts[1]).expect("an answer"), Some(wallets[1]));
                assert_eq!(vault.wallet_of_account(AccountId(5)).expect("an answer"), None);
            }
            assert_eq!(vault.create_wallets(&["card 2", "card 1"]).expect("known"), [wallets[1], wallets[0]]);
            assert_eq!(vault.ensure_accounts(&[(wallets[0], voyage)]).expect("known"), [accounts[0]]);
        }
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    on_each(|home| {
        let vault = vault(home);
        let wallets = vault.create_wallets(&["a", "b"]).expect("wallets");
        assert!(matches!(vault.add_alias(wallets[0], "b"), Err(Fault::AliasTaken(_))));
        assert!(matches!(vault.add_alias(WalletId(1), "c"), Err(Fault::NoWallet(WalletId(1)))));
        assert!(matches!(vault.create_wallets(&["c", ""]), Err(Fault::Alias(0))));
        assert!(matches!(vault.wallet_of(&"x".repeat(257)), Err(Fault::Alias(257))));
        assert!(matches!(vault.erase(WalletId(1)), Err(Fault::NoWallet(_))));
        let wanted = [(wallets[0], unit("HARVEST")), (WalletId(1), unit("HARVEST"))];
        assert!(matches!(vault.ensure_accounts(&wanted), Err(Fault::NoWallet(WalletId(1)))));
        assert_eq!(vault.accounts(wallets[0]).expect("none"), []);
        assert_eq!(vault.wallet_of("c").expect("none"), None);
        assert_eq!(vault.accounts(WalletId(1)).expect("none"), []);
        assert_eq!(vault.create_wallets::<&str>(&[]).expect("none"), []);
        assert_eq!(vault.ensure_accounts(&[]).expect("none"), []);
    });
}

#[test]
fn nothing_in_the_files_can_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let marker = "member-4711-of-nowhere";
    let vault = vault(dir.path());
    let wallet = vault.create_wallets(&[marker]).expect("a wallet")[0];
    vault.add_alias(wallet, "somebody@example.com").expect("an alias");
    let account = vault.ensure_accounts(&[(wallet, unit("MARKERUNIT"))]).expect("an account")[0];
    let secrets: Vec<Vec<u8>> = vec![
        marker.into(),
        b"somebody".into(),
        b"MARKERUNIT".into(),
        wallet.0.to_be_bytes().into(),
        wallet.0.to_le_bytes().into(),
        account.0.to_be_bytes().into(),
        wallet.to_string()[3..].into(),
        account.to_string()[3..].into(),
        // Nor an index that anybody could compute.
        blake3::hash(marker.as_bytes()).as_bytes()[..16].into(),
    ];
    let open = bytes(dir.path());
    drop(vault);
    let closed = bytes(dir.path());
    let key = keyfile::secret(&KeyFolder::at(dir.path()).vault_path()).expect("the key");
    for secret in secrets.iter().map(Vec::as_slice).chain([&key[..], b64(&key).as_bytes()]) {
        assert!(!holds(&open, secret) && !holds(&closed, secret), "{}", String::from_utf8_lossy(secret));
    }
    assert!(holds(&closed, b"CREATE TABLE wallet"), "the search finds what is there");
}

#[test]
fn erasing_makes_a_person_unreadable() {
    let dir = tempfile::tempdir().expect("a folder");
    let vault = vault(dir.path());
    let wallets = vault.create_wallets(&["gone", "stays"]).expect("wallets");
    let wanted = [(wallets[0], unit("HARVEST")), (wallets[1], unit("HARVEST"))];
    let accounts = vault.ensure_accounts(&wanted).expect("accounts");
    let rows = {
        let mut inner = vault.inner();
        let Inner { file, master, .. } = &mut *inner;
        let blinds = [wallet_blind(master, wallets[0]), wallet_blind(master, wallets[1])];
        file.read("read", |tables| tables.wallets(&blinds)).expect("rows")
    };
    let of = |wallet| {
        let blind = wallet_blind(&vault.inner().master, wallet);
        rows.iter().find(|row| row.blind == blind).cloned().expect("a row")
    };
    let (gone, stays) = (of(wallets[0]), of(wallets[1]));
    for sealed in [&gone.key, &gone.sealed, &stays.key] {
        assert!(holds(&bytes(dir.path()), sealed.as_deref().expect("there before")));
    }

    vault.erase(wallets[0]).expect("erased");
    for _ in 0..2 {
        assert_eq!(vault.wallet_of("gone").expect("none"), None);
        assert_eq!(vault.account(wallets[0], unit("HARVEST")).expect("none"), None);
        assert_eq!(vault.wallet_of_account(accounts[0]).expect("none"), None);
        assert_eq!(
            (vault.accounts(wallets[0]).expect("none"), vault.aliases(wallets[0]).expect("none")),
            (vec![], vec![])
        );
        assert!(matches!(vault.ensure_accounts(&wanted[..1]), Err(Fault::NoWallet(_))));
        vault.erase(wallets[0]).expect("again");
    }
    let after = bytes(dir.path());
    for sealed in [&gone.key, &gone.sealed] {
        assert!(!holds(&after, sealed.as_deref().expect("there before")), "the key is destroyed");
    }
    assert!(holds(&after, stays.key.as_deref().expect("there")));

    assert_eq!(vault.account(wallets[1], unit("HARVEST")).expect("an answer"), Some(accounts[1]));
    let again = vault.create_wallets(&["gone", "stays"]).expect("wallets");
    assert_ne!(again[0], wallets[0]);
    assert_eq!(again[1], wallets[1]);
}

#[test]
fn another_key_or_none_is_said_so_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().expect("a folder");
    let wallet = vault(dir.path()).create_wallets(&["a"]).expect("a wallet")[0];
    let path = KeyFolder::at(dir.path()).vault_path();
    let kept = fs::read_to_string(&path).expect("the key");
    let fault = || Vault::open(dir.path()).err().expect("a fault");

    fs::write(&path, b64(&[7; 32])).expect("written");
    let wrong = fault();
    assert!(matches!(wrong, Fault::WrongKey { .. }), "{wrong}");
    assert!(wrong.to_string().contains("vault.key") && wrong.to_string().contains("vault.sqlite"));
    fs::write(&path, "no key").expect("written");
    assert!(matches!(fault(), Fault::BadKey { .. }));
    fs::remove_file(&path).expect("removed");
    assert!(matches!(fault(), Fault::KeyLost { .. }));
    assert!(!path.exists(), "no new key for an old vault");

    fs::write(&path, kept).expect("restored");
    assert_eq!(vault(dir.path()).wallet_of("a").expect("an answer"), Some(wallet));
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("vault.sqlite");
    for other in [true, false] {
        if other {
            let url = path.to_str().expect("UTF-8");
            let mut connection = SqliteConnection::establish(url).expect("a database");
            diesel::sql_query("CREATE TABLE theirs (a INTEGER)").execute(&mut connection).expect("a table");
        } else {
            fs::write(&path, "no database at all, but long enough to look at. ".repeat(100))
                .expect("written");
        }
        fs::create_dir_all(dir.path().join("keys")).expect("a folder");
        fs::write(dir.path().join("keys/vault.key"), b64(&[1; 32])).expect("written");
        let before = fs::read(&path).expect("bytes");
        assert!(matches!(Vault::open(dir.path()), Err(Fault::Foreign { .. })));
        assert_eq!(fs::read(&path).expect("bytes"), before);
    }
}

#[test]
fn a_changed_or_moved_record_is_damage() {
    // Each time, somebody who can write the file but lacks its key makes member "a" the owner of what is
    // of member "b". All records are genuine; they stand in the wrong place.
    let swap = |table, column| {
        // The two values are kept first: a sub-select on the table itself may see the first row changed.
        format!(
            "CREATE TEMP TABLE two AS SELECT min({column}) AS low, max({column}) AS high FROM {table}; \
             UPDATE {table} SET {column} = CASE {column} WHEN (SELECT low FROM two) \
                 THEN (SELECT high FROM two) ELSE (SELECT low FROM two) END"
        )
    };
    let statements = [
        swap("alias", "wallet"),
        swap("alias", "sealed"),
        swap("account", "wallet"),
        "CREATE TEMP TABLE t AS SELECT slot, blind FROM account; UPDATE account SET blind = randomblob(16); \
         UPDATE account SET blind = (SELECT t.blind FROM t WHERE t.slot <> account.slot)"
            .to_owned(),
        swap("account", "sealed"),
        swap("wallet", "key"),
        swap("wallet", "sealed"),
    ];
    for statement in statements {
        let dir = tempfile::tempdir().expect("a folder");
        let (wallets, accounts) = {
            let vault = vault(dir.path());
            let wallets = vault.create_wallets(&["a", "b"]).expect("wallets");
            let wanted = [(wallets[0], unit("HARVEST")), (wallets[1], unit("HARVEST"))];
            (wallets, vault.ensure_accounts(&wanted).expect("accounts"))
        };
        let path = dir.path().join("vault.sqlite");
        let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database");
        connection.batch_execute(&statement).expect("changed");
        drop(connection);
        let vault = vault(dir.path());
        let answers = [
            vault.wallet_of("a").map(|found| found == Some(wallets[0])),
            vault.wallet_of_account(accounts[0]).map(|found| found == Some(wallets[0])),
            vault.account(wallets[0], unit("HARVEST")).map(|found| found == Some(accounts[0])),
        ];
        assert!(answers.iter().all(|answer| !matches!(answer, Ok(false))), "{statement}: a wrong answer");
        assert!(answers.iter().any(|answer| matches!(answer, Err(Fault::Damaged { .. }))), "{statement}");
    }
}

#[test]
fn a_record_of_another_room_is_damage_where_it_was_moved() {
    // The two values are kept first: a sub-select on the table itself may see the first row changed.
    let swap = |column| {
        format!(
            "CREATE TEMP TABLE two AS SELECT min({column}) AS low, max({column}) AS high FROM record; \
             UPDATE record SET {column} = CASE {column} WHEN (SELECT low FROM two) \
                 THEN (SELECT high FROM two) ELSE (SELECT low FROM two) END"
        )
    };
    let new_secret = "UPDATE record SET secret = randomblob(16)".to_owned();
    let no_person = "UPDATE record SET wallet = NULL".to_owned();
    for statement in [swap("owner"), swap("sealed"), new_secret, no_person] {
        let dir = tempfile::tempdir().expect("a folder");
        let now = crate::types::Time::from_seconds(10).expect("an instant");
        let (ids, whoms) = {
            let vault = vault(dir.path());
            let wallet = vault.create_wallet().expect("a wallet");
            let whoms = [Whom::Operator, Whom::Wallet(wallet)];
            let make = |whom: &Whom| {
                let new = NewApiKey {
                    whom: whom.clone(),
                    role: "till".into(),
                    scopes: vec![],
                    name: "a".into(),
                    expires: now.plus_seconds(60),
                    live: false,
                };
                vault.create_api_key(new, now).expect("a key").0.id
            };
            (whoms.each_ref().map(make), whoms)
        };
        let path = dir.path().join("vault.sqlite");
        let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database");
        connection.batch_execute(&statement).expect("changed");
        drop(connection);
        let vault = vault(dir.path());
        let damaged = |id: &ApiKeyId| matches!(vault.api_key(*id), Err(Fault::Damaged { .. }));
        assert!(ids.iter().any(damaged), "{statement}");
        let right =
            |whom: &Whom| vault.api_keys(whom).is_ok_and(|keys| keys.iter().any(|key| key.whom != *whom));
        assert!(!whoms.iter().any(right), "{statement}: somebody is given what is another's");
    }
}

#[test]
fn many_at_once_and_a_small_memory() {
    on_each(|home| {
        let vault = Vault::open_with(home, 60, Salts::new()).expect("a vault");
        let aliases: Vec<String> = (0..3_000).map(|i| format!("member {i}")).collect();
        let wallets = vault.create_wallets(&aliases).expect("wallets");
        let found: Vec<_> = wallets.iter().copied().map(Some).collect();
        assert_eq!(vault.wallets_of(&aliases).expect("an answer"), found);
        let wanted: Vec<_> = wallets.iter().map(|wallet| (*wallet, unit("HARVEST"))).collect();
        let accounts = vault.ensure_accounts(&wanted).expect("accounts");
        assert_eq!(vault.ensure_accounts(&wanted).expect("the same"), accounts);
        for i in [0, 1_499, 2_999] {
            assert_eq!(vault.wallet_of_account(accounts[i]).expect("an answer"), Some(wallets[i]));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    /// Any run of calls answers as plain maps do, memory or no memory.
    #[test]
    fn it_answers_as_plain_maps_do(
        calls in prop::collection::vec((0u8..4, 0u8..6, 0u8..3), 1..40),
        served in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let database = served.then(|| cluster::shared().database().parse().expect("an address"));
        let home = Home::new(dir.path(), database);
        let vault = Vault::open_with(&home, 12, Salts::new()).expect("a vault");
        let mut wallets: BTreeMap<u8, WalletId> = BTreeMap::new();
        let mut accounts: BTreeMap<(WalletId, UnitCode), AccountId> = BTreeMap::new();
        for (call, who, which) in calls {
            let (alias, unit) = (format!("member {who}"), unit(["HARVEST", "VOYAGE", "CINEMA"][usize::from(which)]));
            match (call, wallets.get(&who).copied()) {
                (0, known) => {
                    let made = vault.create_wallets(&[alias]).expect("a wallet")[0];
                    prop_assert!(known.is_none_or(|known| known == made));
                    prop_assert!(known.is_some() || wallets.values().all(|wallet| *wallet != made));
                    wallets.insert(who, made);
                }
                (1, Some(wallet)) => {
                    let made = vault.ensure_accounts(&[(wallet, unit)]).expect("an account")[0];
                    let known = accounts.insert((wallet, unit), made);
                    prop_assert!(known.is_none_or(|known| known == made));
                }
                (2, Some(wallet)) => {
                    vault.erase(wallet).expect("erased");
                    wallets.remove(&who);
                    accounts.retain(|(owner, _), _| *owner != wallet);
                }
                (_, known) => {
                    prop_assert_eq!(vault.wallet_of(&alias).expect("an answer"), known);
                    let Some(wallet) = known else { continue };
                    let wanted = accounts.get(&(wallet, unit)).copied();
                    prop_assert_eq!(vault.account(wallet, unit).expect("an answer"), wanted);
                    if let Some(account) = wanted {
                        prop_assert_eq!(vault.wallet_of_account(account).expect("an answer"), Some(wallet));
                    }
                }
            }
        }
    }
}
