//! Sets the feature flags that the local PostHog answers with.

use super::super::flags::{Flags, Served};
use super::PostHogServer;
use std::sync::Arc;

impl PostHogServer {
    /// Sets the feature flags, in place of those before: what it answers to `POST /flags/` and
    /// `GET /flags/definitions`. Without any, there are no flags.
    ///
    /// People and groups are evaluated by what the request says of them; nothing else is known of anybody.
    /// Definitions have an ETag that changes with them, so a client that polls gets 304 until this is called again.
    /// Answers of [`answer_next`](Self::answer_next) and [`answer_with`](Self::answer_with) come first, as for all
    /// requests. Needs the feature `flags`.
    ///
    /// ```
    /// use tracing_posthog::PostHogClient;
    /// use tracing_posthog::testing::{Flags, PostHogServer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = PostHogServer::start()?;
    /// server.flags(Flags::new().on("beta-ui").variant("checkout", "b"));
    ///
    /// let client = PostHogClient::builder().project_api_key("phc_test").host(server.url()).build()?;
    /// let user = client.flags().evaluate("user_42").await?;
    /// assert!(user.is_enabled("beta-ui"));
    /// assert_eq!(user.variant("checkout"), Some("b"));
    ///
    /// server.flags(Flags::new().off("beta-ui"));
    /// assert!(!client.flags().evaluate("user_42").await?.is_enabled("beta-ui"));
    ///
    /// let request = &server.requests()[0];
    /// assert_eq!((request.path.as_str(), request.query.as_deref()), ("/flags/", Some("v=2")));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(&self, flags: Flags) {
        let served = Arc::new(Served::new(&flags));
        let _replaced = std::mem::replace(&mut self.shared.lock().flags, served);
    }
}
