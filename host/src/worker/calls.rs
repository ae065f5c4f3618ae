//! Calls to external services: the questions of a worker's tasks go out, and the replies come back.
//!
//! Rule: a question goes out only after the epoch that asked it is committed. The task decides whether its reply is
//! still wanted.

use crate::record::Partition;
use crate::record::journal::LookupEnding;
use crate::service::{Answer, ServiceCall, ServiceReply, Services};
use crate::task::Task;
use std::collections::BTreeMap;

/// A worker's access to external services.
pub struct Calls {
    services: Box<dyn Services>,
    /// Empty between turns. It is kept for its memory.
    replies: Vec<ServiceReply>,
}

impl Calls {
    /// Starts without questions.
    pub fn new(services: Box<dyn Services>) -> Calls {
        Calls {
            services,
            replies: vec![],
        }
    }

    /// Asks a question of a committed epoch.
    pub fn ask(&mut self, question: ServiceCall) {
        self.services.ask(question);
    }

    /// Asks every question that is pending in a task's committed state.
    pub fn ask_pending(&mut self, task: &Task) {
        for question in task.questions() {
            self.services.ask(question);
        }
    }

    /// Drops the questions of a task.
    pub fn forget(&mut self, task: Partition) {
        self.services.forget(task);
    }

    /// Passes the replies that have come to their tasks. Returns whether there were any.
    pub fn deliver(&mut self, tasks: &mut BTreeMap<Partition, Task>) -> bool {
        self.services.replies(&mut self.replies);
        let any = !self.replies.is_empty();
        for reply in self.replies.drain(..) {
            if let Some(task) = tasks.get_mut(&reply.task) {
                task.offer(reply.id, ending(reply.answer));
            }
        }
        any
    }
}

fn ending(answer: Answer) -> LookupEnding {
    match answer {
        Answer::Body(body) => LookupEnding::Body(body),
        Answer::Absent => LookupEnding::Absent,
        Answer::Unavailable => LookupEnding::Unavailable,
    }
}
