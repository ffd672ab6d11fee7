//! Starts the programs and talks to them.

pub mod lambda;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tracing_posthog::testing::PostHogServer;

/// Nothing here takes as long.
pub const LONG: Duration = Duration::from_secs(60);

/// A program, which is told of a PostHog by its environment. Killed where a test does not wait for its end.
pub struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(program: &str, posthog: &PostHogServer) -> Self {
        Self::start_with(program, posthog, |command| command)
    }

    pub fn start_with(
        program: &str,
        posthog: &PostHogServer,
        with: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .env_remove("RUST_LOG")
            .env_remove("POSTHOG_PERSONAL_API_KEY")
            .env("POSTHOG_API_KEY", "phc_recipes")
            .env("POSTHOG_HOST", posthog.url())
            .env("NO_PROXY", "127.0.0.1")
            .env("ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = with(&mut command).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Where a service listens.
    pub fn address(&mut self) -> String {
        let line = self.line();
        let address = line.strip_prefix("listening on ");
        address
            .unwrap_or_else(|| panic!("it says {line:?}"))
            .to_owned()
    }

    /// The next line that it writes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Sends it a signal, such as `INT` or `TERM`.
    pub fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < LONG, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        let errors = self.child.stderr.as_mut().unwrap();
        errors.read_to_string(&mut stderr).unwrap();
        let success = status.success();
        Ended {
            success,
            stdout,
            stderr,
        }
    }
}

/// How a program ended, and what it wrote since it was last listened to.
#[derive(Debug)]
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request on a connection of its own, which the server closes after it.
pub struct Asked(BufReader<TcpStream>);

impl Asked {
    /// Sends the head of a POST. `headers` are lines.
    pub fn post(address: &str, path: &str, headers: &[&str]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// Waits for the interim answer to `expect: 100-continue`: the handler asks for the body.
    pub fn until_continued(&mut self) {
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            self.0.read_line(line).unwrap();
        }
        assert_eq!(lines, ["HTTP/1.1 100 Continue\r\n", "\r\n"]);
    }

    pub fn send(&mut self, body: &str) {
        self.0.get_mut().write_all(body.as_bytes()).unwrap();
    }

    /// The body of an answer of 200.
    pub fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// The events that arrived: name and person, sorted.
pub fn arrived(posthog: &PostHogServer) -> Vec<(String, String)> {
    let events = posthog.events().into_iter();
    let mut events: Vec<_> = events
        .map(|e| (e.event.to_string(), e.distinct_id.to_string()))
        .collect();
    events.sort();
    events
}

/// The same of what is expected.
pub fn events<const N: usize>(events: [(&str, &str); N]) -> Vec<(String, String)> {
    events
        .map(|(event, who)| (event.to_owned(), who.to_owned()))
        .into()
}
