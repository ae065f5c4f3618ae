//! What is served.
//!
//! Rule: the server knows nothing of an instance but these functions.

use super::health::Health;
use crate::deploy::DeployRefused;
use crate::deploy::api::{Cancelled, DeployRequest, Deployed, Deploys, Prune, Pruned, Shadowing};
use crate::metrics::Metrics;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What is served. The functions may block, because they run off the server's thread.
#[derive(Clone)]
pub struct Surface {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/health` and `GET /rules`. Must be quick.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// For `GET /rules`. Must be quick.
    pub deploys: Arc<dyn Fn() -> Deploys + Send + Sync>,
    /// For `POST /rules`, one at a time. The error says why the deploy was refused; then the old rules keep running.
    pub deploy: Arc<dyn Fn(DeployRequest) -> Result<Deployed, DeployRefused> + Send + Sync>,
    /// For `POST /rules/cancel`. Returns what was cancelled, or why nothing was.
    pub cancel: Arc<dyn Fn() -> Result<Cancelled, DeployRefused> + Send + Sync>,
    /// For `POST /rules/prune`. Returns what was or would be removed, or why nothing was.
    pub prune: Arc<dyn Fn(Prune) -> Result<Vec<Pruned>, DeployRefused> + Send + Sync>,
    /// For `GET /rules/diff`. Must be quick. `None` if there has been no shadow.
    pub shadow: Arc<dyn Fn() -> Option<Shadowing> + Send + Sync>,
}

/// What every handler has.
#[derive(Clone)]
pub(super) struct Shared {
    pub surface: Surface,
    /// Held by the deploy in progress.
    pub deploying: Arc<Mutex<()>>,
}
