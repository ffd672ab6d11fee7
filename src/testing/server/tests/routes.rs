//! Routes: which one a request takes, what it answers, and what is said where there is none.

use super::*;
use crate::Method;
use std::sync::Mutex as StdMutex;

const FLAGS: &str = "/api/projects/{project}/feature_flags/";
const FLAG: &str = "/api/projects/{project}/feature_flags/{id}/";

fn ask(client: &mut Client, request: &str) -> (u16, String) {
    client
        .0
        .write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .unwrap();
    let (status, _, body) = client.answer().unwrap();
    (status, body)
}

fn said(text: &str) -> Answer {
    Answer::status(200).body(text)
}

fn detail(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    body["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_route_answers_as_often_as_it_is_asked() {
    let server = server();
    server.on(Method::GET, FLAGS, json!({"results": []}));
    server.on(
        Method::POST,
        FLAGS,
        Answer::status(201).json(json!({"id": 3})),
    );
    let mut client = Client::new(&server);
    for _ in 0..3 {
        let got = ask(&mut client, "GET /api/projects/7/feature_flags/?limit=2");
        assert_eq!(got, (200, r#"{"results":[]}"#.to_owned()));
    }
    assert_eq!(
        client.post("/api/projects/7/feature_flags/", b"{\"key\":\"a\"}"),
        (201, r#"{"id":3}"#.to_owned())
    );
    assert_eq!(server.connection_count(), 1);

    let requests = server.requests();
    assert_eq!(requests[0].param("limit"), Some("2"));
    assert_eq!(requests[0].param("offset"), None);
    assert_eq!(requests[0].params().collect::<Vec<_>>(), [("limit", "2")]);
    assert_eq!(requests[0].route(), Some(FLAGS));
    assert_eq!(requests[3].path_param("project"), Some("7"));
    assert_eq!(requests[3].path_param("id"), None);
    assert_eq!(requests[3].status, Some(201));
    assert_eq!(requests[3].json().unwrap()["key"], "a");
    let shown = format!("{:?}", requests[3]);
    assert!(shown.contains(r#"body: "{\"key\":\"a\"}""#), "{shown}");
}

#[test]
fn a_function_sees_the_request_and_its_placeholders() {
    let server = server();
    let kept = StdMutex::new(0);
    server.on(Method::PATCH, FLAG, move |request: &RecordedRequest| {
        let mut kept = kept.lock().unwrap();
        *kept += 1;
        let (project, id) = (request.path_param("project"), request.path_param("id"));
        said(&format!(
            "{kept} {project:?} {id:?} {:?}",
            request.param("q")
        ))
    });
    let mut client = Client::new(&server);
    assert_eq!(
        ask(
            &mut client,
            "PATCH /api/projects/%40current/feature_flags/a%2Fb/?q=x+y"
        )
        .1,
        r#"1 Some("@current") Some("a/b") Some("x y")"#
    );
    assert_eq!(
        ask(&mut client, "PATCH /api/projects/7/feature_flags/8/").1,
        r#"2 Some("7") Some("8") None"#
    );
}

#[test]
fn answers_in_turn_end_with_the_last() {
    let server = server();
    server.on(
        Method::GET,
        FLAG,
        [said("one"), said("two"), Answer::status(404).body("gone")],
    );
    let mut client = Client::new(&server);
    let got = [0; 5].map(|_| ask(&mut client, "GET /api/projects/7/feature_flags/1/").1);
    assert_eq!(got, ["one", "two", "gone", "gone", "gone"]);
}

#[test]
fn the_most_specific_route_wins_whatever_came_first() {
    let path = "/api/projects/7/feature_flags/my_flags/";
    let templates = [
        ("/{a}/{b}/{c}/{d}/{e}/", "least"),
        (FLAG, "flag"),
        ("/api/projects/{p}/feature_flags/my_flags/", "my flags"),
        ("/api/projects/7/feature_flags/{id}/", "of project 7"),
    ];
    for turn in 0..templates.len() {
        let server = server();
        for at in 0..templates.len() {
            let (template, name) = templates[(turn + at) % templates.len()];
            server.on(Method::GET, template, said(name));
        }
        let mut client = Client::new(&server);
        let mut get = |path: &str| ask(&mut client, &format!("GET {path}")).1;
        assert_eq!(get(path), "of project 7");
        assert_eq!(get("/api/projects/8/feature_flags/my_flags/"), "my flags");
        assert_eq!(get("/api/projects/8/feature_flags/9/"), "flag");
        assert_eq!(get("/api/projects/8/surveys/9/"), "least");
    }
}

#[test]
fn the_later_of_the_same_shape_replaces_the_earlier() {
    let server = server();
    server.on(Method::GET, "/api/a/{id}/", said("old"));
    server.on(Method::POST, "/api/a/{id}/", said("post"));
    server.on(Method::GET, "/api/%61/{other}/", said("new"));
    let mut client = Client::new(&server);
    assert_eq!(ask(&mut client, "GET /api/a/1/").1, "new");
    assert_eq!(ask(&mut client, "POST /api/a/1/").1, "post");
    assert_eq!(server.requests()[0].path_param("other"), Some("1"));
    assert!(format!("{server:?}").contains("routes: 2"), "{server:?}");
}

#[test]
fn scripts_and_functions_come_first_and_events_are_still_taken() {
    let server = server();
    server.on(Method::GET, FLAGS, [said("one"), said("two")]);
    server.on(Method::POST, "/batch/", Answer::accept());
    server.answer_next(Answer::status(503));
    server.answer_with(|request| (request.param("limit") == Some("0")).then(|| said("none")));
    let mut client = Client::new(&server);
    let path = "GET /api/projects/7/feature_flags/";
    assert_eq!(ask(&mut client, path).0, 503);
    assert_eq!(ask(&mut client, &format!("{path}?limit=0")).1, "none");
    assert_eq!(ask(&mut client, path).1, "one", "the others took no turn");
    assert_eq!(ask(&mut client, path).1, "two");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.route() == Some(FLAGS))
    );

    assert_eq!(client.post("/batch/", &good()), (200, OK.to_owned()));
    assert_eq!(client.post("/e/", &good()), (200, OK.to_owned()));
    assert_eq!(server.event_count(), 4);
    server.clear();
    assert_eq!(ask(&mut client, path).1, "two", "routes stay");
}

#[test]
fn a_call_without_a_route_is_told_what_there_is() {
    let server = server();
    let mut client = Client::new(&server);
    let (status, body) = ask(&mut client, "GET /api/projects/7/surveys/");
    assert_eq!(status, 404);
    assert_eq!(
        detail(&body),
        "Endpoint not found. The local PostHog has no route for GET /api/projects/7/surveys/; add it with \
         PostHogServer::on"
    );

    server.on(Method::GET, "/api/users/@me/", json!({}));
    server.on(Method::GET, FLAGS, json!({}));
    server.on(Method::POST, FLAGS, json!({}));
    let (status, body) = ask(&mut client, "GET /api/projects/7/surveys/?limit=1");
    assert_eq!(status, 404);
    assert_eq!(
        detail(&body),
        format!(
            "Endpoint not found. The local PostHog has no route for GET /api/projects/7/surveys/; it has \
             GET {FLAGS}, POST {FLAGS}, GET /api/users/@me/"
        )
    );

    client
        .0
        .write_all(b"PUT /api/projects/7/feature_flags/ HTTP/1.1\r\n\r\n")
        .unwrap();
    let (status, head, body) = client.answer().unwrap();
    assert_eq!(status, 405);
    assert!(head.contains("allow: GET, POST\r\n"), "{head}");
    assert!(
        detail(&body)
            .starts_with("Method \"PUT\" not allowed. The local PostHog has no route for PUT")
    );

    let (_, body) = ask(&mut client, "GET /api/projects/7/feature_flags");
    assert!(
        detail(&body).contains("a route differs only by the slash at its end"),
        "{body}"
    );
    server.on(Method::GET, "/api/slashless", json!({}));
    let (_, body) = ask(&mut client, "GET /api/slashless/");
    assert!(
        detail(&body).contains("the slash at the end, which it lacks"),
        "{body}"
    );

    for n in 0..9 {
        server.on(Method::GET, format!("/api/many/{n}/"), json!({}));
    }
    let (_, body) = ask(&mut client, "GET /api/many/x/");
    let body = detail(&body);
    assert!(
        body.contains("it has GET /api/many/0/, ") && body.ends_with(" and 7 more"),
        "{body}"
    );
    assert!(
        format!("{server:?}").contains("no route for GET /api/many/x/"),
        "{server:?}"
    );
    let last = server.requests();
    assert_eq!(last[last.len() - 1].route(), None);
}

#[test]
fn a_bad_template_is_named_where_a_call_misses_its_route() {
    let server = server();
    server.on(Method::GET, "/api/projects/{id/", json!({}));
    server.on(Method::GET, "/api/users/", Vec::new());
    let mut client = Client::new(&server);
    let (status, body) = ask(&mut client, "GET /api/projects/7/");
    assert_eq!(status, 404);
    let body = detail(&body);
    for part in [
        "tests/routes.rs:",
        r#"no route was made of GET "/api/projects/{id/""#,
        "a placeholder is a whole segment, such as {id}",
        r#"GET "/api/users/": it has no answers; give at least one"#,
    ] {
        assert!(body.contains(part), "{part}: {body}");
        let shown = format!("{server:?}").replace('\\', "");
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for n in 0..100 {
        server.on(Method::GET, format!("{n}"), json!({}));
    }
    assert!(format!("{server:?}").len() < 4_000);
}
