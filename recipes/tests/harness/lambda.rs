//! AWS Lambda's runtime API, as far as a function needs it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Gives invocations to a function, and receives its answers.
pub struct Lambda {
    pub address: String,
    invocations: UnboundedSender<&'static str>,
    answers: Receiver<(String, usize)>,
}

impl Lambda {
    /// `look` is called at the moment of each answer.
    pub fn start(look: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        let (invocations, next) = unbounded_channel();
        let (answered, answers) = channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || serve(listener, next, answered, look));
        Self {
            address,
            invocations,
            answers,
        }
    }

    /// Invokes the function. Its answer, and what was seen when it came.
    pub fn invoke(&self, payload: &'static str) -> (String, usize) {
        self.invocations.send(payload).unwrap();
        self.answers.recv_timeout(super::LONG).unwrap()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(
    listener: std::net::TcpListener,
    next: UnboundedReceiver<&'static str>,
    answered: Sender<(String, usize)>,
    look: impl Fn() -> usize + Send + Sync + 'static,
) {
    let next = Arc::new(Mutex::new(next));
    let next = async move || {
        // Where no more comes, the function waits until it is killed.
        let Some(payload) = next.lock().await.recv().await else {
            std::future::pending().await
        };
        let headers = [
            ("lambda-runtime-aws-request-id", "1"),
            ("lambda-runtime-deadline-ms", "99999999999999"),
        ];
        (headers, payload)
    };
    let look = Arc::new(look);
    let answer = async move |body: String| {
        let _ = answered.send((body, look()));
        StatusCode::ACCEPTED
    };
    let app = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/1/response", post(answer));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    axum::serve(listener, app).await.unwrap();
}
