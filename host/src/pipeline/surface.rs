//! What a running instance serves over HTTP.
//!
//! Rule: made of what its threads have told; nothing here waits for a worker.

use super::Running;
use super::control::status;
use super::health::health;
use crate::config::Config;
use crate::http::Surface;
use crate::metrics::Metrics;
use std::sync::Arc;

/// Everything that is served.
pub fn surface(config: &Arc<Config>, running: &Running, metrics: Arc<Metrics>, tasks: usize) -> Surface {
    let (board, deploying, cancelling) = (
        running.board().clone(),
        running.author().clone(),
        running.author().clone(),
    );
    Surface {
        metrics,
        health: health(config, running),
        deploys: Arc::new(move || status::deploys(&board.control(), tasks)),
        deploy: Arc::new(move |wish| deploying.deploy(wish, &mut |_, _| {})),
        cancel: Arc::new(move || cancelling.cancel()),
    }
}
