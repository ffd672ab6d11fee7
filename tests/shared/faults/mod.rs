//! One address where a PostHog stands that can fall ill in many ways, and get well again.
#![allow(dead_code, unreachable_pub)]

use crate::support::client_at;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpSocket;
use tracing_posthog::PostHogClientBuilder;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedEvent, RecordedRequest};

/// How it misbehaves.
#[derive(Clone, Copy)]
pub enum Fault {
    /// Each request gets what this says, which counts them; `None`: as a healthy one would.
    Answers(fn(&RecordedRequest, usize) -> Option<Answer>),
    /// Nobody listens, and open connections are cut.
    Refuses,
    /// Connections are reset after so many bytes of a body.
    Cuts(usize),
    /// Its name cannot be resolved.
    NoName,
}

/// What stands at the address.
enum Place {
    PostHog(PostHogServer),
    /// Holds the port, so that nobody else gets it meanwhile.
    Nobody(TcpSocket),
    Cutter(Cutter),
}

pub struct World {
    addr: SocketAddr,
    by_name: bool,
    known: Arc<AtomicBool>,
    place: Option<Place>,
    /// Those that stood there before: what they accepted counts.
    past: Vec<PostHogServer>,
    met: Arc<AtomicUsize>,
}

impl World {
    /// A healthy one, which is called by name where its fault will be that it has none.
    pub fn healthy(fault: Fault) -> Self {
        let server = PostHogServer::start().unwrap();
        Self {
            addr: server.addr(),
            by_name: matches!(fault, Fault::NoName),
            known: Arc::new(AtomicBool::new(true)),
            place: Some(Place::PostHog(server)),
            past: Vec::new(),
            met: Arc::default(),
        }
    }

    pub fn client(&self) -> PostHogClientBuilder {
        if !self.by_name {
            return client_at(format!("http://{}", self.addr));
        }
        let names = Names {
            known: self.known.clone(),
            met: self.met.clone(),
        };
        let http = reqwest::Client::builder()
            .dns_resolver(Arc::new(names))
            .build()
            .unwrap();
        client_at(format!("http://posthog.invalid:{}", self.addr.port())).reqwest_client(http)
    }

    /// Falls ill.
    pub fn fall(&mut self, fault: Fault) {
        match fault {
            Fault::Answers(answer) => {
                let Some(Place::PostHog(server)) = &self.place else {
                    unreachable!("healthy before")
                };
                let met = self.met.clone();
                let asked = AtomicUsize::new(0);
                server.answer_with(move |request| {
                    let answer = answer(request, asked.fetch_add(1, SeqCst));
                    met.fetch_add(usize::from(answer.is_some()), SeqCst);
                    answer
                });
            }
            Fault::NoName => self.known.store(false, SeqCst),
            Fault::Refuses => {
                self.leave();
                let holder = TcpSocket::new_v4().unwrap();
                holder.set_reuseaddr(true).unwrap();
                holder.bind(self.addr).unwrap();
                self.place = Some(Place::Nobody(holder));
            }
            Fault::Cuts(after) => {
                self.leave();
                let cutter = Cutter::start(self.addr, after, self.met.clone());
                self.place = Some(Place::Cutter(cutter));
            }
        }
    }

    /// Gets well.
    pub fn heal(&mut self) {
        self.known.store(true, SeqCst);
        if let Some(Place::PostHog(server)) = &self.place {
            server.answer_with(|_| None);
            return;
        }
        self.leave();
        let server = PostHogServer::start_on(self.addr).unwrap();
        self.place = Some(Place::PostHog(server));
    }

    fn leave(&mut self) {
        match self.place.take() {
            Some(Place::PostHog(server)) => {
                server.stop();
                self.past.push(server);
            }
            Some(Place::Cutter(cutter)) => cutter.stop(),
            Some(Place::Nobody(_)) | None => {}
        }
    }

    /// How often its fault was met, where that can be seen from its side.
    pub fn met(&self) -> usize {
        self.met.load(SeqCst)
    }

    fn servers(&self) -> impl Iterator<Item = &PostHogServer> {
        let here = match &self.place {
            Some(Place::PostHog(server)) => Some(server),
            _ => None,
        };
        self.past.iter().chain(here)
    }

    /// What was accepted, in order, repeated ones included.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.servers().flat_map(PostHogServer::events).collect()
    }

    /// All requests that were read, whatever they were told.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.servers().flat_map(PostHogServer::requests).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A client for which no name leads anywhere.
pub fn without_names() -> reqwest::Client {
    let names = Names {
        known: Arc::default(),
        met: Arc::default(),
    };
    reqwest::Client::builder()
        .dns_resolver(Arc::new(names))
        .build()
        .unwrap()
}

/// Resolves every name to this machine, or none.
struct Names {
    known: Arc<AtomicBool>,
    met: Arc<AtomicUsize>,
}

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let known = self.known.load(SeqCst);
        self.met.fetch_add(usize::from(!known), SeqCst);
        Box::pin(async move {
            if !known {
                return Err("no such name".into());
            }
            let here = SocketAddr::from(([127, 0, 0, 1], 0));
            Ok(Box::new(std::iter::once(here)) as reqwest::dns::Addrs)
        })
    }
}

/// Reads the head of a request and some of its body, and resets the connection.
struct Cutter {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Cutter {
    fn start(addr: SocketAddr, after: usize, met: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind(addr).unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = stopped.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_stopped.load(SeqCst) {
                    return;
                }
                let cut = cut(stream, after).is_ok();
                met.fetch_add(usize::from(cut), SeqCst);
            }
        });
        Self {
            addr,
            stopped,
            thread,
        }
    }

    fn stop(self) {
        self.stopped.store(true, SeqCst);
        // It sits in `accept`.
        let woken = TcpStream::connect(self.addr);
        self.thread.join().unwrap();
        drop(woken);
    }
}

fn cut(mut stream: TcpStream, after: usize) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut body = vec![0; after];
    stream.read_exact(&mut body)?;
    // A socket that is closed with something unread in it resets its connection.
    if stream.peek(&mut [0])? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
