//! Keys on the command line: what is printed is what the machine reads.

use super::*;
use crate::cli::tests::tallyhouse;
use crate::machine::{Body, Command, Request};
use crate::sign::Verifier;
use std::path::Path;

const NET: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn ok(data: &Path, line: &str) -> String {
    let (exit, out, err) = tallyhouse(data, line, "");
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""), "{line}");
    out
}

/// What the machine makes of a printed request: nobody vouches for keys but the data folder's.
fn read(data: &Path, printed: &str) -> Command {
    let keys = KeyFolder::at(data);
    let all: Vec<PublicKey> =
        keys.list().expect("keys").iter().map(|(o, n)| keys.load(o, n).expect("a key").public()).collect();
    let request = Request::of(printed.lines().map(str::to_owned).collect());
    let find = |kid| all.iter().find(|key| key.kid() == kid).map(Verifier::new);
    Command::read(&request, net(NET).expect("a network"), &find).expect("a command")
}

#[test]
fn keys_are_made_once_shown_and_listed() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    assert!(ok(data, "keys show").starts_with("there are no keys in "));
    let made = ok(data, "keys new br_harvest root");
    assert_eq!(ok(data, "keys show br_harvest root"), made);
    let kid = made.lines().next().and_then(|line| line.strip_prefix("kid ")).expect("a kid").to_owned();
    assert_eq!(ok(data, "keys show"), format!("{kid}  br_harvest/root\n"));
    let listed: serde_json::Value = serde_json::from_str(&ok(data, "keys show --json")).expect("JSON");
    assert_eq!((&listed[0]["kid"], &listed[0]["owner"]), (&kid.into(), &"br_harvest".into()));
    assert!(listed[0]["jwk"].get("d").is_none(), "never the secret");

    let (exit, _, err) = tallyhouse(data, "keys new br_harvest root", "");
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("never overwritten"), "{err}");
    for line in ["keys show br_harvest issuing", "keys show br_harvest", "keys new nobody root", "keys"] {
        assert_eq!(tallyhouse(data, line, "").0, Exit::Usage, "{line}");
    }
}

#[test]
fn a_wallets_keys_come_from_its_seed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, wallet) = (dir.path(), WalletId(9));
    ok(data, &format!("keys new {wallet}"));
    let shown = ok(data, &format!("keys show {wallet} --unit HARVEST"));
    let seed = KeyFolder::at(data).seed(wallet).expect("the seed");
    let unit: UnitCode = "HARVEST".parse().expect("a unit");
    assert!(shown.contains(&SecretKey::derive(&seed, unit).public().kid().to_string()));
    for line in
        [format!("keys show {wallet}"), format!("keys new {wallet} name"), format!("keys new {wallet}")]
    {
        assert_eq!(tallyhouse(data, &line, "").0, Exit::Usage, "{line}");
    }
}

#[test]
fn a_certificate_is_signed_by_the_root_and_by_the_new_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    for name in ["root", "issuing", "till-7"] {
        ok(data, &format!("keys new br_harvest {name}"));
    }
    let keys = KeyFolder::at(data);
    let kid = |name: &str| {
        let owner = Owner::Brand("br_harvest".parse().expect("a brand"));
        keys.load(&owner, &name.parse().expect("a name")).expect("a key").public().kid()
    };
    let line = format!(
        "keys certify br_harvest issuing --purpose issuing --net {NET} --from 2026-01-01 --until 2027-01-01"
    );
    let command = read(data, &ok(data, &line));
    let Body::Certify(cert) = &command.body else { panic!("{:?}", command.body) };
    assert_eq!((command.asked.kid, &command.asked.approvals[..]), (kid("root"), &[kid("issuing")][..]));
    assert_eq!((cert.key.kid(), cert.owner.as_str()), (kid("issuing"), "br_harvest"));
    assert_eq!((cert.from, cert.until, &cert.till), (1_767_225_600, Some(1_798_761_600), &None));

    let till = format!(
        "keys certify br_harvest till-7 --purpose till --net {NET} --store s1 --till t7 --participant pa_h --currency EUR --per-day 5000"
    );
    let command = read(data, &ok(data, &till));
    let Body::Certify(cert) = &command.body else { panic!("{:?}", command.body) };
    let claims = cert.till.as_ref().expect("a till's");
    let limits = claims.limits.as_ref().expect("limits");
    assert_eq!((claims.till.as_str(), limits.day, limits.hour), ("t7", Money::new(5_000), None));

    assert_eq!(cert.held, None);
    let held = line.clone() + " --held-per-account-day 5 --held-per-day 70";
    let command = read(data, &ok(data, &held));
    let Body::Certify(cert) = &command.body else { panic!("{:?}", command.body) };
    assert_eq!(cert.held, Some(HeldCaps { per_account_day: 5, per_day: 70 }));

    let json: serde_json::Value = serde_json::from_str(&ok(data, &(line.clone() + " --json"))).expect("JSON");
    assert_eq!(json["jws"].as_array().map(Vec::len), Some(2));

    for wrong in [
        line.replace("--purpose issuing", "--purpose till"),
        line.clone() + " --store s1",
        line.clone() + " --held-per-day 70",
        line.replace("--purpose issuing", "--purpose iissuing"),
        line.replace(NET, "aa"),
        line.replace(&format!("--net {NET}"), ""),
        line.replace("br_harvest issuing", "br_harvest other"),
    ] {
        assert_eq!(tallyhouse(data, &wrong, "").0, Exit::Usage, "{wrong}");
    }
}

#[test]
fn a_key_that_the_network_holds_is_certified_and_budgeted_by_its_public_half() {
    let (dir, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let data = dir.path();
    ok(data, "keys new br_harvest root");
    let printed = ok(elsewhere.path(), "keys new br_harvest held");
    let (kid, jwk) = printed.trim().split_once('\n').expect("two lines");
    let kid = kid.strip_prefix("kid ").expect("a kid");
    let answer = format!(r#"{{"kid":"{kid}","key":{jwk},"purpose":"issuing"}}"#);
    let caps = format!("--held-per-account-day 5 --held-per-day 70 --net {NET}");
    for (name, text) in [("jwk", jwk), ("answer", &answer)] {
        let file = data.join(name);
        std::fs::write(&file, text).expect("written");
        let line = format!("keys certify br_harvest --purpose issuing {caps} --public @{}", file.display());
        let command = read(data, &ok(data, &line));
        let Body::Certify(cert) = &command.body else { panic!("{:?}", command.body) };
        assert_eq!((cert.key.kid().to_string().as_str(), command.asked.approvals.len()), (kid, 0));
        assert_eq!(cert.held, Some(HeldCaps { per_account_day: 5, per_day: 70 }));
    }
    let line = format!(
        "keys budget br_harvest --key {kid} --unit HARVEST --serial 1 --ceiling 10 --hourly 10 --until 2027-01-01 \
         --net {NET}"
    );
    let command = read(data, &ok(data, &line));
    let Body::SetBudget(claims) = &command.body else { panic!("{:?}", command.body) };
    assert_eq!(claims.key.to_string(), kid);
    for wrong in [
        line.replace("--key", "held --key"),
        line.replace(&format!("--key {kid}"), ""),
        format!("keys certify br_harvest held --purpose issuing {caps} --public {{}}"),
        format!("keys certify br_harvest --purpose issuing {caps} --public {{}}"),
        format!("keys certify br_harvest --purpose issuing {caps}"),
    ] {
        assert_eq!(tallyhouse(data, &wrong, "").0, Exit::Usage, "{wrong}");
    }
}

#[test]
fn several_operator_roots_stand_behind_a_certificate() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    for name in ["root-1", "root-2", "desk"] {
        ok(data, &format!("keys new operator {name}"));
    }
    let line = format!("keys certify operator desk --purpose operations --by root-1 --by root-2 --net {NET}");
    let (exit, _, err) = tallyhouse(data, &line, "");
    assert!(exit == Exit::Usage && err.contains("says whose it is: --person"), "{err}");
    let line = format!("{line} --person ana");
    assert_eq!(read(data, &ok(data, &line)).asked.signers().len(), 3);
}

#[test]
fn a_budget_is_signed_by_the_root() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    for name in ["root", "issuing"] {
        ok(data, &format!("keys new br_harvest {name}"));
    }
    let line = format!(
        "keys budget br_harvest issuing --unit HARVEST --serial 2 --ceiling 1000 --hourly 10 --until 2027-01-01 \
         --backfill-from 2026-01-01 --backfill-until 2026-01-02 --net {NET}"
    );
    let command = read(data, &ok(data, &line));
    let Body::SetBudget(claims) = &command.body else { panic!("{:?}", command.body) };
    assert_eq!((claims.serial, claims.ceiling.get(), claims.hourly.get()), (2, 1_000, 10));
    assert_eq!(claims.backfill, Some(Window { from: 1_767_225_600, until: 1_767_312_000 }));
    for wrong in
        [line.replace(" --backfill-until 2026-01-02", ""), line.replace("--hourly 10", "--hourly -1")]
    {
        assert_eq!(tallyhouse(data, &wrong, "").0, Exit::Usage, "{wrong}");
    }
}

#[test]
fn certificates_of_nodes_are_made_once_and_anew_when_that_is_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, to) = (dir.path(), dir.path().join("peers"));
    let line = format!("keys peers a=127.0.0.1 b=node-b.internal,10.0.0.5 --to {}", to.display());
    assert_eq!(ok(data, &line).lines().count(), 6, "the authority's two, and two for each");
    let all = || {
        ["ca.pem", "ca.key", "a.pem", "a.key", "b.pem", "b.key"]
            .map(|name| std::fs::read(to.join(name)).expect("there"))
    };
    let before = all();
    let (exit, _, err) = tallyhouse(data, &line, "");
    assert!(exit == Exit::Usage && err.contains("a.pem is there already; --renew writes over it"), "{err}");
    assert_eq!(all(), before);
    ok(data, &format!("keys peers a=127.0.0.1 --to {} --renew", to.display()));
    let after = all();
    let changed: Vec<usize> = (0..6).filter(|n| before[*n] != after[*n]).collect();
    assert_eq!(changed, [2, 3], "a's, and nothing else");
    assert_eq!(std::fs::read_dir(&to).expect("a folder").count(), 6, "nothing is left over");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(to.join("a.key")).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let load = |name: &str| {
        let at = |end: &str| to.join(format!("{name}.{end}"));
        crate::peers::Identity::load(&to.join("ca.pem"), &at("pem"), &at("key"), None)
    };
    assert!(load("a").is_ok() && load("b").is_ok(), "both are of the one authority");
}
