//! SIGTERM and SIGINT: the first one asks for a stop, and the second one ends the process at once.

use std::sync::mpsc::{Receiver, sync_channel};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code after the second signal.
const TOLD_TWICE: i32 = 130;

/// Handles signals from now on. The first one is sent to the receiver, and the second one ends the process.
pub fn stop_signal() -> std::io::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut next = || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            })
        };
        let first = next();
        tracing::info!("{first}: committing the open work, then stopping; send the signal again to stop at once");
        // If nobody listens, the process is ending anyway.
        let _ = sender.send(());
        let second = next();
        tracing::warn!("{second}: stopped at once; the next start processes again what was not committed");
        std::process::exit(TOLD_TWICE);
    })?;
    Ok(receiver)
}
