//! SIGTERM and SIGINT: the first asks for a stop, the second does not wait for it.

use std::sync::mpsc::{Receiver, sync_channel};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code after the second signal.
const TOLD_TWICE: i32 = 130;

/// From now on a signal does not end the process: the first one comes out here. The second one ends it at once.
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
        tracing::info!("{first}: committing what is open, then stopping; send the signal again to stop at once");
        // Nobody listens any more: it is at its end anyway.
        let _ = sender.send(());
        let second = next();
        tracing::warn!("{second}: stopped at once; the next start processes again what was not committed");
        std::process::exit(TOLD_TWICE);
    })?;
    Ok(receiver)
}
