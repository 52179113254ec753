//! A network that the program itself serves: a process, the address that it printed, and its end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// See the module. Dropped, the process is killed.
pub struct Served {
    child: Child,
    // Kept open: a program whose output is closed would end at its next line.
    _rest: BufReader<ChildStdout>,
    /// What it printed, up to the last line before it serves.
    pub said: Vec<String>,
    /// Where it serves.
    pub url: String,
}

impl Served {
    /// Runs the program in a folder, and waits until it has said where it serves and what to try.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        // `demo` prints what to try last, `serve` its address and where keys are.
        let end = if arguments.contains(&"demo") { "(until Ctrl-C)" } else { "API keys" };
        Self::until(folder, arguments, end)
    }

    /// The same, up to a line that begins so.
    // Whoever drops it waits for it.
    #[allow(clippy::zombie_processes)]
    pub fn until(folder: &Path, arguments: &[&str], end: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tallyhouse"))
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut rest = BufReader::new(child.stdout.take().expect("a pipe"));
        let (mut said, mut url) = (vec![], None);
        loop {
            let mut line = String::new();
            let read = rest.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended: {}", said.join("\n"));
            let line = line.trim_end().to_owned();
            let address = line.split_whitespace().find(|word| word.starts_with("http://"));
            if let (Some(address), true) = (address, line.to_lowercase().starts_with("serving")) {
                url = Some(address.to_owned());
            }
            let last = line.starts_with(end);
            said.push(line);
            if let (Some(url), true) = (&url, last) {
                return Self { child, _rest: rest, url: url.clone(), said };
            }
        }
    }

    /// The commands that `demo` printed to be tried, each as a shell takes it.
    pub fn commands(&self) -> Vec<String> {
        let from = self.said.iter().position(|line| line.starts_with("TRY IT")).unwrap_or(self.said.len());
        let mut all: Vec<String> = vec![];
        for line in &self.said[from..] {
            match line.strip_prefix("    ") {
                Some(more) if !line.starts_with("        ") => {
                    let last = all.last_mut().expect("a command goes on");
                    last.push('\n');
                    last.push_str(more);
                }
                _ if line.starts_with("  ") && !line.starts_with("   ") => all.push(line.trim().to_owned()),
                _ => {}
            }
        }
        all
    }

    /// Sends a signal, and waits for the end.
    pub fn stop(mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().expect("kill");
        assert!(sent.success());
        self.child.wait().expect("it ends")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
