#[cfg(feature = "flags")]
mod flags;
mod routes;
mod v1;

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

const SOON: Duration = Duration::from_secs(60);
const OK: &str = r#"{"status":"Ok"}"#;

struct Client(TcpStream);

impl Client {
    fn new(server: &PostHogServer) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn send(&mut self, path: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).unwrap();
        self.0.write_all(body).unwrap();
    }

    fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(String::from_utf8(head).unwrap())
    }

    /// Status, head and body.
    fn answer(&mut self) -> io::Result<(u16, String, String)> {
        let head = self.head()?;
        let status = head[9..12].parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, head, String::from_utf8(body).unwrap()))
    }

    fn post(&mut self, path: &str, body: &[u8]) -> (u16, String) {
        self.send(path, "", body);
        let (status, _, text) = self.answer().unwrap();
        (status, text)
    }

    fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).map(|_| rest)
    }
}

fn batch(event: Value) -> Vec<u8> {
    json!({"api_key": "phc_x", "batch": [{"event": "good", "distinct_id": "a"}, event]})
        .to_string()
        .into_bytes()
}

fn good() -> Vec<u8> {
    batch(json!({"event": "second", "distinct_id": "b"}))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn server() -> PostHogServer {
    PostHogServer::start().unwrap()
}

#[test]
fn what_posthog_takes() {
    let server = server();
    let mut client = Client::new(&server);
    let array = json!([{"event": "e", "distinct_id": "d", "token": "phc_x"}]).to_string();
    let single = json!({"event": "e", "distinct_id": "d", "properties": {"token": "phc_x"}});
    let bodies = [
        good(),
        batch(json!({"event": "x".repeat(300), "distinct_id": 12})),
        batch(json!({"event": "e", "distinct_id": {"a": 1}, "timestamp": "soon", "uuid": ""})),
        batch(json!({"event": "e", "properties": {"distinct_id": "inner"}, "uuid": null})),
        batch(
            json!({"event": "e", "distinct_id": "d", "uuid": "0195f0aa-1111-7222-8333-444455556666"}),
        ),
        array.into_bytes(),
        single.to_string().into_bytes(),
    ];
    for body in &bodies {
        assert_eq!(client.post("/batch/", body), (200, OK.to_owned()));
    }
    for path in [
        "/batch",
        "/e",
        "/e/",
        "/capture/",
        "/i/v0/e",
        "/i/v0/e/",
        "/track/",
        "/engage",
        "/in/gest/batch/",
    ] {
        assert_eq!(client.post(path, &good()).0, 200, "{path}");
    }
    assert_eq!(server.connection_count(), 1);
    assert_eq!(server.request_count(), bodies.len() + 9);
    assert_eq!(server.event_count(), 12 + 18);
    let events = server.events();
    assert_eq!(events[3].distinct_id, "12");
    assert_eq!(events[5].distinct_id, r#"{"a":1}"#);
    assert_eq!(events[7].distinct_id, "inner");
    assert!(events[5].uuid.is_none() && events[9].uuid.is_some());
    assert_eq!(server.duplicate_keys_seen(), 0);

    assert_eq!(client.post("/e/?beacon=1", &good()), (204, String::new()));
    let engage = br#"{"$token":"phc_x","$distinct_id":"d","$set":{"a":1}}"#;
    assert_eq!(client.post("/engage/", engage).0, 200);
    let identify = server.find("$identify").unwrap();
    assert_eq!(identify.property("$set"), Some(&json!({"a": 1})));
}

#[test]
fn the_envelope_is_recorded() {
    let server = server();
    let long = "ü".repeat(250);
    let body = json!({
        "api_key": "phc_x", "sent_at": "2031-04-05T06:07:08.901Z", "historical_migration": true,
        "batch": [{"event": "e", "distinct_id": long, "timestamp": "t", "properties": {"n": -1, "f": 0.5}}]
    });
    let mut client = Client::new(&server);
    client.send("/batch/?a=b", "X-One: Two\r\n", body.to_string().as_bytes());
    assert_eq!(client.answer().unwrap().0, 200);
    let event = server.find("e").unwrap();
    assert_eq!(event.distinct_id.chars().count(), 200);
    assert_eq!(event.sent_at.as_deref(), Some("2031-04-05T06:07:08.901Z"));
    assert_eq!(event.timestamp.as_deref(), Some("t"));
    assert!(event.historical_migration);
    assert_eq!(event.api_key, "phc_x");
    assert_eq!(Value::Object(event.properties), json!({"n": -1, "f": 0.5}));
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/batch/")
    );
    assert_eq!(request.query.as_deref(), Some("a=b"));
    assert_eq!(request.header("x-ONE"), Some("Two"));
    assert_eq!(request.json(), Some(body));
    server.clear();
    assert_eq!((server.request_count(), server.event_count()), (0, 0));
    assert!(server.requests().is_empty() && server.events().is_empty());
}

#[test]
fn gzip_by_header_query_or_magic() {
    let server = server();
    let mut client = Client::new(&server);
    let packed = gzip(&good());
    let sent = [
        ("/batch/", "Content-Encoding: gzip\r\n"),
        ("/batch/?compression=gzip", ""),
        ("/batch/", ""),
    ];
    for (path, header) in sent {
        client.send(path, header, &packed);
        assert_eq!(client.answer().unwrap().0, 200);
    }
    let request = &server.requests()[0];
    assert_eq!(
        (request.body.clone(), request.raw_body_len),
        (good(), packed.len())
    );

    let mut cut = packed.clone();
    cut.truncate(packed.len() / 2);
    let (first, second) = (good(), good());
    let (first, second) = (&first[..20], &second[20..]);
    let members = [gzip(first), gzip(second)].concat();
    let bomb = gzip(&vec![b' '; 21 * 1024 * 1024]);
    let refused: [(&str, &[u8], &str); 6] = [
        ("", &cut, "failed to decode request: invalid gzip data"),
        (
            "Content-Encoding: gzip\r\n",
            b"{}",
            "failed to decode request: invalid gzip data",
        ),
        (
            "Content-Encoding: br\r\n",
            b"{}",
            "failed to decode request: invalid body encoding",
        ),
        (
            "",
            b"\"\xff\"",
            "failed to decode request: invalid body encoding",
        ),
        ("", &bomb, "maximum event size exceeded"),
        ("", &members, "failed to parse request: EOF"),
    ];
    for (header, body, text) in refused {
        client.send("/batch/", header, body);
        let (status, _, answer) = client.answer().unwrap();
        assert_eq!(status, 400);
        assert!(answer.starts_with(text), "{answer}");
    }
    assert_eq!(server.event_count(), 6);
}

#[test]
fn what_posthog_refuses() {
    const NO_SHAPE: &str =
        "failed to parse request: data did not match any variant of untagged enum RawRequest";
    const NO_TOKEN: &str = "event submitted without an api_key";
    const NO_ID: &str = "event submitted without a distinct_id";
    let server = server();
    let mut client = Client::new(&server);
    let token = |token: &str| {
        let body = json!({"api_key": token, "batch": [{"event": "e", "distinct_id": "d"}]});
        body.to_string().into_bytes()
    };
    let deep = format!(
        r#"{{"api_key":"x","batch":[{{"event":"e","distinct_id":"d","properties":{{"a":{}{}}}}}]}}"#,
        "[".repeat(130),
        "]".repeat(130)
    );
    let twice = br#"{"api_key":"x","batch":[{"event":"e","event":"e","distinct_id":"d"}]}"#;
    let rows: Vec<(Vec<u8>, u16, &str)> = vec![
        (br#"{"batch":[{"event":"e","distinct_id":"d"}]}"#.to_vec(), 400, NO_SHAPE),
        (br#"{"event":"e","distinct_id":"d"}"#.to_vec(), 401, NO_TOKEN),
        (b"[]".to_vec(), 401, NO_TOKEN),
        (token(""), 401, "API key is not valid: empty"),
        (token("phx_1"), 401, "API key is not valid: personal_api_key"),
        (token(&"x".repeat(65)), 401, "API key is not valid: too_long"),
        (token("é"), 401, "API key is not valid: not_ascii"),
        (
            br#"[{"event":"e","distinct_id":"d","token":"a"},{"event":"e","distinct_id":"d","token":"b"}]"#.to_vec(),
            401,
            "batch submitted with inconsistent api_key values",
        ),
        (br#"{"api_key":"x","batch":[]}"#.to_vec(), 400, "request holds no event"),
        (batch(json!({"event": "e"})), 400, NO_ID),
        (batch(json!({"event": "e", "distinct_id": null})), 400, NO_ID),
        (batch(json!({"event": "e", "distinct_id": ""})), 400, "event submitted with an empty distinct_id"),
        (batch(json!({"event": "", "distinct_id": "d"})), 400, "event submitted with an empty event name"),
        (batch(json!({"event": "e", "distinct_id": "d", "uuid": "nope"})), 400, NO_SHAPE),
        (batch(json!({"event": "e", "distinct_id": "d", "properties": null})), 400, NO_SHAPE),
        (batch(json!({"event": "e", "distinct_id": "d", "properties": []})), 400, NO_SHAPE),
        (batch(json!({"event": "e", "distinct_id": "d", "timestamp": 1})), 400, NO_SHAPE),
        (batch(json!({"distinct_id": "d"})), 400, NO_SHAPE),
        (twice.to_vec(), 400, NO_SHAPE),
        (deep.into_bytes(), 400, "failed to parse request: recursion limit exceeded"),
        (b"{\"api_key\":".to_vec(), 400, "failed to parse request: EOF"),
        (b"".to_vec(), 400, "failed to parse request: EOF"),
        (b"{\"a\": NaN}".to_vec(), 400, "failed to parse request: expected value"),
    ];
    for (body, status, text) in rows {
        let (got, answer) = client.post("/batch/", &body);
        assert!(
            got == status && answer.starts_with(text),
            "{got} {answer}, not {status} {text}"
        );
    }
    assert_eq!(server.event_count(), 0);
    assert_eq!(server.duplicate_keys_seen(), 1);
}

#[test]
fn a_refusal_says_why() {
    const NO_NAME: &str = "event submitted with an empty event name";
    let server = server();
    server.answer_with(|request| {
        assert_eq!((request.status, request.answer.as_str()), (None, ""));
        None
    });
    let mut client = Client::new(&server);
    let nameless = batch(json!({"event": "", "distinct_id": "d"}));
    client.post("/batch/", &good());
    assert!(format!("{server:?}").contains("last_refusal: None"));
    client.post("/batch/", &nameless);
    server.answer_next(Answer::status(503).after_accepting());
    client.post("/batch/", &good());
    server.answer_next(Answer::accept().body("fine"));
    client.post("/batch/", &good());
    server.answer_next(Answer::half());
    client.send("/batch/", "", &good());
    client.rest().unwrap();
    server.answer_next(Answer::close());
    client = Client::new(&server);
    client.send("/batch/", "", &good());
    client.rest().unwrap();
    let requests = server.requests();
    let answers: Vec<_> = requests
        .iter()
        .map(|request| (request.status, request.answer.as_str()))
        .collect();
    let wanted = [
        (Some(200), OK),
        (Some(400), NO_NAME),
        (Some(503), "transient error, please retry"),
        (Some(200), "fine"),
        (Some(200), OK),
        (None, ""),
    ];
    assert_eq!(answers, wanted);
    let said = format!("{server:?}");
    assert!(said.contains("POST /batch/: 503 transient error"), "{said}");

    server.clear();
    assert!(format!("{server:?}").contains("last_refusal: None"));
    server.record(Recording::CountsOnly);
    Client::new(&server).post("/batch/", &nameless);
    let said = format!("{server:?}");
    assert!(
        said.contains(&format!("POST /batch/: 400 {NO_NAME}")),
        "{said}"
    );
}

#[test]
fn body_limits() {
    const TOO_LONG: &str = "Failed to buffer the request body: length limit exceeded";
    let server = server();
    let mut client = Client::new(&server);
    let padded = |mib: usize| {
        let mut body = good();
        body.resize(mib * 1024 * 1024, b' ');
        body
    };
    for path in ["/e/", "/i/v0/e/", "/capture/", "/track/", "/engage/"] {
        assert_eq!(client.post(path, &padded(2)).0, 200);
        assert_eq!(client.post(path, &padded(3)), (413, TOO_LONG.to_owned()));
    }
    assert_eq!(client.post("/batch/", &padded(20)).0, 200);
    assert_eq!(
        client.post("/batch/", &padded(21)),
        (413, TOO_LONG.to_owned())
    );
    assert_eq!(
        client.post("/batch/", &padded(30)),
        (413, TOO_LONG.to_owned())
    );
    assert_eq!(
        server.requests().last().unwrap().raw_body_len,
        30 * 1024 * 1024
    );
    assert_eq!(server.connection_count(), 1);
}

#[test]
fn keys_that_come_twice_are_counted() {
    let server = server();
    let mut client = Client::new(&server);
    let body = br#"{"api_key":"x","batch":[{"event":"e","distinct_id":"d",
        "properties":{"a":1,"a":2,"b":[{"c":1,"c":2,"c":3}]}}]}"#;
    assert_eq!(client.post("/batch/", body).0, 200);
    assert_eq!(server.duplicate_keys_seen(), 3);
    assert_eq!(server.events()[0].property("a"), Some(&json!(2)));
}

#[test]
fn other_paths_and_methods() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(client.post("/surveys/", b"{}").0, 404);
    for (request, status) in [
        ("GET /_readiness HTTP/1.1\r\n\r\n", 200),
        ("GET /_liveness HTTP/1.1\r\n\r\n", 200),
        ("GET /batch/ HTTP/1.1\r\n\r\n", 405),
        ("GET http://host/_liveness HTTP/1.1\r\n\r\n", 200),
        ("GET /nothing HTTP/1.1\r\n\r\n", 404),
    ] {
        client.0.write_all(request.as_bytes()).unwrap();
        let (got, _, body) = client.answer().unwrap();
        assert_eq!(got, status, "{request}");
        assert_eq!(status == 404, body.contains("Endpoint not found."));
    }
    client
        .0
        .write_all(b"HEAD /_liveness HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert!(client.rest().unwrap().ends_with(b"\r\n\r\n"));
}

#[test]
fn chunks_trailers_and_continue() {
    let server = server();
    let mut client = Client::new(&server);
    let body = good();
    client
        .0
        .write_all(
            b"POST /batch/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        )
        .unwrap();
    assert!(client.head().unwrap().starts_with("HTTP/1.1 100 Continue"));
    for part in body.chunks(7) {
        client
            .0
            .write_all(format!("{:x};ext=1\r\n", part.len()).as_bytes())
            .unwrap();
        client.0.write_all(part).unwrap();
        client.0.write_all(b"\r\n").unwrap();
    }
    client.0.write_all(b"0\r\nTrailer: x\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().0, 200);
    // The connection is still in step, also byte by byte and pipelined.
    let request = format!(
        "POST /e/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let two = [request.as_bytes(), &body, request.as_bytes(), &body].concat();
    for byte in two {
        client.0.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.answer().unwrap().0, 200);
    assert_eq!(client.answer().unwrap().0, 200);
    assert_eq!((server.event_count(), server.connection_count()), (6, 1));
    assert_eq!(server.requests()[0].raw_body_len, body.len());
}

#[test]
fn bad_http() {
    let server = server();
    let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(70_000));
    for (bytes, status) in [
        ("nonsense\x01\r\n\r\n", "400"),
        ("POST /e/ HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400"),
        (
            "POST /e/ HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            "501",
        ),
        (
            "POST /e/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "400",
        ),
        (&long, "431"),
    ] {
        let mut client = Client::new(&server);
        client.0.write_all(bytes.as_bytes()).unwrap();
        let answer = String::from_utf8(client.rest().unwrap()).unwrap();
        assert!(answer[9..].starts_with(status), "{answer}");
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn scripted_answers_come_first() {
    let server = server();
    server.answer_with(|request| {
        (request.path == "/flags/").then(|| Answer::status(200).json(json!({"flags": {}})))
    });
    server.answer_next_times(2, Answer::status(503).header("Retry-After", "7"));
    server.answer_next(Answer::status(429).body("slow down").after_accepting());
    server.answer_next(Answer::status(204));
    server.answer_next(Answer::accept().json(json!({"status": 1})));
    let mut client = Client::new(&server);
    for _ in 0..2 {
        client.send("/batch/", "", &good());
        let (status, head, body) = client.answer().unwrap();
        assert_eq!(
            (status, body.as_str()),
            (503, "transient error, please retry")
        );
        assert!(head.contains("Retry-After: 7\r\n"));
    }
    assert_eq!(server.event_count(), 0);
    assert_eq!(
        client.post("/batch/", &good()),
        (429, "slow down".to_owned())
    );
    assert_eq!(server.event_count(), 2);
    assert_eq!(client.post("/flags/", b"{}"), (204, String::new()));
    assert_eq!(
        client.post("/batch/", &good()),
        (200, r#"{"status":1}"#.to_owned())
    );
    assert_eq!(
        client.post("/flags/", b"{}"),
        (200, r#"{"flags":{}}"#.to_owned())
    );
    assert_eq!(client.post("/batch/", &good()), (200, OK.to_owned()));
    assert_eq!(server.connection_count(), 1);
}

#[test]
fn resets_are_resets() {
    let server = server();
    let get = b"GET /_liveness HTTP/1.1\r\n\r\n";
    let chunked = b"POST /e/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for request in [get.as_slice(), chunked.as_slice()] {
        for _ in 0..20 {
            server.answer_next(Answer::reset());
            let mut client = Client::new(&server);
            client.0.write_all(request).unwrap();
            assert_eq!(
                client.head().unwrap_err().kind(),
                ErrorKind::ConnectionReset
            );
        }
    }
    server.answer_next(Answer::reset().after_accepting());
    let mut client = Client::new(&server);
    client.send("/batch/", "", &good());
    assert_eq!(
        client.head().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!((server.request_count(), server.event_count()), (41, 2));

    server.answer_next(Answer::reset_before_body());
    let mut client = Client::new(&server);
    client
        .0
        .write_all(b"POST /e/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        .unwrap();
    assert_eq!(
        client.head().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(server.request_count(), 41);
}

#[test]
fn broken_answers() {
    let server = server();
    let take = |answer: Answer| {
        server.answer_next(answer);
        let mut client = Client::new(&server);
        client.send("/batch/", "", &good());
        String::from_utf8(client.rest().unwrap()).unwrap()
    };
    assert_eq!(take(Answer::close()), "");
    assert_eq!(take(Answer::raw("HTTP/1.1 what")), "HTTP/1.1 what");
    let half = take(Answer::half());
    assert!(
        half.contains("content-length: 15\r\n") && half.ends_with("\r\n\r\n{\"statu"),
        "{half}"
    );
    let wrong = take(Answer::wrong_length(99));
    assert!(
        wrong.contains("content-length: 99\r\n") && wrong.ends_with(OK),
        "{wrong}"
    );
    let closed = take(Answer::status(200).header("Connection", "close"));
    assert!(closed.ends_with(OK));
    assert_eq!((server.request_count(), server.event_count()), (5, 0));
}

#[test]
fn stop_ends_stalls_and_delays() {
    let started = Instant::now();
    let hour = Duration::from_secs(3600);
    let slow = [
        (Answer::stall(), 1),
        (Answer::accept().delay(hour), 1),
        (Answer::close().delay(hour), 1),
        (Answer::reset_before_body().delay(hour), 0),
    ];
    for (answer, recorded) in slow {
        let server = server();
        server.answer_next(answer);
        let mut client = Client::new(&server);
        client.send("/batch/", "", &good());
        assert!(server.wait_for_requests(recorded, SOON));
        thread::scope(|scope| {
            let waiting = scope.spawn(move || client.head());
            drop(server);
            assert!(waiting.join().unwrap().is_err());
        });
    }
    assert!(started.elapsed() < SOON);
}

#[test]
fn a_stopped_server_is_gone_and_can_start_again() {
    let server = server();
    let mut idle = Client::new(&server);
    assert_eq!(idle.post("/e/", &good()).0, 200);
    server.stop();
    server.stop();
    assert!(idle.rest().unwrap().is_empty());
    assert!(TcpStream::connect(server.addr()).is_err());
    assert_eq!(server.event_count(), 2);
    assert!(!server.wait_for_events(3, SOON));

    let again = PostHogServer::start_on(server.addr()).unwrap();
    assert_eq!(again.url(), server.url());
    assert_eq!(Client::new(&again).post("/e/", &good()).0, 200);
}

#[test]
fn a_panic_in_the_function_costs_one_connection() {
    let server = server();
    server.answer_with(|request| match request.path.as_str() {
        "/panic" => panic!("on purpose"),
        _ => None,
    });
    let mut client = Client::new(&server);
    client.send("/panic", "", b"x");
    assert!(client.head().is_err());
    assert_eq!(Client::new(&server).post("/e/", &good()).0, 200);
}

#[test]
fn waiting_ends_with_the_time() {
    let server = server();
    assert!(server.wait_for_events(0, Duration::ZERO));
    assert!(!server.wait_for_events(1, Duration::from_millis(1)));
    assert!(!server.wait_for_requests(1, Duration::from_millis(1)));
}

#[test]
fn many_requests_and_what_is_kept() {
    let server = server();
    let load = || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut client = Client::new(&server);
                    for _ in 0..500 {
                        assert_eq!(client.post("/batch/", &good()).0, 200);
                    }
                });
            }
            assert!(server.wait_for_events(4000, SOON));
            assert!(server.wait_for_requests(2000, SOON));
        });
        let kept = (server.requests().len(), server.events().len());
        let counted = (server.request_count(), server.event_count());
        assert_eq!(counted, (2000, 4000));
        kept
    };
    assert_eq!(load(), (2000, 4000));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.body == good())
    );
    server.clear();
    server.record(Recording::EventsOnly);
    assert_eq!(load(), (2000, 4000));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.body.is_empty())
    );
    server.clear();
    server.record(Recording::CountsOnly);
    assert_eq!(load(), (0, 0));
    assert_eq!(server.connection_count(), 12);
}

#[test]
fn a_long_run_keeps_the_newest_and_says_what_it_let_go() {
    let server = server();
    server.keep_requests(2);
    server.keep_events(3);
    let mut client = Client::new(&server);
    for n in 0..5 {
        let body = format!(
            r#"{{"api_key":"phc_x","batch":[{{"event":"e{n}","distinct_id":"a"}},{{"event":"e{n}","distinct_id":"b"}}]}}"#
        );
        assert_eq!(client.post("/batch/", body.as_bytes()).0, 200);
    }
    let bodies: Vec<Value> = server
        .requests()
        .iter()
        .map(|r| r.json().unwrap())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[1]["batch"][0]["event"], "e4");
    let events: Vec<String> = server.events().into_iter().map(|e| e.event).collect();
    assert_eq!(events, ["e3", "e4", "e4"]);
    assert_eq!((server.requests_let_go(), server.events_let_go()), (3, 7));
    assert_eq!((server.request_count(), server.event_count()), (5, 10));
    assert!(server.wait_for_events(10, SOON) && server.find("e0").is_none());
    let said = format!("{server:?}");
    assert!(
        said.contains("requests_let_go: 3") && said.contains("events_let_go: 7"),
        "{said}"
    );
    server.clear();
    assert_eq!((server.requests_let_go(), server.events_let_go()), (0, 0));
}
