//! A real Redis for a test: a server of its own, on a port and in a folder of its own.
//!
//! Owns: the process, and what can happen to it.
//! Promises: it is gone when the test is, also when the test panics or is killed. A machine without `redis-server`
//! fails the test.
//! Refuses to know: what stands in it.

use redis::{Cmd, Connection, FromRedisValue};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Longest that a test waits for a server.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Redis {
    child: Child,
    pub port: u16,
    arguments: Vec<String>,
    dir: tempfile::TempDir,
}

/// Databases of the shared one.
pub const DATABASES: u32 = 4_096;

/// Starts the server, and waits for its standard input to end: it outlives every test and no program. A server that is
/// told by a signal to end would save what it has.
const KEEPER: &str = r#"
port=$1 dir=$2 databases=$3
trap 'rm -rf "$dir"' EXIT
redis-server --save '' --appendonly no --bind 127.0.0.1 --daemonize no --port "$port" --dir "$dir" --databases "$databases" \
    >"$dir/log" 2>&1 &
pid=$!
until redis-cli -p "$port" ping 2>/dev/null | grep -q PONG; do
    kill -0 "$pid" 2>/dev/null || { cat "$dir/log"; exit 1; }
    sleep 0.02
done
echo ready
cat >/dev/null
kill -KILL "$pid"
wait "$pid" 2>/dev/null
"#;

static SHARED: LazyLock<(u16, Child)> = LazyLock::new(|| {
    let port = free_port();
    let dir = tempfile::Builder::new().prefix("tallyhouse-redis-").tempdir().expect("a folder").keep();
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "keeper", &port.to_string()]).arg(&dir).arg(DATABASES.to_string());
    // What interrupts the tests at the terminal must not interrupt who cleans up after them.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut said = String::new();
    let mut answers = std::io::BufReader::new(child.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut answers, &mut said).expect("its output");
    assert_eq!(said, "ready\n", "redis-server does not run: apt install redis-server; ./test does it");
    (port, child)
});

/// The port of the server that this program's tests share; each uses a database of its own.
pub fn shared() -> u16 {
    SHARED.0
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn spawn(port: u16, dir: &Path, arguments: &[String]) -> Child {
    // `setpriv` has the server killed with the thread that started it, should nobody be left to do it.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "redis-server"]);
    if arguments.first().is_some_and(|first| first.ends_with(".conf")) {
        command.args(arguments);
    } else {
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--daemonize", "no"]);
        command.args(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]);
        command.arg("--port").arg(port.to_string()).arg("--dir").arg(dir).args(arguments);
    }
    let log =
        std::fs::OpenOptions::new().append(true).create(true).open(dir.join("log")).expect("a log file");
    let again = log.try_clone().expect("the same file");
    command.stdin(Stdio::null()).stdout(log).stderr(again);
    command.spawn().expect("redis-server runs: apt install redis-server; ./test does it")
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments, as `redis-server` takes them.
    pub fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        Self::at(free_port(), tempfile::tempdir().expect("a folder"), arguments)
    }

    /// Watches a master of the name `main`.
    pub fn sentinel(master: &Self) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().expect("a folder"));
        let conf = dir.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            dir.path().display(),
            master.port
        );
        std::fs::write(&conf, text).expect("written");
        Self::at(port, dir, vec![conf.display().to_string(), "--sentinel".into()])
    }

    fn at(port: u16, dir: tempfile::TempDir, arguments: Vec<String>) -> Self {
        let there = Command::new("redis-server").arg("--version").output();
        let there = there.is_ok_and(|output| output.status.success());
        assert!(there, "redis-server does not run: apt install redis-server; ./test does it");
        let child = spawn(port, dir.path(), &arguments);
        let mut server = Self { child, port, arguments, dir };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while self.try_ask::<String>(&["PING"]).is_err() {
            let ended = self.child.try_wait().expect("its state");
            let said = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "it does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn connection(&self) -> redis::RedisResult<Connection> {
        let client = redis::Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(connection)
    }

    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = Cmd::new();
        command.arg(words);
        command.query(&mut self.connection()?)
    }

    /// Asks, on a connection of its own.
    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    pub fn do_it(&self, words: &[&str]) {
        let _: redis::Value = self.ask(words);
    }

    /// Keys of this pattern.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        self.ask(&["KEYS", pattern])
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// SIGKILL: what was not saved is lost.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, in its folder: with what was saved there.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, self.dir.path(), &self.arguments);
        self.wait();
    }

    /// Takes over the port of one that is gone.
    pub fn move_to(&mut self, port: u16) {
        self.do_it(&["CONFIG", "SET", "port", &port.to_string()]);
        self.port = port;
        self.wait();
    }

    /// Follows another, and waits until it has all of it.
    pub fn follow(&self, master: &Self) {
        self.do_it(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        let begun = Instant::now();
        while !self.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up") {
            assert!(begun.elapsed() < PATIENCE, "it does not follow");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
