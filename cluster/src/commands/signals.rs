//! The signals that ask a process to stop cleanly.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM or SIGINT, to the name of what came.
///
/// # Errors
/// When the kernel refuses to deliver signals.
pub(super) async fn asked_to_stop() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
