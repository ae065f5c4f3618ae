//! Scripted external services, whose answers the test determines.
//!
//! Rule: answers come in the order of the steps that asked, even if a crash has caused questions to be asked again.

use crate::record::Partition;
use crate::service::{Answer, ServiceCall, ServiceReply, Services};
use crate::state::lookups;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// The script. Clones share it. It outlives the instances that ask.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<ScriptState>>);

#[derive(Default)]
struct ScriptState {
    /// Questions of the current instance that are not answered.
    open: Vec<ServiceCall>,
    /// Answers that were not fetched yet.
    replies: Vec<ServiceReply>,
    /// Answers that are given at once. The last one that fits is used.
    standing: Vec<(Which, Answer)>,
    asked: u64,
}

/// Selects questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Index of the service, or `None` for any.
    pub service: Option<u16>,
    /// The end of the URL. Empty for any.
    pub end: String,
}

impl Which {
    fn fits(&self, question: &ServiceCall) -> bool {
        self.service.is_none_or(|service| service == question.service)
            && question.request.ends_with(self.end.as_bytes())
    }
}

impl ScriptState {
    fn answer(&mut self, question: ServiceCall, answer: Answer) {
        let ServiceCall { task, id, .. } = question;
        self.replies.push(ServiceReply { task, id, answer });
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, ScriptState> {
        self.0.lock()
    }

    /// The services for a new instance. Questions of an earlier one are not answered any more.
    pub fn services(&self) -> Box<dyn Services> {
        let mut state = self.state();
        (state.open, state.replies) = (vec![], vec![]);
        drop(state);
        Box::new(Scripted(self.clone()))
    }

    /// Answers these questions at once from now on, including open ones. Returns how many were open.
    pub fn always(&self, which: Which, answer: Answer) -> usize {
        let mut state = self.state();
        let open = std::mem::take(&mut state.open);
        let (its, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|question| which.fits(question));
        state.open = others;
        let count = its.len();
        for question in its {
            state.answer(question, answer.clone());
        }
        state.standing.push((which, answer));
        count
    }

    /// Stops answering questions at once.
    pub fn be_silent(&self) {
        self.state().standing.clear();
    }

    /// Delivers any reply, even a late, duplicated or invented one.
    pub fn push(&self, reply: ServiceReply) {
        self.state().replies.push(reply);
    }

    /// Questions without an answer, in the order of the steps that asked them.
    pub fn open(&self) -> Vec<ServiceCall> {
        let mut open = self.state().open.clone();
        open.sort_by_key(|question| (question.task, lookups::asked_by(&question.id)));
        open
    }

    /// How many questions there have been, counting repeated ones.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }
}

struct Scripted(Script);

impl Services for Scripted {
    fn ask(&mut self, question: ServiceCall) {
        let mut state = self.0.state();
        state.asked += 1;
        let standing = state.standing.iter().rev().find(|(which, _)| which.fits(&question));
        match standing.map(|(_, answer)| answer.clone()) {
            Some(answer) => state.answer(question, answer),
            None => state.open.push(question),
        }
    }

    fn replies(&mut self, into: &mut Vec<ServiceReply>) {
        let mut replies = std::mem::take(&mut self.0.state().replies);
        replies.sort_by_key(|reply| (reply.task, lookups::asked_by(&reply.id)));
        into.append(&mut replies);
    }

    fn forget(&mut self, task: Partition) {
        let mut state = self.0.state();
        state.open.retain(|question| question.task != task);
        state.replies.retain(|reply| reply.task != task);
    }
}
