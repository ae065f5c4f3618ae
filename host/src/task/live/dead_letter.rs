//! Writes dead letters: the inputs that a live task refuses.
//!
//! Rule: nothing is lost silently. A dead letter holds the input as it came, with its headers. It also says where the
//! input came from, why it was refused, and by which version.

use super::LivePort;
use crate::record::StepKey;
use crate::record::journal::LookupEnding;
use crate::shadow::tape::LiveStep;
use crate::state::TaskState;
use crate::step::{Guest, Refusal, StepInput};
use crate::task::epoch::Piece;

impl LivePort<'_> {
    /// Writes the input as it came, with the reason and its origin.
    pub(super) fn dead_letter(&mut self, planned: &LiveStep, refusal: &Refusal, state: &TaskState, guest: &Guest) {
        self.tally.dead_letters[refusal.kind as usize] += 1;
        let (topic, partition) = (self.layout.dead_letters, self.partition);
        let mut origin: Vec<(&str, String)> = vec![];
        match &planned.what {
            StepInput::Record(waiting) => {
                let record = self.arrivals.record(waiting);
                let value = record.value().map(|value| [value, &[]]);
                let timestamp = record.timestamp().max(0);
                self.epoch.write(Piece {
                    topic,
                    partition,
                    timestamp,
                    key: record.key(),
                    value,
                });
                for (name, value) in record.headers() {
                    self.epoch.header(&String::from_utf8_lossy(name), value);
                }
                let topic = &self.layout.topics[usize::from(record.topic())];
                origin.push(("pelton.topic", topic.clone()));
                origin.push(("pelton.partition", record.partition().to_string()));
                origin.push(("pelton.offset", record.offset().to_string()));
            }
            StepInput::Timer(StepKey::Timer { time, key, kind, tag }) => {
                let value = Some([tag.as_ref(), &[]]);
                self.epoch.write(Piece {
                    topic,
                    partition,
                    timestamp: (*time).max(0),
                    key: Some(key),
                    value,
                });
                origin.push(("pelton.timer", state.timer_name(*kind).to_owned()));
            }
            StepInput::Timer(_) | StepInput::Elsewhere(_) => return,
            StepInput::Reply { name, ending, .. } => {
                let value = match ending {
                    LookupEnding::Body(body) => Some([body.as_slice(), &[]]),
                    LookupEnding::Absent | LookupEnding::Unavailable => None,
                };
                self.epoch.write(Piece {
                    topic,
                    partition,
                    timestamp: planned.time.max(0),
                    key: Some(&name.key),
                    value,
                });
                origin.push(("pelton.lookup", state.lookup_name(name.lookup).to_owned()));
            }
        }
        self.epoch.header("pelton.reason", refusal.why.as_bytes());
        for (name, value) in origin {
            self.epoch.header(name, value.as_bytes());
        }
        self.epoch
            .header("pelton.version", guest.wiring.rules.version().to_string().as_bytes());
    }
}
