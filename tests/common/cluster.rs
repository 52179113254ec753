//! A PostgreSQL server for the tests of one program.
//!
//! Owns: a throw-away cluster in a temporary folder: made when first asked for, gone when the program has ended,
//! however it ended. A shell watches a pipe that only this program holds open.
//! Promises: each caller gets a database of its own. Where the server's programs are missing the test fails.
//! Refuses to know: what is kept in it.

#![allow(dead_code, unreachable_pub)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes the cluster, says "ready", and waits for its standard input to end. The server refuses to run as root. Text
/// is ordered as people do it, not by bytes, so that a table which should be by bytes and is not is noticed. What
/// is lost when the machine crashes does not matter here.
const KEEPER: &str = r#"
set -eu
bin=$1 dir=$2 port=$3 source=$4 how=$5
cd "$dir"
run() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
    fi
    exec "$@"
}
if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
trap 'rm -rf "$dir"' EXIT
if [ -n "$source" ]; then
    # Unquoted: an option, or nothing.
    (run "$bin/pg_basebackup" -d "$source" -D "$dir/data" -X stream -c fast --no-sync $how >"$dir/copy.log" 2>&1) ||
        { cat "$dir/copy.log"; exit 1; }
else
(run "$bin/initdb" -D "$dir/data" -U tally --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en >"$dir/initdb.log" 2>&1) ||
    { cat "$dir/initdb.log"; exit 1; }
fi
start() {
    (run "$bin/postgres" -D "$dir/data" -k "$dir" -p "$port" -c listen_addresses=127.0.0.1 -c fsync=off \
        -c max_connections=300 -c shared_buffers=64MB -c lc_messages=C >>"$dir/server.log" 2>&1) &
    pid=$!
    until "$bin/pg_isready" -q -h "$dir" -p "$port" -U tally; do
        kill -0 "$pid" 2>/dev/null || { cat "$dir/server.log"; exit 1; }
        sleep 0.05
    done
}
start
echo ready
while read -r order; do
    case "$order" in
        stop) kill -INT "$pid"; wait "$pid" || true; echo stopped ;;
        crash) kill -QUIT "$pid"; wait "$pid" || true; echo stopped ;;
        start) start; echo ready ;;
    esac
done
kill -QUIT "$pid" 2>/dev/null || true
wait "$pid" || true
"#;

/// A running server.
pub struct Cluster {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    next: AtomicU32,
    keeper: std::sync::Mutex<Keeper>,
}

struct Keeper {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// The server that this program's tests share.
pub fn shared() -> &'static Cluster {
    &SHARED
}

/// The folder of the newest server programs that are installed.
pub fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let number = |bin: &PathBuf| {
        let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    };
    let newest = bins.filter(|bin| number(bin) >= Some(15)).max_by_key(number);
    newest.expect(
        "no PostgreSQL server of version 15 or newer under /usr/lib/postgresql: ./test installs it, or apt-get install postgresql",
    )
}

impl Cluster {
    /// A server of one's own, for tests that stop it.
    pub fn start() -> Self {
        Self::of("", "")
    }

    /// A server that follows another one and waits for nothing but to be promoted. Nobody waits for it.
    pub fn standby_of(other: &Self) -> Self {
        Self::of(&other.source(), "--write-recovery-conf")
    }

    /// A server that begins with a base backup of another one, made now.
    pub fn copy_of(other: &Self) -> Self {
        Self::of(&other.source(), "")
    }

    fn source(&self) -> String {
        format!("host={} port={} user=tally", self.dir.display(), self.port)
    }

    fn of(source: &str, how: &str) -> Self {
        let bin = programs();
        let mut last = String::new();
        // Somebody else may take the port before the server does.
        for _ in 0..5 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let dir = tempfile::Builder::new().prefix("tallyhouse-pg-").tempdir().expect("a folder").keep();
            let mut command = Command::new("sh");
            command
                .args(["-c", KEEPER, "keeper"])
                .arg(&bin)
                .arg(&dir)
                .arg(port.to_string())
                .args([source, how]);
            // What interrupts the tests at the terminal must not interrupt who cleans up after them.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
            let mut answers = BufReader::new(child.stdout.take().expect("its output"));
            last.clear();
            while answers.read_line(&mut last).expect("its output") > 0 {
                if last.ends_with("ready\n") {
                    let keeper = std::sync::Mutex::new(Keeper { child, answers });
                    return Self { bin, dir, port, next: AtomicU32::new(0), keeper };
                }
            }
            let _ = child.wait();
        }
        panic!("PostgreSQL does not start: {last}");
    }

    fn order(&self, order: &str, wanted: &str) {
        let mut keeper = self.keeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let input = keeper.child.stdin.as_mut().expect("its input");
        std::io::Write::write_all(input, format!("{order}\n").as_bytes()).expect("told");
        let mut answer = String::new();
        while !answer.ends_with(&format!("{wanted}\n")) {
            assert!(keeper.answers.read_line(&mut answer).expect("its output") > 0, "{order}: {answer}");
        }
    }

    /// Stops the server: whoever is connected is turned out.
    pub fn stop(&self) {
        self.order("stop", "stopped");
    }

    /// Ends the server as a crash of it would.
    pub fn crash(&self) {
        self.order("crash", "stopped");
    }

    /// Starts the server again.
    pub fn again(&self) {
        self.order("start", "ready");
    }

    /// Makes an empty database. Returns its address, by the socket in the cluster's folder.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// The address of a database that is there by this name.
    pub fn address(&self, database: &str) -> String {
        let socket = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://tally@{socket}:{}/{}", self.port, Self::name(database))
    }

    /// The port that it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same address by TCP.
    pub fn by_tcp(&self, address: &str) -> String {
        format!("postgres://tally@127.0.0.1:{}/{}", self.port, Self::name(address))
    }

    fn name(address: &str) -> &str {
        address.rsplit('/').next().expect("a database")
    }

    /// The folder of the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Has SQL carried out in a database, given by name or address; returns what it answers, a row a line.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// What a schema of a database is made of.
    pub fn dump(&self, database: &str, schema: &str) -> String {
        let mut command = Command::new(self.bin.join("pg_dump"));
        command.args(["-s", "-U", "tally", "-n", schema, "-T", "*.__diesel_schema_migrations"]);
        command.arg("-h").arg(&self.dir).arg("-p").arg(self.port.to_string()).arg(Self::name(database));
        let output = command.output().expect("pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        // Newer versions begin and end with a word by chance.
        text.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n")
    }

    /// Has a file of psql carried out, as somebody; an error is what psql says.
    pub fn script(&self, user: &str, database: &str, file: &str) -> Result<String, String> {
        let mut command = Command::new(self.bin.join("psql"));
        let path = self.dir.join("script.sql");
        std::fs::write(&path, file).expect("a file");
        command.args(["-X", "-A", "-t", "-q", "-U", user, "-d", Self::name(database), "-h"]);
        command.arg(&self.dir).arg("-p").arg(self.port.to_string()).arg("-f").arg(path);
        let output = command.output().expect("psql");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The same as `sql`; an error is what the server says.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = Command::new(self.bin.join("psql"));
        command.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "tally",
            "-d",
            Self::name(database),
        ]);
        command.arg("-h").arg(&self.dir).arg("-p").arg(self.port.to_string()).args(["-c", sql]);
        let output = command.output().expect("psql");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(keeper.child.stdin.take());
        let _ = keeper.child.wait();
    }
}
