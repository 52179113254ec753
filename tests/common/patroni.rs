//! Three PostgreSQL servers under Patroni, with etcd: one is the primary, one its synchronous standby, strictly.
//!
//! Owns: the processes, in a temporary folder and on ports of their own; what can happen to them.
//! Promises: all of it is gone when the program has ended, however it ended. A shell watches a pipe that only this
//! program holds open. Where the programs are missing the test fails.
//! Refuses to know: what is kept in the databases.

#![allow(dead_code, unreachable_pub)]

use super::cluster::programs;
use super::http::Ask;
use super::redis::free_port;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Servers.
pub const NODES: usize = 3;
/// Longest that a test waits for the cluster.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts etcd and a Patroni for each pair of ports, says "ready", and takes orders until its standard input ends. No
/// server runs as root. `ttl` is how long a primary is taken to be there that says nothing: newer versions of Patroni make
/// at least 20 of it. Memory is shared through files of the folder, so that a server which is killed leaves nothing.
const KEEPER: &str = r#"
set -eu
bin=$1 dir=$2 etcd=$3 peer=$4
shift 4
cd "$dir"
own() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
    fi
    exec "$@"
}
theirs() {
    if [ "$(id -u)" = 0 ]; then chown -R postgres "$@"; fi
}
postmaster() { head -1 "$dir/$1/data/postmaster.pid" 2>/dev/null || true; }
end() {
    for n in 1 2 3; do
        if [ -e "$dir/$n.pid" ]; then kill -KILL "$(cat "$dir/$n.pid")" 2>/dev/null || true; fi
        pid=$(postmaster "$n")
        if [ -n "$pid" ]; then kill -QUIT "$pid" 2>/dev/null || true; fi
    done
    for n in 1 2 3; do
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            pid=$(postmaster "$n")
            if [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; then break; fi
            sleep 0.1
        done
    done
    kill -KILL "$etcd_pid" 2>/dev/null || true
    wait || true
    rm -rf "$dir"
}
etcd_pid=
trap end EXIT
theirs "$dir"
(own etcd --name one --data-dir "$dir/etcd" --unsafe-no-fsync --heartbeat-interval 100 --election-timeout 1000 \
    --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "one=http://127.0.0.1:$peer" >"$dir/etcd.log" 2>&1) &
etcd_pid=$!
patroni() {
    (own patroni "$dir/$1.yml" >>"$dir/$1.log" 2>&1) &
    echo $! >"$dir/$1.pid"
}
n=0
for pair in "$@"; do
    n=$((n + 1))
    mkdir "$dir/$n"
    cat >"$dir/$n.yml" <<YML
scope: points
namespace: /tallyhouse/
name: "$n"
restapi: {listen: "127.0.0.1:${pair#*:}", connect_address: "127.0.0.1:${pair#*:}"}
etcd3: {host: "127.0.0.1:$etcd"}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {fsync: "off", max_connections: 100, shared_buffers: 32MB, wal_log_hints: "on", lc_messages: C, dynamic_shared_memory_type: mmap}
  initdb: [encoding: UTF8, locale: C.UTF-8, no-sync]
postgresql:
  listen: "127.0.0.1:${pair%:*}"
  connect_address: "127.0.0.1:${pair%:*}"
  data_dir: "$dir/$n/data"
  bin_dir: "$bin"
  pgpass: "$dir/$n/pgpass"
  pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local all all trust"]
  authentication: {superuser: {username: tally}, replication: {username: follower}, rewind: {username: rewinder}}
  parameters: {unix_socket_directories: "$dir/$n"}
YML
    theirs "$dir/$n" "$dir/$n.yml"
    patroni "$n"
done
echo ready
while read -r order n; do
    case "$order" in
        kill) kill -KILL "$(cat "$dir/$n.pid")" "$(postmaster "$n")" || true; echo done ;;
        start) patroni "$n"; echo done ;;
    esac
done
"#;

/// See the module.
pub struct Patroni {
    bin: PathBuf,
    dir: PathBuf,
    /// Where each server listens, and its Patroni.
    ports: Vec<(u16, u16)>,
    keeper: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Patroni {
    /// Returns when there is a primary with a synchronous standby, and the rest follow.
    pub fn start() -> Self {
        for program in ["patroni", "etcd"] {
            let there =
                Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
            assert!(
                there,
                "{program} does not run: ./test installs it, or apt-get install patroni etcd-server"
            );
        }
        let bin = programs();
        let dir = tempfile::Builder::new().prefix("tallyhouse-ha-").tempdir().expect("a folder").keep();
        let ports: Vec<(u16, u16)> = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&bin).arg(&dir);
        command.args([free_port().to_string(), free_port().to_string()]);
        command.args(ports.iter().map(|(server, rest)| format!("{server}:{rest}")));
        // What interrupts the tests at the terminal must not interrupt who cleans up after them.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let answers = BufReader::new(keeper.stdout.take().expect("its output"));
        let mut cluster = Self { bin, dir, ports, keeper, answers };
        cluster.said("ready");
        cluster.whole();
        cluster
    }

    fn said(&mut self, wanted: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("its output");
        assert_eq!(line.trim_end(), wanted, "{}", self.logs());
    }

    fn order(&mut self, order: &str) {
        let input = self.keeper.stdin.as_mut().expect("its input");
        std::io::Write::write_all(input, format!("{order}\n").as_bytes()).expect("told");
        self.said("done");
    }

    /// The end of what each said.
    fn logs(&self) -> String {
        let last = |name: &str| {
            let text = std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(8).collect();
            format!("{name}: {}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        ["etcd.log", "1.log", "2.log", "3.log"].map(last).concat()
    }

    /// The address of a database, with all servers as its hosts.
    pub fn address(&self, database: &str) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("postgres://tally@{}/{database}", hosts.join(","))
    }

    /// The members as one of the Patronis that answer sees them: which of them is what.
    pub fn roles(&self) -> Vec<(usize, String)> {
        let asked = self.ports.iter().find_map(|(_, rest)| {
            std::net::TcpStream::connect(("127.0.0.1", *rest)).ok()?;
            let reply = Ask::get("/cluster").send(([127, 0, 0, 1], *rest).into());
            (reply.status == 200).then(|| reply.json())
        });
        let all = asked.unwrap_or_default()["members"].as_array().cloned().unwrap_or_default();
        let role = |member: &Value| {
            let running = matches!(member["state"].as_str(), Some("running" | "streaming"));
            let name = member["name"].as_str()?.parse().ok()?;
            running.then(|| (name, member["role"].as_str().unwrap_or_default().to_owned()))
        };
        all.iter().filter_map(role).collect()
    }

    /// Waits until a primary has its synchronous standby and all servers run.
    pub fn whole(&self) {
        let begun = Instant::now();
        loop {
            let roles = self.roles();
            let has = |role: &str| roles.iter().any(|(_, have)| have == role);
            if roles.len() == NODES && has("leader") && has("sync_standby") {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{roles:?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Which one is the primary.
    pub fn primary(&self) -> usize {
        let roles = self.roles();
        roles.iter().find(|(_, role)| role == "leader").unwrap_or_else(|| panic!("{roles:?}")).0
    }

    /// SIGKILL for a server and its Patroni: a machine that lost its power.
    pub fn kill(&mut self, node: usize) {
        self.order(&format!("kill {node}"));
    }

    /// Starts one again.
    pub fn start_again(&mut self, node: usize) {
        self.order(&format!("start {node}"));
    }

    /// Has SQL carried out at a server.
    pub fn sql(&self, node: usize, database: &str, sql: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "tally"]);
        command.args(["-p", &self.ports[node - 1].0.to_string(), "-d", database, "-c", sql]);
        let output = command.output().expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
