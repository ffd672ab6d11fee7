//! Where all peers deliver to. Keeps what comes and says 200 at once; unpacks and counts only when it is
//! asked (`GET /count`), so that it takes little of the machine meanwhile. Says its address first.

#[allow(dead_code)]
mod work;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bodies with their `content-encoding`.
static BODIES: Mutex<Vec<(String, Vec<u8>)>> = Mutex::new(Vec::new());

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut length, mut chunked, mut encoding) = (0, false, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => length = value.trim().parse().unwrap_or(0),
                Some(("transfer-encoding", _)) => chunked = true,
                Some(("content-encoding", value)) => encoding = value.trim().to_owned(),
                Some(_) => {}
            }
        }
        let body = match chunked {
            true => read_chunks(&mut reader)?,
            false => {
                let mut body = vec![0; length];
                reader.read_exact(&mut body)?;
                body
            }
        };
        let answer = match first.starts_with("GET /count") {
            true => count(),
            false => {
                let mut bodies = BODIES.lock().unwrap_or_else(PoisonError::into_inner);
                bodies.push((encoding, body));
                r#"{"status":1}"#.to_owned()
            }
        };
        let length = answer.len();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
        )?;
    }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        io::copy(&mut reader.by_ref().take(size as u64), &mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Events, requests, and bytes on the wire.
fn count() -> String {
    let bodies = BODIES.lock().unwrap_or_else(PoisonError::into_inner);
    let events: usize = bodies
        .iter()
        .map(|(encoding, body)| marks(encoding, body))
        .sum();
    let bytes: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    format!("{events} {} {bytes}", bodies.len())
}

fn marks(encoding: &str, body: &[u8]) -> usize {
    let mut unpacked = Vec::new();
    let plain = match encoding {
        "gzip" => flate2::read::GzDecoder::new(body)
            .read_to_end(&mut unpacked)
            .is_ok(),
        "snappy" => match snap::raw::Decoder::new().decompress_vec(body) {
            Ok(plain) => {
                unpacked = plain;
                true
            }
            Err(_) => false,
        },
        _ => {
            unpacked.extend_from_slice(body);
            true
        }
    };
    if !plain {
        return 0;
    }
    let mark = work::MARK.as_bytes();
    unpacked.windows(mark.len()).filter(|w| *w == mark).count()
}
