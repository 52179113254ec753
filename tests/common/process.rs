//! The program as people run it: `tallyhouse serve` in a process of its own, and connections that may break.
//!
//! Owns: a data folder with the test network on real time, the process, its end.
//! Promises: a process that is dropped is gone; a broken connection is an error, never a panic.
//! Refuses to know: what requests mean.

use super::carried::ADDRESS;
use super::http::{Ask, Reply, unchunk};
use super::world::{World, id};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tallyhouse::app::{Network, Tuning};
use tallyhouse::machine::Request;
use tallyhouse::store::Home;
use tallyhouse::vault::{KeyFolder, Owner};

/// Longest that a test waits for one piece of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Founds the network of a world on real time, asks for more, and leaves it closed, with the log's key
/// where `serve` looks for it.
pub fn found(world: &World, home: impl Into<Home>, more: &[Request]) {
    let home = home.into();
    let dir = home.dir();
    assert!(!world.genesis.driven, "a server stamps real time");
    let (genesis, key) = (world.genesis.clone(), &world.log.secret);
    let now = tallyhouse::clock::now();
    let network = Network::create(&home, genesis, key, now, &Tuning::at(dir)).expect("a network");
    for request in world.founding().iter().chain(more) {
        network.engine.ask(request, None).expect("founding");
    }
    network.close().expect("closes");
    KeyFolder::at(dir).put(&Owner::Operator, &id("log"), key).expect("a key file");
}

/// A server.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// What it wrote to standard error.
    errors: PathBuf,
}

impl Process {
    /// Serves the folder; `config` is TOML, `shell` a line of shell before the program starts.
    pub fn start_by(dir: &Path, config: &str, shell: &str) -> Self {
        let (file, errors) = (dir.join("test.toml"), dir.join("errors"));
        std::fs::write(&file, config).expect("a file");
        let stderr = std::fs::File::create(&errors).expect("a file");
        let line = format!("{shell} exec \"$0\" \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &line, env!("CARGO_BIN_EXE_tallyhouse"), "serve", "--listen", "127.0.0.1:0"])
            .args(["--public", ADDRESS, "--data"])
            .arg(dir)
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut said = said.lines().map_while(Result::ok);
        let address =
            said.find_map(|line| Some(line.strip_prefix("listening on ")?.parse().expect("an address")));
        let Some(address) = address else {
            let _ = child.wait();
            panic!("it did not start: {}", std::fs::read_to_string(&errors).unwrap_or_default());
        };
        let process = Self { child, address, errors };
        process.get_ready();
        process
    }

    /// Waits until it takes requests.
    pub fn get_ready(&self) {
        let begun = Instant::now();
        // The socket is there before its signals are listened to.
        while self.try_get("/readyz").map_or(true, |reply| reply.status != 200) {
            assert!(begun.elapsed() < PATIENCE, "it never got ready: {}", self.errors());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn start(dir: &Path, config: &str) -> Self {
        Self::start_by(dir, config, "")
    }

    pub fn try_get(&self, target: &str) -> io::Result<Reply> {
        Wire::connect(self.address)?.ask(&Ask::get(target))
    }

    /// What it wrote to standard error.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("gone");
    }

    /// How it ended, if it did within this time.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
    }

    /// Processor time that it used, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("its state");
        let after = stat.rsplit_once(')').expect("a name").1;
        after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks")).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection that is kept; what goes wrong on it is an error.
pub struct Wire {
    pub stream: TcpStream,
    left: Vec<u8>,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Wire {
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, left: vec![] })
    }

    pub fn ask(&mut self, ask: &Ask) -> io::Result<Reply> {
        self.send(&ask.bytes(false))?;
        self.reply()
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one whole answer.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let head = self.head()?;
        let body = match (head.header("content-length"), head.header("transfer-encoding")) {
            (Some(length), _) => {
                let length: usize = length.parse().map_err(|_| wrong("a length"))?;
                while self.left.len() < length {
                    self.more()?;
                }
                self.left.drain(..length).collect()
            }
            (None, Some("chunked")) => {
                while !self.left.ends_with(b"0\r\n\r\n") {
                    self.more()?;
                }
                unchunk(&std::mem::take(&mut self.left))
            }
            _ => vec![],
        };
        Ok(Reply { body, ..head })
    }

    /// Reads the head of an answer; the body comes with [`Wire::more`].
    pub fn head(&mut self) -> io::Result<Reply> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Response::new(&mut fields);
            let state = parsed.parse(&self.left).map_err(|_| wrong("no HTTP"))?;
            if let httparse::Status::Complete(length) = state {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let fields = parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value)));
                let status = parsed.code.ok_or_else(|| wrong("a status"))?;
                let head = Reply { status, headers: fields.collect(), body: vec![] };
                self.left.drain(..length);
                return Ok(head);
            }
            self.more()?;
        }
    }

    /// Waits until there are bytes that nobody read yet.
    pub fn any(&mut self) -> io::Result<()> {
        if self.left.is_empty() { self.more().map(drop) } else { Ok(()) }
    }

    /// Waits for more bytes; an error if the connection was closed.
    pub fn more(&mut self) -> io::Result<&[u8]> {
        let mut piece = [0; 16_384];
        match self.stream.read(&mut piece)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed")),
            count => {
                self.left.extend_from_slice(&piece[..count]);
                Ok(&self.left)
            }
        }
    }

    /// Whether it is closed within this time; what still comes is thrown away.
    pub fn is_closed_within(&mut self, most: Duration) -> bool {
        let begun = Instant::now();
        loop {
            let Some(left) = most.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            self.stream.set_read_timeout(Some(left)).expect("set");
            let mut piece = [0; 4_096];
            match self.stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return false;
                }
                Err(_) => return true,
            }
        }
    }
}
