//! Secrets and data that do not look like themselves: encoded, as numbers, within words of serde, settings or errors of
//! the program's own HTTP client.

use super::{
    BASIC, DATA, EMAIL, KEYS, Leaks, Log, PERSONAL_KEY, PROJECT_KEY, TENANT, client_of, everything,
    fields_of, shown_by,
};
use crate::own_process::own_process;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::json;
use std::time::Duration;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Event, Method, PostHogClient, PostHogClientBuilder, PostHogError};

/// Sends a GET, with one more header, that is answered so.
async fn get<T: DeserializeOwned>(value: &str, answer: Answer) -> PostHogError {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).header("x-more", value);
    server.answer_next(answer);
    let client = client.build().unwrap();
    let request = client.request(Method::GET, "/api/users/@me/");
    request.send_as::<T>().await.map(drop).unwrap_err()
}

/// A type of the program whose errors quote what they refuse, in many ways.
#[derive(Debug)]
struct Quoting;

impl<'de> Deserialize<'de> for Quoting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Err(D::Error::custom(text))
    }
}

/// What a value may be called so that an error about it looks like one without a value.
fn crafted() -> Vec<String> {
    vec![
        format!("x, expected {EMAIL}"),
        format!("x, expected {EMAIL} at line 1"),
        format!("{EMAIL} is a JSON object, but here is a string"),
        format!("x at line 1, expected {EMAIL} at line 1 column 5"),
        format!("invalid type: {EMAIL}, expected u64"),
        format!("unknown field `{EMAIL}`, expected one of `a`, `b`"),
    ]
}

#[tokio::test]
async fn what_serde_says_hides_values_that_look_like_its_words() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    for text in crafted() {
        let values = Answer::status(200).json(json!([text]));
        let error = get::<Vec<u64>>("x", values.clone()).await;
        assert!(error.to_string().contains("expected u64"), "{error}");
        leaks.look(&text, &DATA, shown_by(&error));
        let error = get::<Vec<Quoting>>("x", values).await;
        assert!(matches!(error, PostHogError::SerializationError { .. }));
        leaks.look(&format!("a custom error, {text}"), &DATA, shown_by(&error));
        leaks.look(&text, &DATA, log.take());
    }
    leaks.assert_none(40);
}

/// Looks at the builder and at the error of a setting that is refused.
#[track_caller]
fn refused(leaks: &mut Leaks, case: &str, builder: PostHogClientBuilder) {
    leaks.look(
        case,
        &KEYS,
        vec![("builder".into(), format!("{builder:?}"))],
    );
    let error = builder.build().unwrap_err();
    assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
    leaks.look(case, &KEYS, shown_by(&error));
}

#[test]
fn credentials_in_the_place_of_a_host_are_not_taken_for_one() {
    let mut leaks = Leaks::default();
    for host in [
        format!("ada:{TENANT}"),
        format!("Bearer:{TENANT}"),
        format!("basic/{TENANT}:x"),
        // The shape of a JSON web token.
        "eyJhbGciOiJIUzI1NiJ9.TenantMarkeyJzdWIiOiIxIn0.c2lnbmF0dXJl".to_owned(),
        format!("v1.{TENANT}"),
        format!("ftp://{TENANT}.example.com"),
    ] {
        let builder = PostHogClient::builder().project_api_key(PROJECT_KEY);
        refused(&mut leaks, &host, builder.host(&host));
        #[cfg(feature = "rest")]
        {
            let builder = PostHogClient::builder().project_api_key(PROJECT_KEY);
            let alias = format!("{host}/");
            refused(&mut leaks, &host, builder.alias(alias));
        }
    }
    leaks.assert_none(24);
}

#[test]
fn a_host_without_a_scheme_is_still_named() {
    for host in [
        "eu.posthog.com",
        "localhost:8000",
        "10.0.0.7:8000",
        "ph.example.com/ingest",
    ] {
        let builder = PostHogClient::builder()
            .project_api_key(PROJECT_KEY)
            .host(host);
        assert!(format!("{builder:?}").contains(host), "{builder:?}");
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(host), "{error}");
    }
}

#[tokio::test]
async fn header_values_are_removed_in_every_form() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    for (value, written) in [
        // As a number.
        ("9081726354", "9081726354".to_owned()),
        ("-90817263.54", "-90817263.54".to_owned()),
        // In the query or path of an address, by two habits.
        ("Perc/entMark+==", "\"Perc%2FentMark%2B%3D%3D\"".to_owned()),
        ("Perc/entMark+==", "\"Perc%2fentMark%2b%3d%3d\"".to_owned()),
        // On a page.
        (
            "a<b>&Ang'le\"Mark",
            "\"a&lt;b&gt;&amp;Ang&#39;le&quot;Mark\"".to_owned(),
        ),
        (
            "a<b>&Ang'le\"Mark",
            "\"a&lt;b&gt;&amp;Ang&#x27;le&quot;Mark\"".to_owned(),
        ),
        // As a host name.
        ("Case-Mark-OF-Ours", "\"case-mark-of-ours\"".to_owned()),
        ("Case-Mark-OF-Ours", "\"CASE-MARK-OF-OURS\"".to_owned()),
        // One of several cookies.
        (
            "theme=dark; session=CookieMark-123; a=b",
            "\"no CookieMark-123\"".to_owned(),
        ),
    ] {
        for status in [400, 500] {
            for body in [
                format!(r#"{{"type": "validation_error", "detail": {written}, "attr": "a"}}"#),
                format!(r#"{{"detail": "no", "code": {written}, "attr": {written}}}"#),
                format!(r#"{{"detail": "no", "extra": {{"a": [{written}]}}}}"#),
                format!(r#"{{"type": "multiple", "list": [{{"attr": {written}}}]}}"#),
            ] {
                let case = format!("{status}, {body}");
                let error = get::<u64>(value, Answer::status(status).body(body)).await;
                let marks = ["90817263", "entMark", "Ang", "ase-", "ASE-", "CookieMark"];
                leaks.look(&case, &marks, shown_by(&error));
                leaks.look(&case, &marks, fields_of(&error));
                leaks.look(&case, &marks, log.take());
            }
        }
    }
    leaks.assert_none(300);
}

/// `ApiError::body` is for programs, but it too is without keys, where JSON breaks off and cannot be read.
#[tokio::test]
async fn a_body_that_breaks_off_is_without_keys() {
    let mut leaks = Leaks::default();
    for (value, body) in [
        (
            r#"say "QuoteMark" twice"#,
            r#"{"detail": "say \"QuoteMark\" twice"#,
        ),
        (
            "c2Vj/SlashMark/cmV0==",
            r#"{"detail": "c2Vj\/SlashMark\/cmV0=="#,
        ),
        (
            "géheim-AccentMark-é",
            r#"{"detail": "g\u00e9heim-AccentMark-\u00e9"#,
        ),
        // The last bytes that came are the first of a secret.
        ("Cut-Mark-of-ours-1234", r#"{"detail": "Cut-Mark-of"#),
        ("x", r#"{"detail": "TenantMark-9f8e"#),
    ] {
        let error = get::<u64>(value, Answer::status(400).body(body)).await;
        let marks = [
            "QuoteMark",
            "SlashMark",
            "AccentMark",
            "Cut-Mark",
            "TenantMark",
        ];
        leaks.look(body, &marks, shown_by(&error));
        leaks.look(body, &marks, fields_of(&error));
    }
    leaks.assert_none(20);
}

/// A redirect policy of the program's own client that names the address it refuses.
#[tokio::test]
async fn errors_of_the_programs_own_http_client_show_no_key() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    for to in [
        format!("/login?next={TENANT}"),
        format!("/login?key={PERSONAL_KEY}"),
        format!(
            "/login?key={PROJECT_KEY}&credentials={}",
            BASIC.replace(' ', "%20")
        ),
    ] {
        let server = PostHogServer::start().unwrap();
        let names_it = reqwest::redirect::Policy::custom(|attempt| {
            let refused = format!("no redirect to {}", attempt.url());
            attempt.error(refused)
        });
        let own = reqwest::Client::builder()
            .redirect(names_it)
            .build()
            .unwrap();
        let answer = Answer::status(302).header("location", &to);
        server.answer_next_times(2, answer);
        let client = client_of(&server).reqwest_client(own).build().unwrap();
        let request = client.request(Method::GET, "/api/users/@me/");
        let error = request.send_as::<u64>().await.unwrap_err();
        assert!(error.to_string().contains("no redirect to"), "{error}");
        leaks.look(&to, &KEYS, shown_by(&error));
        let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
        leaks.look(&to, &KEYS, shown_by(&summary.errors[0]));
        leaks.look(&to, &KEYS, log.take());
    }
    leaks.assert_none(20);
}

/// What is wrong with a connection stays readable as what it is.
#[tokio::test]
async fn an_error_without_secrets_stays_what_it_was() {
    let client = PostHogClient::builder()
        .personal_api_key(PERSONAL_KEY)
        .host("http://127.0.0.1:1")
        .retry(tracing_posthog::RetryPolicy::none())
        .build()
        .unwrap();
    let request = client.request(Method::GET, "/api/users/@me/");
    let error = request.send_as::<u64>().await.unwrap_err();
    let PostHogError::RequestError(error) = error else {
        panic!("{error:?}")
    };
    let source = std::error::Error::source(&*error).unwrap();
    assert!(
        source.downcast_ref::<reqwest::Error>().is_some(),
        "{source:?}"
    );
}

#[cfg(feature = "rest")]
#[tokio::test]
async fn the_id_that_a_server_gives_a_query_shows_no_key() {
    let mut leaks = Leaks::default();
    for id in [TENANT, PERSONAL_KEY] {
        let server = PostHogServer::start().unwrap();
        let client = client_of(&server).build().unwrap();
        let query = || client.project(1).hogql("SELECT 1").in_background();
        let status = |failed: bool| {
            let error = failed.then_some("no");
            Answer::status(200).json(json!({"query_status": {
                "id": id, "complete": failed, "error": failed, "error_message": error,
            }}))
        };
        // Started under that id, it then fails.
        server.answer_next(status(false));
        server.answer_next(status(true));
        let mut running = query()
            .poll(Duration::ZERO, Duration::ZERO)
            .start()
            .await
            .unwrap();
        assert_eq!(running.id(), id, "for programs it is as it came");
        leaks.look(id, &KEYS, vec![("running".into(), format!("{running:?}"))]);
        let error = running.wait().await.unwrap_err();
        assert!(
            matches!(error, PostHogError::QueryFailed { .. }),
            "{error:?}"
        );
        leaks.look(id, &KEYS, shown_by(&error));
    }
    leaks.assert_none(8);
}

#[test]
fn the_address_of_an_explanation_is_shown_where_it_is_posthogs() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (uri, shown) in [
        ("https://us.posthog.com/organization/billing", true),
        ("https://posthog.com/docs/billing", true),
        ("https://posthog.com/idmark", false),
        ("https://posthog.com/docs#idmark", false),
        ("https://posthog.com/docs?a=idmark", false),
        ("https://idmark@posthog.com/docs", false),
        ("https://idmark.posthog.com/docs", false),
        ("https://posthog.com.idmark.example.com/docs", false),
        ("https://idmarkposthog.com/docs", false),
    ] {
        let server = PostHogServer::start().unwrap();
        server.answer_next(Answer::status(402).json(json!({
            "error": "billing_limit_exceeded", "error_description": "over quota", "error_uri": uri,
        })));
        let client = client_of(&server).build().unwrap();
        let summary = runtime
            .block_on(client.capture_batch([Event::new("paid")]))
            .unwrap();
        let said = summary.errors[0].to_string();
        assert!(said.contains("over quota"), "{said}");
        assert_eq!(said.contains(uri), shown, "{said}");
        let mut leaks = Leaks::default();
        leaks.look(uri, &everything(), shown_by(&summary.errors[0]));
        leaks.assert_none(3);
    }
}

#[tokio::test]
async fn a_request_that_is_malformed_shows_no_secret() {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    let other = "unknownmark-1234";
    let get = |path: &str| client.request(Method::GET, path);
    let mut leaks = Leaks::default();
    for request in [
        get(&format!("/api/users/?token={other}")),
        get(&format!("/api/users/#{other}")),
        get("/api/users/").raw_body(&format!("{other}\n"), "a,b"),
    ] {
        let error = request.send_as::<u64>().await.unwrap_err();
        assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
        leaks.look("malformed", &[other], shown_by(&error));
    }
    assert_eq!(server.request_count(), 0);
    leaks.assert_none(9);
}
