//! One connection: its requests, their answers, their faults.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use super::super::answer::{Answer, Kind, OK_BODY, Reply};
use super::super::recorded::RecordedRequest;
use super::super::routes::query_pairs;
use super::super::rules::{self, Verdict};
use super::memory::Shared;
use super::wire::{Broken, Head, Wire};

pub(super) struct Connection {
    pub(super) id: usize,
    pub(super) stream: Arc<TcpStream>,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.lock().open.remove(&self.id);
    }
}

/// What becomes of the connection after an answer.
enum Then {
    Continue,
    /// FIN.
    Close,
    /// RST, see [`Wire`].
    Reset,
}

impl Connection {
    pub(super) fn serve(&self) {
        // Without this, answers wait for the client's acknowledgement.
        let _ = self.stream.set_nodelay(true);
        let mut wire = Wire::new(&self.stream);
        loop {
            match self.exchange(&mut wire) {
                Ok(Then::Continue) => {}
                Ok(Then::Reset) | Err(Broken::Gone) => return,
                Ok(Then::Close) => return wire.hang_up(),
                Err(Broken::Refused(status)) => {
                    let close = [("connection".to_owned(), "close".to_owned())];
                    let answer = Reply::text(status, "").render(&close, None, false);
                    if wire.send(&answer).is_ok() {
                        wire.hang_up();
                    }
                    return;
                }
            }
        }
    }

    /// One request and its answer.
    fn exchange(&self, wire: &mut Wire<'_>) -> Result<Then, Broken> {
        let head = wire.read_head()?;
        if let Some(answer) = self.shared.early_answer() {
            self.shared.pause(answer.delay);
            return Ok(Then::Reset);
        }
        if head.expects_continue {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (raw, raw_body_len) = wire.read_body(head.framing)?;
        let received_at = Instant::now();
        let to_head_request = head.method == "HEAD";
        let keep_alive = head.keep_alive;
        let (mut request, unreadable) = self.request(head, raw, raw_body_len, received_at);

        let route = self.shared.route(&mut request);
        let answer = self.shared.choose_answer(&request, route.as_deref());
        let (reply, events, duplicate_keys) = if answer.keeps_events() {
            let Verdict {
                reply,
                events,
                duplicate_keys,
            } = self.judge(&request, unreadable, &answer);
            (Some(reply), events, duplicate_keys)
        } else {
            (None, Vec::new(), 0)
        };
        let mut reply = match (&answer.kind, reply) {
            (Kind::Accept, Some(reply)) => reply,
            (Kind::Status(status), _) => rules::of_status(*status, &request.path),
            _ => Reply::json(200, OK_BODY),
        };
        if let Some(body) = &answer.body
            && (answer.kind != Kind::Accept || reply.status < 300)
        {
            reply.body.clone_from(body);
        }
        if answer.kind.is_http() {
            request.status = Some(reply.status);
            request.answer = String::from_utf8_lossy(&reply.body).into_owned();
        }
        if !self.shared.remember(request, events, duplicate_keys)
            || !self.shared.pause(answer.delay)
        {
            return Err(Broken::Gone);
        }
        match &answer.kind {
            Kind::Accept | Kind::Status(_) => {
                wire.send(&reply.render(&answer.headers, None, to_head_request))?;
                if keep_alive && !answer.says_close() {
                    Ok(Then::Continue)
                } else {
                    Ok(Then::Close)
                }
            }
            Kind::Reset | Kind::ResetBeforeBody => Ok(Then::Reset),
            Kind::Close => Ok(Then::Close),
            Kind::Half => {
                let whole = reply.render(&answer.headers, None, to_head_request);
                let missing = reply.body.len().div_ceil(2);
                wire.send(&whole[..whole.len().saturating_sub(missing)])?;
                Ok(Then::Close)
            }
            Kind::Stall => {
                wire.drain();
                Ok(Then::Close)
            }
            Kind::WrongLength(length) => {
                wire.send(&reply.render(&answer.headers, Some(*length), to_head_request))?;
                Ok(Then::Close)
            }
            Kind::Raw(bytes) => {
                wire.send(bytes)?;
                Ok(Then::Close)
            }
        }
    }

    /// What PostHog makes of it.
    fn judge(
        &self,
        request: &RecordedRequest,
        unreadable: Option<Reply>,
        answer: &Answer,
    ) -> Verdict {
        #[cfg(feature = "flags")]
        if rules::flags::is_path(&request.path) {
            let served = self.shared.lock().flags.clone();
            return Verdict {
                reply: rules::flags::judge(request, unreadable.as_ref(), &served),
                events: Vec::new(),
                duplicate_keys: 0,
            };
        }
        let mut verdict = rules::judge(request, unreadable, answer.verdicts());
        if verdict.reply.status == 404 && request.route.is_none() {
            let state = self.shared.lock();
            verdict.reply = state.routes.no_route(&request.method, &request.path);
        }
        verdict
    }

    fn request(
        &self,
        head: Head,
        raw: Vec<u8>,
        raw_body_len: usize,
        received_at: Instant,
    ) -> (RecordedRequest, Option<Reply>) {
        let encoding = head
            .headers
            .iter()
            .find(|(name, _)| name == "content-encoding");
        let encoding = encoding.map(|(_, value)| value.as_str());
        let (body, unreadable) = rules::unpack(raw, &head.path, head.query.as_deref(), encoding);
        let request = RecordedRequest {
            method: head.method,
            path: head.path,
            route: None,
            path_params: Vec::new(),
            params: head.query.as_deref().map(query_pairs).unwrap_or_default(),
            query: head.query,
            headers: head.headers,
            body,
            raw_body_len,
            connection: self.id,
            received_at,
            status: None,
            answer: String::new(),
        };
        (request, unreadable)
    }
}
