//! What a running instance offers over HTTP.
//!
//! Rule: it only uses what the threads have reported, and never waits for a worker.

use super::RunningInstance;
use super::health::health;
use crate::config::Config;
use crate::deploy::api::{Deploys, Shadowing};
use crate::deploy::client::Keep;
use crate::deploy::status;
use crate::http::Surface;
use crate::metrics::Metrics;
use std::sync::Arc;

/// Everything that is offered.
pub fn surface(config: &Arc<Config>, running: &RunningInstance, metrics: Arc<Metrics>, tasks: usize) -> Surface {
    let (view, beside) = (running.view().clone(), running.view().clone());
    let (deploying, cancelling) = (running.client().clone(), running.client().clone());
    let (pruning, ran_within) = (running.client().clone(), config.topics.journal_retention);
    Surface {
        metrics,
        health: health(config, running),
        deploys: Arc::new(move || {
            let control = view.control();
            let shadow = status::shadow_here(&control, tasks, view.shadow().as_deref());
            Deploys {
                shadow: shadow.map(Shadowing::brief),
                ..status::deploys(&control, tasks)
            }
        }),
        deploy: Arc::new(move |request| deploying.deploy(request, &mut |_, _| {})),
        cancel: Arc::new(move || cancelling.cancel()),
        prune: Arc::new(move |request| {
            let keep = Keep {
                last: request.keep,
                also: request.also,
                ran_within,
            };
            pruning.prune(&keep, request.dry_run)
        }),
        shadow: Arc::new(move || status::shadow_here(&beside.control(), tasks, beside.shadow().as_deref())),
    }
}
