//! Calls to external services: questions of a worker's tasks go out, replies come back.
//!
//! Rule: a question goes out only when the epoch that asked it is committed. Whether its reply is still wanted is for the
//! task to say.

use crate::record::Partition;
use crate::record::journal::Ending;
use crate::service::{Answer, Question, Reply, Services};
use crate::task::Task;
use std::collections::BTreeMap;

/// The services of a worker.
pub struct Calls {
    services: Box<dyn Services>,
    /// Empty between turns, kept for its memory.
    replies: Vec<Reply>,
}

impl Calls {
    /// Nothing is asked yet.
    pub fn new(services: Box<dyn Services>) -> Calls {
        Calls {
            services,
            replies: vec![],
        }
    }

    /// Asks a question of a committed epoch.
    pub fn ask(&mut self, question: Question) {
        self.services.ask(question);
    }

    /// Asks everything that is pending in a task's committed state.
    pub fn ask_pending(&mut self, task: &Task) {
        for question in task.questions() {
            self.services.ask(question);
        }
    }

    /// Drops the questions of a task.
    pub fn forget(&mut self, task: Partition) {
        self.services.forget(task);
    }

    /// Offers the replies that have come to their tasks. Returns true if there were any.
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

fn ending(answer: Answer) -> Ending {
    match answer {
        Answer::Body(body) => Ending::Body(body),
        Answer::Absent => Ending::Absent,
        Answer::Unavailable => Ending::Unavailable,
    }
}
