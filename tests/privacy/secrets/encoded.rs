//! Secrets that a server echoes in another form, or that stand where a text is cut.

use super::{KEYS, Leaks, Log, PERSONAL_KEY, TENANT, client_of, fields_of, shown_by};
use crate::own_process::own_process;
use serde_json::json;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogError};

/// Sends a GET that is answered so.
async fn get(value: &str, answer: Answer) -> PostHogError {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).header("x-more", value);
    server.answer_next(answer);
    let client = client.build().unwrap();
    let request = client.request(Method::GET, "/api/users/@me/");
    request.send_as::<Vec<u64>>().await.unwrap_err()
}

#[tokio::test]
async fn header_values_are_removed_however_json_writes_them() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    for (value, written) in [
        (r#"say "QuoteMark" twice"#, r#"say \"QuoteMark\" twice"#),
        (r"back\SlashMark\slash", r"back\\SlashMark\\slash"),
        // As PHP writes it.
        ("c2Vj/SlashMark/cmV0==", r"c2Vj\/SlashMark\/cmV0=="),
        // As Python writes it.
        ("géheim-AccentMark-é", r"g\u00e9heim-AccentMark-\u00e9"),
        // As some templates write it.
        ("a<b>&AngleMark=", r"a\u003cb\u003e\u0026AngleMark="),
        // With white space around, which no server sees.
        (" blank-BlankMark ", "blank-BlankMark"),
        // Without its scheme.
        ("Token SchemeMark-123", "SchemeMark-123"),
    ] {
        for status in [200, 400, 402, 500] {
            for body in [
                format!(
                    r#"{{"type": "validation_error", "detail": "not {written}", "attr": "a"}}"#
                ),
                format!(r#"{{"type": "server_error", "code": "{written}", "detail": "no"}}"#),
                format!(r#"{{"detail": "no", "extra": {{"{written}": "{written}"}}}}"#),
                format!(r#"{{"list": [{{"detail": "{written}"}}], "type": "multiple"}}"#),
                format!(r#"["{written}"]"#),
                format!(r#"{{"{written}": [{{"a": 1}}]}}"#),
                format!(r#""{written}""#),
            ] {
                let case = format!("{status}, {body}");
                let error = get(value, Answer::status(status).body(body)).await;
                let marks = [
                    "QuoteMark",
                    "SlashMark",
                    "AccentMark",
                    "AngleMark",
                    "BlankMark",
                    "SchemeMark",
                ];
                leaks.look(&case, &marks, shown_by(&error));
                leaks.look(&case, &marks, fields_of(&error));
                leaks.look(&case, &marks, log.take());
            }
        }
    }
    leaks.assert_none(300);
}

#[tokio::test]
async fn keys_are_removed_however_json_writes_them() {
    own_process!();
    let log = Log::start();
    let mut leaks = Leaks::default();
    let escaped = PERSONAL_KEY.replace('_', r"\u005f");
    let escaped_start = PERSONAL_KEY.replace('p', r"\u0070");
    let of_another = r"phs\u005fPersonalMark_of_another";
    for written in [&*escaped, &*escaped_start, of_another] {
        for status in [200, 400, 500] {
            for body in [
                format!(
                    r#"{{"type": "validation_error", "detail": "not {written}", "attr": "a"}}"#
                ),
                format!(r#"{{"type": "{written}", "code": "{written}", "attr": "{written}"}}"#),
                format!(r#"{{"detail": "no", "extra": {{"a": "{written}"}}}}"#),
                format!(r#"["{written}"]"#),
            ] {
                let case = format!("{status}, {body}");
                let error = get("x", Answer::status(status).body(body)).await;
                leaks.look(&case, &KEYS, shown_by(&error));
                leaks.look(&case, &KEYS, fields_of(&error));
                leaks.look(&case, &KEYS, log.take());
            }
        }
    }
    leaks.assert_none(100);
}

/// A secret that is cut in two is recognised by nobody, unless it is removed before.
#[tokio::test]
async fn no_part_of_a_secret_survives_where_a_text_is_cut() {
    let parts = ["Tenan", "Mark-9f8", "8e7d6c"];
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    let mut leaks = Leaks::default();
    // Around each of the lengths at which texts are cut.
    let cuts = [40, 100, 120, 200, 300, 500, 1_000, 2_000, 8_000, 10_000];
    for pad in cuts.iter().flat_map(|cut| (cut - 40..cut + 2).step_by(4)) {
        let pad = "-".repeat(pad);
        let text = format!("{pad}{TENANT}{pad}");
        for answer in [
            Answer::status(400).json(json!({"type": "validation_error", "detail": text})),
            Answer::status(400).json(json!({"type": "multiple", "list": [{"detail": text}]})),
            Answer::status(400).body(format!("<title>{text}</title>")),
            Answer::status(301).header("location", format!("/{text}")),
            Answer::status(200).json(json!([text, text])),
            Answer::status(200).json(json!([{text.clone(): text}])),
            Answer::status(200).body(format!("[1, {text}")),
        ] {
            let case = format!("{} before it, {answer:?}", pad.len());
            let case: String = case.chars().take(80).collect();
            server.answer_next(answer);
            let request = client.request(Method::GET, "/api/users/@me/");
            let error = request.send_as::<Vec<u64>>().await.unwrap_err();
            leaks.look(&case, &parts, shown_by(&error));
            leaks.look(&case, &parts, fields_of(&error));
        }
        server.clear();
    }
    leaks.assert_none(1_000);
}

#[tokio::test]
async fn a_personal_key_of_another_shape_is_removed() {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server)
        .personal_api_key("LegacyMark-of-ours-1234")
        .build()
        .unwrap();
    let mut leaks = Leaks::default();
    let detail = "no such key: LegacyMark-of-ours-1234";
    for body in [
        json!({"type": "authentication_error", "detail": detail}),
        json!({"detail": "no", "code": detail, "extra": {"key": detail}}),
        json!(detail),
        json!([detail]),
    ] {
        for status in [200, 401] {
            server.answer_next(Answer::status(status).json(body.clone()));
            let request = client.request(Method::GET, "/api/users/@me/");
            let error = request.send_as::<Vec<u64>>().await.unwrap_err();
            let case = format!("{status}, {body}");
            leaks.look(&case, &["LegacyMark"], shown_by(&error));
            leaks.look(&case, &["LegacyMark"], fields_of(&error));
        }
    }
    leaks.assert_none(24);
}
