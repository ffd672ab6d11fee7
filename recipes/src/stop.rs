//! The end of a service: ctrl-c, and SIGTERM as Kubernetes, systemd and Docker send it.

use std::future::Future;
use std::io;

/// Ready when the program should end. Call it before the service listens: until then, a signal ends the program at
/// once.
///
/// # Errors
/// If the system cannot watch signals.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        println!("stopping");
    })
}

/// Ready when the program should end.
///
/// # Errors
/// Never, on this system.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
