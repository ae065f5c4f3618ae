//! The content of the journals and the control topic, in the auditor's terms.
//!
//! Rule: this uses only the host's decoders, and its names for the state of the money rules.

use crate::auditor::{
    self, Answer, ControlEvent, Heartbeat, Parameters, Place, Reply, Settings, StepWhat, Takeover, Task,
};
use anyhow::{Context, Result, bail};
use pelton::deploy::protocol::{ControlRecord, Decision, Deploy, Key};
use pelton::record::journal::{JournalEntry, JournalInput, LookupEnding, Verdict};
use pelton::record::{Offset, Rank, StepKey, VersionId};
use pelton::state::lookups;
use std::collections::{BTreeMap, HashMap};

/// The bytes of a place in an entry's name.
const PLACE: usize = 18;

/// The content of the control topic. `settings` returns those of a deploy.
pub fn control(
    records: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
    settings: impl Fn(&Deploy) -> Option<Settings>,
) -> Result<Vec<ControlEvent>> {
    let mut events = vec![];
    for (key, value) in records {
        if matches!(Key::decode(&key), Key::Chunk(..)) {
            continue;
        }
        events.push(match ControlRecord::decode(&value)? {
            ControlRecord::Deploy(deploy) => ControlEvent::Deploy {
                number: deploy.number,
                at: deploy.at,
                settings: settings(&deploy).context("settings that nobody deploys")?,
            },
            ControlRecord::Answer { number, task, position } => ControlEvent::Answer {
                number,
                task: task.0,
                position,
            },
            ControlRecord::Decision { number, decision } => match decision {
                Decision::Commit(at) => ControlEvent::Commit { number, at },
                Decision::Cancel(_) => ControlEvent::Cancel { number },
                Decision::Withdraw(_) => ControlEvent::Withdraw { number },
            },
            _ => continue,
        });
    }
    Ok(events)
}

/// The settings of the money rules, all of them as times in milliseconds. This does not say which rules they belong to.
pub fn settings(text: &str) -> Option<Settings> {
    let all: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let time = |name: &str| all.get(name)?.strip_suffix("ms")?.parse().ok();
    Some(Settings {
        dedup_ttl: time("dedup_ttl")?,
        session_ttl: time("session_ttl")?,
        pending_ttl: time("pending_ttl")?,
        label: all.get("label")?.clone(),
        ..Settings::default()
    })
}

/// Adds a task's journal to a task whose inputs are already there. `known` says which versions the journal may name.
pub fn journal(
    task: &mut Task,
    entries: impl Iterator<Item = Vec<u8>>,
    parameters: &Parameters,
    known: impl Fn(&VersionId) -> bool,
) -> Result<()> {
    let mut replies = vec![];
    let mut taken = 1;
    for entry in entries {
        match JournalEntry::decode(&entry)? {
            JournalEntry::Heartbeat { rank, position, time } => task.heartbeats.push(Heartbeat {
                rank: rank.0,
                next: position.0,
                time,
            }),
            JournalEntry::Verdict {
                rank,
                offset,
                verdict: Verdict::TooFarAhead,
            } => task.too_far_ahead.push((rank.0, offset.0)),
            // Its bytes say so too.
            JournalEntry::Verdict {
                verdict: Verdict::UnknownSchema(_),
                ..
            } => {}
            JournalEntry::After {
                anchor,
                what: JournalInput::Reply { id, answer },
                ..
            } => replies.push((anchor, id, answer, taken)),
            JournalEntry::After {
                anchor,
                what: JournalInput::Rules { version, number },
                ..
            } => {
                taken = number;
                if !known(&version) {
                    bail!("the journal names a version that nobody knows");
                }
                let behind = step(&anchor)?;
                task.takeovers.push(Takeover { behind, number });
            }
            JournalEntry::Trapped {
                step: trapped,
                sequence: None,
                ..
            } => task.trapped.extend(step(&trapped)?),
            other => bail!("an unexpected journal entry: {other:?}"),
        }
    }
    // Finds the step behind each lookup's id. Steps do not depend on replies.
    let steps = auditor::audit(task, parameters).steps;
    let asking: HashMap<_, _> = steps
        .into_iter()
        .map(|step| (lookups::id(&host_step(&step), 0, 0), step))
        .collect();
    for (anchor, id, answer, deploy) in replies {
        let anchor = step(&anchor)?.context("a reply before the first step")?;
        let asked_by = asking.get(&id).cloned();
        task.replies.push(Reply {
            anchor,
            asked_by: asked_by.context("a reply to a question that no step has asked")?,
            answer: match answer {
                LookupEnding::Body(body) => Answer::Body(body),
                LookupEnding::Absent => Answer::Absent,
                LookupEnding::Unavailable => Answer::Unavailable,
            },
            deploy,
        });
    }
    Ok(())
}

/// A step in the auditor's terms. `None` is the start.
pub fn step(step: &StepKey) -> Result<Option<auditor::StepKey>> {
    Ok(Some(match step {
        StepKey::Start => return Ok(None),
        StepKey::Record { time, rank, offset } => auditor::StepKey {
            time: *time,
            what: StepWhat::Record {
                rank: rank.0,
                offset: offset.0,
            },
        },
        StepKey::Timer { time, key, tag, .. } => {
            let wrong = || format!("a timer with the tag {tag:?}");
            let (session, place) = tag
                .split_at_checked(tag.len().saturating_sub(PLACE + 2))
                .with_context(wrong)?;
            auditor::StepKey {
                time: *time,
                what: StepWhat::SessionMissing {
                    key: key.to_vec(),
                    session: String::from_utf8_lossy(session).into_owned(),
                    place: place.strip_prefix(&[0, 0]).and_then(place_of).with_context(wrong)?,
                },
            }
        }
    }))
}

/// A step of the auditor in the host's terms.
pub fn host_step(step: &auditor::StepKey) -> StepKey {
    match &step.what {
        StepWhat::Record { rank, offset } => StepKey::Record {
            time: step.time,
            rank: Rank(*rank),
            offset: Offset(*offset),
        },
        StepWhat::SessionMissing { key, session, place } => StepKey::Timer {
            time: step.time,
            key: key.clone().into(),
            kind: 0,
            tag: pending_name(session, place).into(),
        },
    }
}

fn place_of(bytes: &[u8]) -> Option<Place> {
    let (time, rest) = bytes.split_first_chunk()?;
    let (rank, offset) = rest.split_first_chunk()?;
    Some(Place {
        time: i64::from_be_bytes(*time) ^ i64::MIN,
        rank: u16::from_be_bytes(*rank),
        offset: i64::from_be_bytes(offset.try_into().ok()?),
    })
}

/// The name of an entry of money that waits for the service.
pub fn place_name(place: &Place) -> Vec<u8> {
    let mut name = (place.time ^ i64::MIN).to_be_bytes().to_vec();
    name.extend(place.rank.to_be_bytes());
    name.extend(place.offset.to_be_bytes());
    name
}

/// The name of an entry of money that waits for its session, and of its timer.
pub fn pending_name(session: &str, place: &Place) -> Vec<u8> {
    [session.as_bytes(), &[0, 0], &place_name(place)].concat()
}
