//! The words that configuration files, variables and flags use for the values of our enums.
//!
//! [`words!`] gives an enum its words once: `Display` writes them, `FromStr` reads them. Upper and lower case, `-` and
//! `_`, and white space around a word make no difference.
//!
//! Invariant: an unknown word is a [`PostHogError::Config`] that names the setting, the word and the words that there
//! are, and shows nothing that may be a secret in the wrong place.

use crate::error::PostHogError;
use crate::redact::shown_word;

/// `FromStr` and `Display` for an enum without fields. `needs` lists words of features that are off.
macro_rules! words {
    ($type:ty, $setting:literal: $($(#[$cfg:meta])* $variant:ident = $word:literal,)+
     $(; needs $($(#[$off:meta])* $feature:literal,)+)?) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($(#[$cfg])* Self::$variant => $word,)+
                })
            }
        }

        /// Reads the words that `Display` writes. Case and `-` for `_` make no difference.
        impl std::str::FromStr for $type {
            type Err = $crate::PostHogError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let words = [$($(#[$cfg])* (Self::$variant, $word),)+];
                let needs: &[&'static str] = &[$($($(#[$off])* $feature,)+)?];
                $crate::words::find($setting, text, &words, needs)
            }
        }
    };
}
pub(crate) use words;

pub(crate) fn find<T: Copy>(
    setting: &'static str,
    text: &str,
    words: &[(T, &'static str)],
    needs: &[&'static str],
) -> Result<T, PostHogError> {
    let word = normal(text);
    if let Some((value, _)) = words.iter().find(|(_, known)| *known == word) {
        return Ok(*value);
    }
    if let Some(feature) = needs.iter().find(|known| **known == word) {
        return Err(PostHogError::config(
            setting,
            format!("{feature:?} needs the feature `{feature}` of tracing-posthog"),
        ));
    }
    let known: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
    Err(unknown(setting, text, &known))
}

/// A text as words are compared.
pub(crate) fn normal(text: &str) -> String {
    text.trim().to_ascii_lowercase().replace('-', "_")
}

pub(crate) fn unknown(setting: &'static str, text: &str, known: &[&str]) -> PostHogError {
    let known = match known {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        known => known.concat(),
    };
    PostHogError::config(
        setting,
        format!("{} is unknown; write {known}", shown_word(text)),
    )
}

#[cfg(test)]
mod tests {
    use crate::capture::{CaptureProtocol, Compression, GeoIp, QueuePolicy};
    use crate::{PostHogError, Region, RetryMethods};
    use std::fmt::{Debug, Display};
    use std::str::FromStr;
    use std::time::Duration;

    #[track_caller]
    fn reads<T>(word: &str, value: T)
    where
        T: FromStr<Err = PostHogError> + Display + PartialEq + Debug,
    {
        assert_eq!(value.to_string(), word);
        let loud = format!(" {} ", word.to_uppercase().replace('_', "-"));
        for text in [word, &*loud] {
            assert_eq!(text.parse::<T>().unwrap(), value, "{text:?}");
        }
    }

    fn error<T: FromStr<Err = PostHogError> + Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn each_value_is_read_as_it_is_written() {
        reads("us", Region::Us);
        reads("eu", Region::Eu);
        reads("gzip", Compression::Gzip);
        reads("off", Compression::Off);
        reads("deflate", Compression::Deflate);
        #[cfg(feature = "brotli")]
        reads("brotli", Compression::Brotli);
        #[cfg(feature = "zstd")]
        reads("zstd", Compression::Zstd);
        reads("v0", CaptureProtocol::V0);
        reads("v1", CaptureProtocol::V1);
        reads("auto", CaptureProtocol::Auto);
        reads("off", GeoIp::Off);
        reads("on", GeoIp::On);
        reads("all", RetryMethods::All);
        reads("idempotent", RetryMethods::Idempotent);
        reads("drop_newest", QueuePolicy::DropNewest);
        reads("drop_oldest", QueuePolicy::DropOldest);
        #[cfg(feature = "spool")]
        {
            use crate::capture::{SpoolMode, SpoolPolicy};
            reads("on_failure", SpoolMode::OnFailure);
            reads("write_ahead", SpoolMode::WriteAhead);
            reads("drop_oldest", SpoolPolicy::DropOldest);
            reads("drop_newest", SpoolPolicy::DropNewest);
        }
    }

    #[test]
    fn a_policy_that_blocks_has_its_time_with_it() {
        for timeout in [
            Duration::ZERO,
            Duration::from_millis(250),
            Duration::from_secs(90),
            Duration::new(1, 1),
            Duration::MAX,
        ] {
            let policy = QueuePolicy::Block { timeout };
            let text = policy.to_string();
            let read = text.parse::<QueuePolicy>();
            match timeout {
                // Longer than any process runs.
                Duration::MAX => assert!(read.is_ok(), "{text}"),
                _ => assert_eq!(read.unwrap(), policy, "{text}"),
            }
        }
        let five = QueuePolicy::Block {
            timeout: Duration::from_secs(5),
        };
        assert_eq!(five.to_string(), "block:5s");
        for text in ["block:5s", " Block: 5 s", "block:5000ms", "block:5 seconds"] {
            assert_eq!(text.parse::<QueuePolicy>().unwrap(), five, "{text}");
        }
        for text in ["block", "block:", "block:5", "block:-5s", "block:soon"] {
            let said = error::<QueuePolicy>(text);
            assert!(said.contains("block:5s") && said.contains(text), "{said}");
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_those_that_there_are() {
        assert_eq!(
            error::<Region>("asia"),
            r#"region: "asia" is unknown; write us or eu"#
        );
        assert_eq!(
            error::<CaptureProtocol>("v2"),
            r#"protocol: "v2" is unknown; write v0, v1 or auto"#
        );
        assert!(error::<QueuePolicy>("").contains("queue_policy"));
    }

    #[test]
    #[cfg(not(feature = "zstd"))]
    fn a_word_of_a_feature_that_is_off_names_the_feature() {
        assert!(error::<Compression>("zstd").contains("feature `zstd`"));
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for text in [
            "phc_abc",
            "phx_secret_key",
            "hunter2!",
            "dGhpcyBpcyBhIHNlY3JldCB0b2tlbg",
        ] {
            let said = error::<Region>(text);
            assert!(!said.contains(text) && said.contains("us or eu"), "{said}");
        }
    }
}
