//! A Redis that is reached over TLS: by the authority and the name that its certificate is from, and by no other.

use crate::common::redis::{Redis, free_port};
use crate::stage::{HOLDERS, Stage};
use std::path::Path;
use std::process::Command;
use tallyhouse::app::compare_cache;

/// A server's certificate for this host, by an authority of its own: three files.
fn certificate(dir: &Path, host: &str) -> [String; 3] {
    let path = |name: &str| dir.join(format!("{host}-{name}.pem")).display().to_string();
    let (ca, ca_key, asked) = (path("ca"), path("ca-key"), path("asked"));
    let (certificate, key, names) = (path("certificate"), path("key"), path("names"));
    std::fs::write(&names, format!("subjectAltName=DNS:{host}\n")).expect("written");
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for line in [
        format!("{new} -x509 -days 2 -subj /CN=authority -keyout {ca_key} -out {ca}"),
        format!("{new} -subj /CN={host} -keyout {key} -out {asked}"),
        format!(
            "x509 -req -days 2 -in {asked} -CA {ca} -CAkey {ca_key} -CAcreateserial -extfile {names} -out {certificate}"
        ),
    ] {
        let said = Command::new("openssl")
            .args(line.split(' '))
            .output()
            .expect("apt install openssl; ./test does it");
        assert!(said.status.success(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
    }
    [ca, certificate, key]
}

#[test]
fn over_tls_by_the_authority_and_the_name_that_are_wanted() {
    let dir = tempfile::tempdir().expect("a folder");
    let [ca, certificate_file, key] = certificate(dir.path(), "localhost");
    let [other, ..] = certificate(dir.path(), "elsewhere");
    let port = free_port();
    let words =
        ["--tls-port", &port.to_string(), "--tls-cert-file", &certificate_file, "--tls-key-file", &key];
    let redis = Redis::with(&[&words[..], &["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]].concat());
    let mut stage = Stage::at(redis, format!("rediss://localhost:{port}?sslrootcert={ca}"));
    stage.read_out_of_redis();
    stage.award_all();
    stage.fed();
    stage.read_out_of_redis();
    assert_eq!(stage.compared(), HOLDERS as u64);
    let read = stage.engine().read();
    for wrong in [
        // Another authority, another name, the system's authorities, and no TLS at all.
        format!("rediss://localhost:{port}?sslrootcert={other}"),
        format!("rediss://127.0.0.1:{port}?sslrootcert={ca}"),
        format!("rediss://localhost:{port}"),
        format!("redis://localhost:{port}"),
    ] {
        assert!(compare_cache(&**read, &wrong, stage.world.net, stage.mac()).is_err(), "{wrong}");
    }
}
