//! An unusable spool directory is warned of again and again, for the first time may come too early.

use crate::support::clock::Clock;
use crate::support::spooling::*;
use crate::support::*;
use std::fs;
use std::time::Duration;
use tracing_posthog::{Spool, SpoolMode};

#[test]
fn an_unusable_directory_is_said_again_to_who_listens_later() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let (server, spool, clock) = (server(), Directory::new(), Clock::stopped());
        let path = spool.path.join("file");
        fs::write(&path, "not a directory").unwrap();
        // Nobody listens yet, as in a program that starts this before its logging.
        let posthog = spooling(&server, Spool::directory(path).mode(mode))
            .flush_at(1)
            .spawn_on(clock.handle())
            .start()
            .unwrap();
        clock.wait_until("the first failure", || {
            posthog.stats().spool.write_failures == 1
        });
        let (diagnostics, _listening) = Diagnostics::listen();
        let said = || {
            diagnostics
                .with(&["WARN", "spool directory cannot be used"])
                .len()
        };
        let mut seconds = Vec::new();
        for second in 0..300 {
            events(&posthog, second, second + 1);
            // The actor works at least this often, whatever it does.
            clock.wait_until("delivery", || posthog.stats().delivered > second);
            clock.advance(Duration::from_secs(1));
            if said() > seconds.len() {
                seconds.push(second);
            }
            if seconds.len() == 3 {
                break;
            }
        }
        assert_eq!(seconds.len(), 3, "{mode:?}: {:?}", diagnostics.warnings());
        let apart = seconds.windows(2).all(|pair| pair[1] - pair[0] >= 59);
        assert!(apart && said() == 3, "{mode:?}: {seconds:?}");
        posthog.shutdown_blocking(ms(1));
    }
}
