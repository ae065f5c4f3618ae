//! The thread that restores one task.
//!
//! Rule: as in `pipeline/assignment.rs`: where the task begins and where the control topic ends is asked first; then it is
//! restored; then it waits for its version.

use pelton::error::{Failure, Result};
use pelton::log::Log;
use pelton::pipeline::control::board::Board;
use pelton::record::{Offset, Partition};
use pelton::store::Store;
use pelton::store::memory::Memory;
use pelton::task::restore::Restoring;
use pelton::task::{Layout, Restored, Task};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub struct Restore {
    pub partition: Partition,
    /// Set when it is not wanted any more.
    pub gone: Rc<Cell<bool>>,
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    restoring: Restoring,
    store: Option<Memory>,
    begins: Option<(Vec<Offset>, Offset)>,
    restored: Option<Restored>,
}

impl Restore {
    /// Of a task that was assigned just now.
    pub fn begin(log: &Arc<dyn Log>, layout: &Arc<Layout>, partition: Partition, store: Option<Memory>) -> Restore {
        Restore {
            partition,
            gone: Rc::new(Cell::new(false)),
            restoring: Restoring::begin(log.clone(), layout.clone(), partition),
            log: log.clone(),
            layout: layout.clone(),
            store,
            begins: None,
            restored: None,
        }
    }

    /// Goes on with it. None: not yet there.
    pub fn step(&mut self, board: &Board) -> Option<Result<Box<Task>>> {
        match self.go_on(board) {
            Ok(None) | Err(Failure::Retry(_)) => None,
            Ok(Some(task)) => Some(Ok(task)),
            Err(other) => Some(Err(other)),
        }
    }

    fn go_on(&mut self, board: &Board) -> Result<Option<Box<Task>>> {
        let (starts, end) = match &self.begins {
            Some(begins) => begins.clone(),
            None => {
                let inputs = 0..self.layout.inputs.len() as u16;
                let starts: Result<Vec<Offset>> = inputs
                    .map(|rank| Ok(self.log.bounds(rank, self.partition)?.0))
                    .collect();
                self.begins = Some((starts?, self.log.bounds(self.layout.control, 0)?.1));
                return Ok(None);
            }
        };
        let Some(state) = self.restored.take() else {
            let store = self.store.as_mut().map(|store| store as &mut dyn Store);
            self.restored = self.restoring.step(store, Duration::ZERO)?;
            return Ok(None);
        };
        match board.opening(self.partition, end, state.meta.as_ref())? {
            Some(orders) => {
                Task::open(self.partition, self.layout.clone(), orders, state, &starts).map(|task| Some(Box::new(task)))
            }
            None => {
                self.restored = Some(state);
                Ok(None)
            }
        }
    }
}
