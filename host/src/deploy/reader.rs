//! Reads the control topic.
//!
//! Rule: records are applied in the order of the topic, from its start. Components are not kept, only their offsets.

use crate::binding::Layout;
use crate::deploy::protocol::{Applied, Control, ControlRecord, Deploy, Key};
use crate::error::{Failure, Result};
use crate::log::{Arrival, Chunk, Log, Reader};
use crate::record::{Offset, Partition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the end of the topic is proved.
const PROOFS: Duration = Duration::from_millis(100);

/// Offsets of the chunks of components, by SHA-256 of the component and number of the chunk. About 40 bytes for each
/// chunk on the topic. Pruning removes them in both places.
type Chunks = BTreeMap<[u8; 32], BTreeMap<u32, Offset>>;

/// A reader of the control topic, with the current state.
pub struct ControlReader {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    reader: Box<dyn Reader>,
    position: Offset,
    control: Control,
    chunks: Chunks,
    arrivals: Vec<Arrival>,
}

impl ControlReader {
    /// Starts reading at the start of the topic.
    pub fn begin(log: Arc<dyn Log>, layout: Arc<Layout>) -> Result<ControlReader> {
        let (start, _) = log.bounds(layout.control, Partition(0))?;
        let mut reader = log.reader(PROOFS)?;
        reader.assign(layout.control, Partition(0), start)?;
        Ok(ControlReader {
            control: Control::new(layout.partitions as usize),
            log,
            layout,
            reader,
            position: start,
            chunks: BTreeMap::new(),
            arrivals: vec![],
        })
    }

    /// Applies what has arrived. If nothing has, waits at most `wait`. Returns whether the state has changed.
    pub fn poll(&mut self, wait: Duration) -> Result<bool> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.reader.poll(wait, &mut arrivals)?;
        let mut changed = false;
        for arrival in arrivals.drain(..) {
            match arrival {
                Arrival::Records(chunk) => changed |= self.take(&chunk)?,
                Arrival::End { offset, .. } => self.position = self.position.max(offset),
                Arrival::OutOfRange { start, end, .. } => {
                    return Err(Failure::Fatal(format!(
                        "the control topic '{}' holds offsets {start} to {end}, but {} was read before: it was created again; restart this process",
                        self.layout.topics[usize::from(self.layout.control)],
                        self.position
                    )));
                }
            }
        }
        self.arrivals = arrivals;
        Ok(changed)
    }

    fn take(&mut self, chunk: &Chunk) -> Result<bool> {
        let mut changed = false;
        for record in &chunk.records {
            self.position = record.offset.next();
            let key = record.key.map_or(&[][..], |key| key.of(&chunk.bytes));
            let value = record.value.map(|value| value.of(&chunk.bytes));
            match (Key::decode(key), value) {
                (Key::Chunk(component, number), Some(_)) => {
                    self.chunks.entry(component).or_default().insert(number, record.offset);
                }
                (Key::Chunk(component, _), None) => _ = self.chunks.remove(&component),
                (Key::Other, None) => {}
                (Key::Other, Some(value)) => {
                    let topic = || &self.layout.topics[usize::from(self.layout.control)];
                    let record = ControlRecord::decode(value)
                        .map_err(|why| Failure::Fatal(format!("the control topic '{}': {why}", topic())))?;
                    match self.control.apply(record) {
                        Applied::Changed => changed = true,
                        Applied::None => {}
                        Applied::Refused(why) => tracing::warn!(why, "a record on the control topic was ignored"),
                    }
                }
            }
        }
        Ok(changed)
    }

    /// The state of the topic so far.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The next offset.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The current end of the topic. Everything that was written before this call is below it.
    pub fn end(&self) -> Result<Offset> {
        Ok(self.log.bounds(self.layout.control, Partition(0))?.1)
    }

    /// Reads to the current end of the topic, with at most `wait` for each poll.
    pub fn catch_up(&mut self, wait: Duration) -> Result<()> {
        let end = self.end()?;
        while self.position < end {
            self.poll(wait)?;
        }
        Ok(())
    }

    /// Whether all chunks of a component were read.
    pub fn has(&self, component: &[u8; 32], bytes: u64) -> bool {
        let pieces = bytes.div_ceil(crate::deploy::protocol::CHUNK_BYTES as u64);
        self.chunks
            .get(component)
            .is_some_and(|known| known.len() as u64 == pieces)
    }

    /// A component that can be fetched from the topic, if all of its chunks are there.
    pub fn fetch(&self, deploy: &Deploy) -> Option<Fetch> {
        let wanted = self.chunks.get(&deploy.component)?.clone();
        self.has(&deploy.component, deploy.bytes).then(|| Fetch {
            log: self.log.clone(),
            layout: self.layout.clone(),
            component: deploy.component,
            wanted,
        })
    }
}

/// A component on the topic.
pub struct Fetch {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    component: [u8; 32],
    wanted: BTreeMap<u32, Offset>,
}

impl Fetch {
    /// Fetches the component, which blocks. On [`Retry`](Failure::Retry), read the topic further and fetch again.
    pub fn run(self, wait: Duration) -> Result<Vec<u8>> {
        let first = self.wanted.values().copied().min().unwrap_or_default();
        let last = self.wanted.values().copied().max().unwrap_or_default();
        let mut reader = self.log.reader(PROOFS)?;
        reader.assign(self.layout.control, Partition(0), first)?;
        let mut pieces: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let (mut arrivals, mut position) = (vec![], first);
        while position <= last {
            reader.poll(wait, &mut arrivals)?;
            for arrival in arrivals.drain(..) {
                let chunk = match arrival {
                    Arrival::Records(chunk) => chunk,
                    Arrival::End { offset, .. } => {
                        position = position.max(offset);
                        continue;
                    }
                    Arrival::OutOfRange { .. } => {
                        return Err(Failure::Retry(
                            "the control topic was truncated while it was read".into(),
                        ));
                    }
                };
                for record in &chunk.records {
                    position = record.offset.next();
                    let key = record.key.map_or(&[][..], |key| key.of(&chunk.bytes));
                    if let Key::Chunk(component, number) = Key::decode(key)
                        && component == self.component
                        && let Some(value) = record.value
                    {
                        pieces.insert(number, value.of(&chunk.bytes).to_vec());
                    }
                }
            }
        }
        // A chunk that was written again during the fetch has moved.
        if !pieces.keys().eq(self.wanted.keys()) {
            return Err(Failure::Retry(
                "a part of the component has moved on the control topic; reading it again".into(),
            ));
        }
        Ok(pieces.into_values().flatten().collect())
    }
}
