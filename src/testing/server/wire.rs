//! Reading HTTP/1.1 requests from one connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;

const SCRATCH: usize = 64 * 1024;
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_CHUNK_LINE: usize = 8 * 1024;
/// More of a body than this is read, but not kept.
const MAX_BODY: usize = 25 * 1024 * 1024;

/// Why no request could be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection ended.
    Gone,
    /// The bytes are not a request; the status says why.
    Refused(u16),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// All of a request but its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

/// The reading side of a connection.
///
/// The last byte that was seen always stays unread in the kernel. `std` has no
/// stable `set_linger`, but a socket that is closed with unread bytes sends
/// RST instead of FIN: so whoever wants RST drops the connection, and whoever
/// wants FIN calls [`settle`](Self::settle) first.
pub(super) struct Wire<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    owes_a_byte: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            scratch: vec![0; SCRATCH],
            owes_a_byte: false,
        }
    }

    /// Reads the byte that was left in the kernel.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.owes_a_byte {
            self.owes_a_byte = false;
            self.stream.read_exact(&mut [0])?;
        }
        Ok(())
    }

    /// Waits for more bytes.
    fn fill(&mut self) -> Result<(), Broken> {
        self.settle()?;
        let seen = loop {
            match self.stream.peek(&mut self.scratch) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                seen => break seen?,
            }
        };
        // The peeked bytes stay in the scratch; reading them again only takes
        // them out of the kernel.
        let Some(to_take) = seen.checked_sub(1) else {
            return Err(Broken::Gone);
        };
        self.stream.read_exact(&mut self.scratch[..to_take])?;
        self.owes_a_byte = true;
        self.buffer.extend_from_slice(&self.scratch[..seen]);
        Ok(())
    }

    /// Reads and forgets until the client goes away.
    pub(super) fn drain(&mut self) {
        while self.fill().is_ok() {
            self.buffer.clear();
        }
    }

    /// Ends an answered connection: the client has the answer and FIN, and
    /// nothing unread is left that would turn the FIN into RST.
    pub(super) fn hang_up(&mut self) {
        if self.stream.shutdown(std::net::Shutdown::Write).is_ok() {
            self.drain();
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.stream;
        stream.write_all(bytes)
    }

    pub(super) fn read_head(&mut self) -> Result<Head, Broken> {
        loop {
            if !self.buffer.is_empty()
                && let Some((head, length)) = parse_head(&self.buffer)?
            {
                self.buffer.drain(..length);
                return Ok(head);
            }
            if self.buffer.len() >= MAX_HEAD {
                return Err(Broken::Refused(431));
            }
            self.fill()?;
        }
    }

    /// The body, at most [`MAX_BODY`] of it, and its length on the wire.
    pub(super) fn read_body(&mut self, framing: Framing) -> Result<(Vec<u8>, usize), Broken> {
        let mut body = Vec::new();
        match framing {
            Framing::Length(length) => {
                self.take_into(&mut body, length)?;
                Ok((body, length))
            }
            Framing::Chunked => {
                let mut total = 0_usize;
                loop {
                    let line = self.read_line()?;
                    let size = line.split(|&b| b == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size)
                        .ok()
                        .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
                        .ok_or(Broken::Refused(400))?;
                    if size == 0 {
                        break;
                    }
                    self.take_into(&mut body, size)?;
                    total = total.saturating_add(size);
                    if !self.read_line()?.is_empty() {
                        return Err(Broken::Refused(400));
                    }
                }
                // Trailers, up to the empty line.
                while !self.read_line()?.is_empty() {}
                Ok((body, total))
            }
        }
    }

    fn take_into(&mut self, body: &mut Vec<u8>, length: usize) -> Result<(), Broken> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill()?;
            }
            let here = left.min(self.buffer.len());
            let kept = here.min(MAX_BODY.saturating_sub(body.len()));
            body.extend_from_slice(&self.buffer[..kept]);
            self.buffer.drain(..here);
            left -= here;
        }
        Ok(())
    }

    /// One line of the chunked format, without its end.
    fn read_line(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.buffer.len() > MAX_CHUNK_LINE {
                return Err(Broken::Refused(400));
            }
            self.fill()?;
        }
    }
}

/// The head and its length in bytes, or `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Broken::Refused(431));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Broken::Refused(400)),
    };
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.to_ascii_lowercase())
    };

    let framing = match (header("transfer-encoding"), header("content-length")) {
        (Some(coding), _) if coding.ends_with("chunked") => Framing::Chunked,
        (Some(_), _) => return Err(Broken::Refused(501)),
        (None, Some(text)) => {
            Framing::Length(text.trim().parse().map_err(|_| Broken::Refused(400))?)
        }
        (None, None) => Framing::Length(0),
    };
    let connection = header("connection").unwrap_or_default();
    let keep_alive = match parsed.version {
        Some(1) => !connection.contains("close"),
        _ => connection.contains("keep-alive"),
    };
    let expects_continue = header("expect").is_some_and(|value| value == "100-continue");

    let target = parsed.path.unwrap_or("/");
    // A client behind a proxy sends the whole address.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let head = Head {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query,
        framing,
        keep_alive,
        expects_continue,
        headers,
    };
    Ok(Some((head, length)))
}
