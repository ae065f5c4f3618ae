//! What a running instance serves over HTTP.
//!
//! Rule: made of what its threads have told; nothing here waits for a worker.

use super::Running;
use super::control::status;
use crate::config::Config;
use crate::http::{Health, Surface, TaskHealth, TaskState};
use crate::metrics::Metrics;
use crate::record::NEVER;
use crate::rules::Version;
use crate::task::Status;
use std::sync::{Arc, PoisonError};

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

/// What an instance says about itself.
fn health(config: &Arc<Config>, running: &Running) -> Arc<dyn Fn() -> Health + Send + Sync> {
    let (statuses, board, config) = (running.status_handle(), running.board().clone(), config.clone());
    Arc::new(move || {
        let statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let task = |status: &Status| TaskHealth {
            partition: status.partition,
            state: TaskState::Running,
            version: Version(status.version).to_string(),
            watermark: (status.watermark != NEVER).then_some(status.watermark),
            position: config
                .inputs
                .iter()
                .map(|input| input.name.clone())
                .zip(status.positions.clone())
                .collect(),
            message: None,
        };
        Health {
            ok: true,
            pipeline: config.name.clone(),
            instance: config.instance.clone(),
            version: board
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
            message: None,
            tasks: statuses.values().map(task).collect(),
        }
    })
}
