//! The session service as a script: it answers when and what the test says.

use pelton::record::Partition;
use pelton::service::{Answer, Question, Reply, Services};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The script; clones are the same. It outlives the instances that ask.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Asked, and not answered, by the life that asks.
    open: Vec<Question>,
    /// Answered, and not fetched.
    replies: Vec<Reply>,
    /// By the end of the URL: what is answered at once.
    standing: BTreeMap<String, Answer>,
    asked: u64,
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked was a test; between two statements it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new life asks: what an earlier one asked is not answered any more.
    pub fn services(&self) -> Box<dyn Services> {
        let mut state = self.state();
        (state.open, state.replies) = (vec![], vec![]);
        drop(state);
        Box::new(Scripted(self.clone()))
    }

    /// From now on questions for this session have this answer at once; open ones too.
    /// How many there were.
    pub fn always(&self, session: &str, answer: Answer) -> usize {
        let mut state = self.state();
        state.standing.insert(session.to_owned(), answer.clone());
        let open = std::mem::take(&mut state.open);
        let (its, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|question| name(question) == session);
        state.open = others;
        let count = its.len();
        for Question { task, id, .. } in its {
            let answer = answer.clone();
            state.replies.push(Reply { task, id, answer });
        }
        count
    }

    /// A reply as it is, to whatever question: late, doubled, invented.
    pub fn push(&self, reply: Reply) {
        self.state().replies.push(reply);
    }

    /// Questions without an answer.
    pub fn open(&self) -> Vec<Question> {
        self.state().open.clone()
    }

    /// How many questions there were so far, those asked again included.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }
}

/// The session that a question is for: the last part of its URL.
fn name(question: &Question) -> String {
    let url = String::from_utf8_lossy(&question.request).into_owned();
    url.rsplit('/').next().unwrap_or_default().to_owned()
}

struct Scripted(Script);

impl Services for Scripted {
    fn ask(&mut self, question: Question) {
        let mut state = self.0.state();
        state.asked += 1;
        match state.standing.get(&name(&question)).cloned() {
            Some(answer) => {
                let Question { task, id, .. } = question;
                state.replies.push(Reply { task, id, answer });
            }
            None => state.open.push(question),
        }
    }

    fn replies(&mut self, into: &mut Vec<Reply>) {
        into.append(&mut self.0.state().replies);
    }

    fn forget(&mut self, task: Partition) {
        let mut state = self.0.state();
        state.open.retain(|question| question.task != task);
        state.replies.retain(|reply| reply.task != task);
    }
}
