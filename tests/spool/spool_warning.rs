//! An unusable spool directory is warned of again and again, for the first time may come too early.

use crate::support::spooling::*;
use crate::support::*;
use std::fs;
use std::time::Duration;
use tracing_posthog::{Spool, SpoolMode};

#[test]
fn an_unusable_directory_is_said_again_to_who_listens_later() {
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        let (server, spool) = (server(), Directory::new());
        let path = spool.path.join("file");
        fs::write(&path, "not a directory").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        // Nobody listens yet, as in a program that starts this before its logging.
        let posthog = spooling(&server, Spool::directory(path).mode(mode))
            .spawn_on(runtime.handle())
            .unwrap();
        runtime.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
        assert_eq!(posthog.stats().spool.write_failures, 1);
        let (diagnostics, _listening) = Diagnostics::listen();
        runtime.block_on(async {
            for n in 0..149 {
                events(&posthog, n, n + 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let said = diagnostics.with(&["WARN", "spool directory cannot be used"]);
        // After 60 s and 120 s.
        assert_eq!(said.len(), 2, "{mode:?}: {:?}", diagnostics.warnings());
        posthog.shutdown_blocking(ms(1));
    }
}
