//! Each recipe runs as its own program, against a local PostHog, and events arrive there with their identity.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

mod harness;

use harness::lambda::Lambda;
use harness::{Asked, Program, arrived, events};
use std::sync::Arc;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog_recipes::orders;

fn posthog() -> PostHogServer {
    PostHogServer::start().unwrap()
}

#[test]
fn tower_http_s_span_carries_the_identity() {
    let posthog = posthog();
    let mut service = Program::start(env!("CARGO_BIN_EXE_axum_tower_http"), &posthog);
    let address = service.address();
    for user in ["ada", "grace"] {
        let token = format!("authorization: Bearer token-of-{user}");
        let asked = Asked::post(&address, "/orders", &[&token]);
        assert_eq!(asked.answer(), "thank you");
    }
    service.signal("INT");
    let end = service.end();
    assert!(end.success && end.stdout.contains("2 delivered"), "{end:?}");
    let order = "order placed";
    assert_eq!(
        arrived(&posthog),
        events([(order, "ada"), (order, "grace")])
    );
}

#[test]
fn actix_s_root_span_carries_identity_and_session() {
    let posthog = posthog();
    let mut service = Program::start(env!("CARGO_BIN_EXE_actix"), &posthog);
    let session = ["x-posthog-session-id: s1"];
    let asked = Asked::post(&service.address(), "/orders", &session);
    assert_eq!(asked.answer(), "thank you");
    service.signal("TERM");
    let end = service.end();
    assert!(end.success && end.stdout.contains("1 delivered"), "{end:?}");
    assert_eq!(arrived(&posthog), events([("order placed", "ada")]));
    assert_eq!(posthog.events()[0].properties["$session_id"], "s1");
}

/// A client of the gRPC service, whose connection is closed when this returns.
#[tokio::main(flavor = "current_thread")]
async fn place(address: String, item: &str) -> String {
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(item.to_owned());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer token-of-ada".parse().unwrap());
    metadata.insert("x-posthog-session-id", "s1".parse().unwrap());
    let codec = tonic_prost::ProstCodec::<String, String>::default();
    let answer = client
        .unary(request, orders::PLACE.parse().unwrap(), codec)
        .await;
    answer.unwrap().into_inner()
}

#[test]
fn a_tonic_handler_has_the_identity_of_its_call() {
    let posthog = posthog();
    let mut service = Program::start(env!("CARGO_BIN_EXE_grpc"), &posthog);
    let address = format!("http://{}", service.address());
    assert_eq!(place(address, "tea"), "tea: ordered");
    service.signal("INT");
    let end = service.end();
    assert!(end.success && end.stdout.contains("1 delivered"), "{end:?}");
    assert_eq!(arrived(&posthog), events([("order placed", "ada")]));
    let order = &posthog.events()[0].properties;
    assert_eq!(
        (&order["item"], &order["$session_id"]),
        (&"tea".into(), &"s1".into())
    );
}

#[test]
fn rayon_s_threads_work_for_whom_the_span_names() {
    let posthog = posthog();
    let program = Program::start(env!("CARGO_BIN_EXE_rayon_pool"), &posthog);
    let end = program.end();
    assert!(end.success && end.stdout == "42\n", "{end:?}");
    let (page, ada, grace) = ("page converted", "ada", "grace");
    let want = [
        (page, ada),
        (page, ada),
        (page, ada),
        (page, grace),
        (page, grace),
        (page, grace),
    ];
    assert_eq!(arrived(&posthog), events(want));
}

#[test]
fn tasks_of_one_thread_keep_their_own_identity() {
    let posthog = posthog();
    let program = Program::start(env!("CARGO_BIN_EXE_current_thread"), &posthog);
    let end = program.end();
    assert!(
        end.success && end.stdout.starts_with("4 rounds\n"),
        "{end:?}"
    );
    let (round, score, ada, grace) = ("round played", "score saved", "ada", "grace");
    let want = [
        (round, ada),
        (round, ada),
        (round, grace),
        (round, grace),
        (score, ada),
        (score, grace),
    ];
    assert_eq!(arrived(&posthog), events(want));
}

fn invoke_lambda(posthog: &Arc<PostHogServer>) -> (Lambda, Program) {
    let seen = posthog.clone();
    let lambda = Lambda::start(move || seen.event_count());
    let function = Program::start_with(env!("CARGO_BIN_EXE_lambda"), posthog, |command| {
        command
            .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "orders")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
    });
    (lambda, function)
}

const ADA_S_ORDER: &str = r#"{"user": "ada", "item": "tea"}"#;
const GRACE_S_ORDER: &str = r#"{"user": "grace", "item": "tea"}"#;
const TEA: &str = r#"{"ordered":"tea"}"#;

/// Invokes until an answer comes after all events, its own included. One is enough, unless this machine stands still:
/// the function waits for a second.
fn invoke_until_delivered(lambda: &Lambda, order: &'static str) -> usize {
    for invoked in 1..=30 {
        let (answer, arrived) = lambda.invoke(order);
        assert_eq!(answer, TEA);
        if arrived == invoked {
            return invoked;
        }
    }
    panic!("it answers before its events arrive");
}

#[test]
fn lambda_delivers_before_it_answers() {
    let posthog = Arc::new(posthog());
    let (lambda, _function) = invoke_lambda(&posthog);
    let orders = invoke_until_delivered(&lambda, ADA_S_ORDER);
    let order = ("order placed".to_owned(), "ada".to_owned());
    assert_eq!(arrived(&posthog), vec![order; orders]);
}

#[test]
fn lambda_answers_though_posthog_does_not() {
    let posthog = Arc::new(posthog());
    posthog.answer_next(Answer::stall());
    let (lambda, _function) = invoke_lambda(&posthog);
    assert_eq!(lambda.invoke(ADA_S_ORDER), (TEA.to_owned(), 0));
    // Its events wait for their next attempt, and hold up no others.
    invoke_until_delivered(&lambda, GRACE_S_ORDER);
}

#[test]
fn requests_are_answered_and_their_events_delivered_at_ctrl_c_and_sigterm() {
    for signal in ["INT", "TERM"] {
        let posthog = posthog();
        let mut service = Program::start(env!("CARGO_BIN_EXE_graceful_shutdown"), &posthog);
        let head = [
            "x-posthog-session-id: s1",
            "content-length: 3",
            "expect: 100-continue",
        ];
        let address = service.address();
        let mut asked = Asked::post(&address, "/orders", &head);
        asked.until_continued();
        service.signal(signal);
        assert_eq!(service.line(), "stopping");
        asked.send("tea");
        assert_eq!(asked.answer(), "thank you");
        let end = service.end();
        assert!(end.success && end.stdout.contains("1 delivered"), "{end:?}");
        let order = &posthog.events()[0].properties;
        assert_eq!(
            (&order["item"], &order["$session_id"]),
            (&"tea".into(), &"s1".into())
        );
    }
}

#[test]
fn the_log_filter_of_a_tool_hides_no_event() {
    let tool = env!("CARGO_BIN_EXE_command_line");
    let run = |log: Option<&str>, argument| {
        let posthog = posthog();
        let program = Program::start_with(tool, &posthog, |command| {
            command
                .envs(log.map(|log| ("RUST_LOG", log)))
                .env("TOOL_USER", "ada")
                .arg(argument)
        });
        let end = program.end();
        assert_eq!(arrived(&posthog), events([("command run", "ada")]));
        end
    };
    let end = run(None, "21");
    assert!(
        end.success && end.stdout == "42\n" && end.stderr.is_empty(),
        "{end:?}"
    );
    let end = run(Some("command_line=debug"), "x");
    assert!(!end.success && end.stdout.is_empty(), "{end:?}");
    assert!(
        end.stderr.contains("parsing") && end.stderr.contains("command run"),
        "{end:?}"
    );
}
