//! The guide, for what the items' own documentation does not say:
//!
//! - [`events`]: every field and value, identity, spans as events, and capturing from code
//! - [`configuration`]: keys, hosts, TLS, all settings and environment variables
//! - [`feature_flags`]: local or remote evaluation, keys, outages, cost
//! - [`errors`]: error tracking: which errors, how they are grouped, panics, symbols
//! - [`testing`]: tests of your own events, and of code that reads flags or calls the REST API
//! - [`delivery`]: flush, shutdown, outages, stats, threads, the spool, metrics, and capture v1
//! - [`rest`]: the REST API: operations, bodies, answers, lists, HogQL, errors
//! - [`frameworks`]: axum, tower-http, actix-web, tonic, rayon, current-thread runtimes, signals
//! - [`lambda`]: AWS Lambda, with a flush per invocation
//! - [`scale`]: many processes, and a relay in front of PostHog
//! - [`privacy`]: what leaves the process, and what stays in it
//! - [`troubleshooting`]: no events, twice the events, the wrong person; and coming from `fmt::init()`
//!
//! The pages are in `docs/` of the repository too. This module exists in the documentation only.

// The pages end with the addresses of their links, for readers of the repository. Of two addresses for one name the
// first counts, so those written here are the ones that readers of this documentation get.

#[doc = "\
[settings]: crate::guide::configuration#settings
[stats]: crate::guide::delivery#stats
[frameworks]: crate::guide::frameworks
[errors]: crate::guide::errors#which-events-become-exceptions

"]
#[doc = include_str!("../docs/guide/events.md")]
pub mod events {}

#[doc = "\
[v1]: crate::guide::delivery#capture-v1
[rest]: crate::guide::rest
[init]: crate::guide::troubleshooting#coming-from-fmtinit
[flags]: crate::guide::feature_flags
[errors]: crate::guide::errors

"]
#[doc = include_str!("../docs/guide/configuration.md")]
pub mod configuration {}

#[doc = "\
[testing]: crate::guide::testing#feature-flags
[off]: crate::guide::troubleshooting#13-a-flag-is-always-off
[axum]: crate::guide::frameworks#feature-flags
[on_events]: crate::guide::events#flags-on-events

"]
#[doc = include_str!("../docs/guide/feature_flags.md")]
pub mod feature_flags {}

#[doc = "\
[missing]: crate::guide::troubleshooting#14-an-error-does-not-arrive
[events]: crate::guide::events

"]
#[doc = include_str!("../docs/guide/errors.md")]
pub mod errors {}

#[doc = "\
[errors]: crate::guide::errors
[rest]: crate::guide::rest

"]
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}

#[doc = "\
[errors]: crate::guide::errors#limits-and-cost

"]
#[doc = include_str!("../docs/delivery.md")]
pub mod delivery {}

#[doc = "\
[testing]: crate::guide::testing#calls-of-the-rest-api

"]
#[doc = include_str!("../docs/guide/rest.md")]
pub mod rest {}

#[doc = "\
[testing]: crate::guide::testing#feature-flags
[flags]: crate::guide::feature_flags

"]
#[doc = include_str!("../docs/guide/frameworks.md")]
pub mod frameworks {}

#[doc = include_str!("../docs/guide/lambda.md")]
pub mod lambda {}

#[doc = "\
[nginx.conf]: #nginxconf

"]
#[doc = include_str!("../docs/guide/scale.md")]
/// ## nginx.conf
///
/// ```nginx
#[doc = include_str!("../docs/guide/nginx.conf")]
/// ```
pub mod scale {}

#[doc = "\
[scale]: crate::guide::scale#addresses-and-places
[security]: https://docs.rs/crate/tracing-posthog/latest/source/SECURITY.md

"]
#[doc = include_str!("../docs/guide/privacy.md")]
pub mod privacy {}

#[doc = "\
[scale]: crate::guide::scale#a-relay
[tls]: crate::guide::configuration#tls
[undecided]: crate::guide::feature_flags#what-cannot-be-decided-locally
[symbols]: crate::guide::errors#stacks-and-symbols

"]
#[doc = include_str!("../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
