//! The scripted session service: its replies are late, doubled, out of order or lost.
//!
//! Rule: each question is answered sooner or later, unless the asker has forgotten it. Only then the reply may be lost.

use super::dice::Dice;
use parking_lot::{Mutex, MutexGuard};
use pelton::record::Partition;
use pelton::service::{Answer, LookupId, ServiceCall, ServiceReply, Services};
use std::sync::Arc;

/// What one worker has asked. It is shared by the worker's handle and the world.
#[derive(Clone)]
pub struct Desk(Arc<Mutex<Inside>>);

struct Inside {
    dice: Dice,
    open: Vec<ServiceCall>,
    ready: Vec<ServiceReply>,
    /// Questions since the world last looked.
    asked: Vec<(Partition, LookupId)>,
    /// Whether the same question always gets the same answer.
    steady: bool,
}

impl Desk {
    /// No questions yet. If `steady`, each answer depends only on its question.
    pub fn new(dice: Dice, steady: bool) -> Desk {
        Desk(Arc::new(Mutex::new(Inside {
            dice,
            open: vec![],
            ready: vec![],
            asked: vec![],
            steady,
        })))
    }

    /// The worker's handle.
    pub fn handle(&self) -> Box<dyn Services> {
        Box::new(self.clone())
    }

    /// The number of questions that wait for an answer.
    pub fn waiting(&self) -> usize {
        let inside = self.lock();
        inside.open.len() + inside.ready.len()
    }

    /// The questions since the last call.
    pub fn take_asked(&self) -> Vec<(Partition, LookupId)> {
        std::mem::take(&mut self.lock().asked)
    }

    /// Answers one of the questions. With `again`, the question sometimes stays and is answered a second time.
    pub fn answer(&self, again: bool) -> bool {
        let inside = &mut *self.lock();
        if inside.open.is_empty() {
            return false;
        }
        let index = inside.dice.below(inside.open.len());
        let question = match again && inside.dice.chance(0.2) {
            true => inside.open[index].clone(),
            false => inside.open.swap_remove(index),
        };
        let answer = match inside.steady {
            true => steady(&question.request),
            false => any(&mut inside.dice),
        };
        inside.ready.push(ServiceReply {
            task: question.task,
            id: question.id,
            answer,
        });
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock()
    }
}

impl Services for Desk {
    fn ask(&mut self, question: ServiceCall) {
        let inside = &mut *self.lock();
        inside.asked.push((question.task, question.id.clone()));
        inside.open.push(question);
    }

    fn replies(&mut self, into: &mut Vec<ServiceReply>) {
        into.append(&mut self.lock().ready);
    }

    fn forget(&mut self, task: Partition) {
        let Inside { dice, open, .. } = &mut *self.lock();
        // A call that is under way may still return.
        open.retain(|question| question.task != task || dice.chance(0.5));
    }
}

/// The service's answer about a session. It depends only on the session's id, which is everything after the last slash
/// of the request.
pub fn steady(request: &[u8]) -> Answer {
    let id = request.rsplit(|byte| *byte == b'/').next().unwrap_or(request);
    let sum = id
        .iter()
        .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    match (sum >> 8) % 4 {
        0 => Answer::Absent,
        n => body(["", "CA", "DE", "SE"][n as usize]),
    }
}

fn any(dice: &mut Dice) -> Answer {
    match dice.below(8) {
        0 => Answer::Absent,
        1 => Answer::Unavailable,
        2 => Answer::Body(b"{\"clientCountryCode\":1}".to_vec()),
        _ => body(dice.pick(&["CA", "DE", "FR", "SE", "MT"])),
    }
}

fn body(country: &str) -> Answer {
    Answer::Body(format!("{{\"clientCountryCode\":\"{country}\"}}").into_bytes())
}
