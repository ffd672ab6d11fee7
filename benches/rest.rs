//! What a REST call costs beside `reqwest` itself: the same request and answer, through each.
#![allow(clippy::unwrap_used)]

use divan::{AllocProfiler, Bencher};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tracing_posthog::{Method, PostHogClient};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const PATH: &str = "/api/projects/1/annotations/";

const ANSWER: &str = r#"{"count":2,"next":null,"previous":null,"results":[{"id":1,"content":"v1.1 is out","scope":"project","deleted":false},{"id":2,"content":"v1.2 is out","scope":"project","deleted":false}]}"#;

fn main() {
    divan::main();
}

/// Gives every request the same answer.
fn server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    addr
}

fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    // The requests here have no body: an empty line ends them.
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            writer.write_all(answer.as_bytes())?;
        }
    }
    Ok(())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn client() -> PostHogClient {
    PostHogClient::builder()
        .personal_api_key("phx_bench")
        .host(format!("http://{}", server()))
        .build()
        .unwrap()
}

/// `reqwest`, with the key and the answer as JSON.
#[divan::bench(sample_count = 200, sample_size = 10)]
fn reqwest_alone(bencher: Bencher<'_, '_>) {
    let (runtime, http) = (runtime(), reqwest::Client::new());
    let url = format!("http://{}{PATH}", server());
    bencher.bench_local(|| {
        runtime.block_on(async {
            let answer = http
                .get(&url)
                .bearer_auth("phx_bench")
                .send()
                .await
                .unwrap();
            serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
        })
    });
}

/// `PostHogClient::request`: attempts, breaker, limits on the answer, errors that name the call.
#[divan::bench(sample_count = 200, sample_size = 10)]
fn raw_request(bencher: Bencher<'_, '_>) {
    let (runtime, client) = (runtime(), client());
    bencher.bench_local(|| {
        runtime.block_on(async {
            let answer: Value = client.request(Method::GET, PATH).send_as().await.unwrap();
            answer
        })
    });
}

/// A method of a resource, whose answer is a page of models.
#[divan::bench(sample_count = 200, sample_size = 10)]
fn typed_method(bencher: Bencher<'_, '_>) {
    let (runtime, client) = (runtime(), client());
    let project = client.project(1);
    bencher.bench_local(|| runtime.block_on(async { project.annotations().list().await.unwrap() }));
}
