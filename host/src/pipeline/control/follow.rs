//! Reading the control topic.
//!
//! Rule: records are taken in the order of the topic, from its start; components are not kept, only where they stand.

use crate::control::{Control, Deploy, Effect, Key, Record};
use crate::error::{Failure, Result};
use crate::log::{Arrival, Chunk, Log, Reader};
use crate::record::Offset;
use crate::task::Layout;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the end of the topic is proved.
const PROOFS: Duration = Duration::from_millis(100);

/// Where the pieces of components stand: by SHA-256 of the whole and number of the piece. Some 40 bytes for each piece that is on
/// the topic; pruning removes them there and here.
type Chunks = BTreeMap<[u8; 32], BTreeMap<u32, Offset>>;

/// See the module.
pub struct Following {
    log: Arc<dyn Log>,
    layout: Arc<Layout>,
    reader: Box<dyn Reader>,
    position: Offset,
    control: Control,
    chunks: Chunks,
    arrivals: Vec<Arrival>,
}

impl Following {
    /// Begins at the start of the topic.
    pub fn begin(log: Arc<dyn Log>, layout: Arc<Layout>) -> Result<Following> {
        let (start, _) = log.bounds(layout.control, 0)?;
        let mut reader = log.reader(PROOFS)?;
        reader.assign(layout.control, 0, start)?;
        Ok(Following {
            control: Control::new(layout.partitions as usize),
            log,
            layout,
            reader,
            position: start,
            chunks: BTreeMap::new(),
            arrivals: vec![],
        })
    }

    /// Takes what has come; waits at most so long when nothing has. True: something is known now that was not.
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
                        "the control topic '{}' holds {start} to {end}, and {} was read before: it was made anew; start again",
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
            self.position = record.offset + 1;
            let key = record.key.map_or(&[][..], |key| key.of(&chunk.bytes));
            let value = record.value.map(|value| value.of(&chunk.bytes));
            match (Key::decode(key), value) {
                (Key::Chunk(component, number), Some(_)) => {
                    self.chunks.entry(component).or_default().insert(number, record.offset);
                }
                (Key::Chunk(component, _), None) => _ = self.chunks.remove(&component),
                (Key::Other, None) => {}
                (Key::Other, Some(value)) => {
                    let record = Record::decode(value).map_err(|why| Failure::Fatal(why.to_string()))?;
                    match self.control.apply(record) {
                        Effect::Changed => changed = true,
                        Effect::None => {}
                        Effect::Refused(why) => tracing::warn!(why, "a deploy does not count"),
                    }
                }
            }
        }
        Ok(changed)
    }

    /// What was read.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The next offset.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The end that the topic has now. What others have written before this call is below it.
    pub fn end(&self) -> Result<Offset> {
        Ok(self.log.bounds(self.layout.control, 0)?.1)
    }

    /// Reads to the end that the topic has now; `wait`: for each piece.
    pub fn catch_up(&mut self, wait: Duration) -> Result<()> {
        let end = self.end()?;
        while self.position < end {
            self.poll(wait)?;
        }
        Ok(())
    }

    /// True when all pieces of a component were read.
    pub fn has(&self, component: &[u8; 32], bytes: u64) -> bool {
        let pieces = bytes.div_ceil(crate::control::CHUNK_BYTES as u64);
        self.chunks
            .get(component)
            .is_some_and(|known| known.len() as u64 == pieces)
    }

    /// A component that stands on the topic, to be fetched. None: it does not, or not all of it.
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
    /// Its bytes. Blocks; [`Retry`](Failure::Retry): follow the topic again, and fetch anew.
    pub fn run(self, wait: Duration) -> Result<Vec<u8>> {
        let first = self.wanted.values().copied().min().unwrap_or(0);
        let last = self.wanted.values().copied().max().unwrap_or(0);
        let mut reader = self.log.reader(PROOFS)?;
        reader.assign(self.layout.control, 0, first)?;
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
                        return Err(Failure::Retry("the control topic was cut while it was read".into()));
                    }
                };
                for record in &chunk.records {
                    position = record.offset + 1;
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
        // A piece that was written again while this was read stands further on.
        if !pieces.keys().eq(self.wanted.keys()) {
            return Err(Failure::Retry(
                "a piece of the component has moved: it is read again".into(),
            ));
        }
        Ok(pieces.into_values().flatten().collect())
    }
}
