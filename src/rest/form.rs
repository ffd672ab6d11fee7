//! [`Form`]: multipart forms, for uploads.
//!
//! A form is written while it is built. Invariants: no name, file name or content type can end its header early, and no
//! part can end the form early, because the boundary is random.

use super::request::Request;
use crate::event::uuid_v7::UuidV7;
use reqwest::header::HeaderValue;
use std::fmt;

/// A multipart form, for the endpoints that take files.
///
/// ```
/// # fn f(client: tracing_posthog::PostHogClient, csv: Vec<u8>) {
/// use tracing_posthog::Method;
/// use tracing_posthog::rest::Form;
/// let table = Form::new()
///     .text("name", "orders")
///     .text("format", "CSVWithNames")
///     .file("file", "orders.csv", "text/csv", csv);
/// let upload = client
///     .request(Method::POST, "/api/projects/12345/warehouse_tables/file/")
///     .form(table);
/// # }
/// ```
///
/// The parts are kept in memory, so that the request can be retried. Give what is too large for that to
/// [`raw_body`](Request::raw_body) as a stream.
#[derive(Clone)]
#[must_use = "a form does nothing until it is sent"]
pub struct Form {
    boundary: String,
    parts: Vec<u8>,
    /// A malformed content type. Sending the form reports it.
    malformed: Option<String>,
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self {
            // Whoever wrote the parts cannot guess it.
            boundary: format!("form-{}", UuidV7::default().at(0).simple()),
            parts: Vec::new(),
            malformed: None,
        }
    }

    /// Adds a field.
    pub fn text(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        self.part(name.as_ref(), "", "", value.to_string().as_bytes());
        self
    }

    /// Adds a file: the field's name, the file's name, its content type such as `text/csv`, and its bytes.
    pub fn file(
        mut self,
        name: impl AsRef<str>,
        file_name: impl AsRef<str>,
        content_type: &str,
        contents: impl AsRef<[u8]>,
    ) -> Self {
        if HeaderValue::try_from(content_type).is_err() {
            self.malformed = Some(content_type.to_owned());
        }
        let file_name = format!("; filename=\"{}\"", quoted(file_name.as_ref()));
        let kind = format!("content-type: {content_type}\r\n");
        self.part(name.as_ref(), &file_name, &kind, contents.as_ref());
        self
    }

    fn part(&mut self, name: &str, file_name: &str, kind: &str, contents: &[u8]) {
        let head = format!(
            "--{}\r\ncontent-disposition: form-data; name=\"{}\"{file_name}\r\n{kind}\r\n",
            self.boundary,
            quoted(name)
        );
        self.parts.extend_from_slice(head.as_bytes());
        self.parts.extend_from_slice(contents);
        self.parts.extend_from_slice(b"\r\n");
    }
}

/// As browsers write names, so that none ends early.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Form {
    /// Shows the size only: the parts may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("bytes", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl<A, P> Request<A, P> {
    /// Sets the body, as a multipart form. Replaces the body that a method took.
    pub fn form(self, form: Form) -> Self {
        let kind = match form.malformed {
            Some(malformed) => malformed,
            None => format!("multipart/form-data; boundary={}", form.boundary),
        };
        let mut body = form.parts;
        body.extend_from_slice(format!("--{}--\r\n", form.boundary).as_bytes());
        self.raw_body(&kind, body)
    }
}
