//! Group membership of one client of the embedded log.

use super::Embedded;
use super::client::ClientNo;
use crate::error::Result;
use crate::log::{Group, Membership, Topics};
use crate::record::Partition;
use std::time::Duration;

pub(super) struct EmbeddedGroup {
    cluster: Embedded,
    topics: Topics,
    client: ClientNo,
}

impl EmbeddedGroup {
    pub fn new(cluster: Embedded, topics: Topics, client: ClientNo) -> EmbeddedGroup {
        EmbeddedGroup {
            cluster,
            topics,
            client,
        }
    }
}

impl Group for EmbeddedGroup {
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>> {
        let mut state = self.cluster.lock();
        let until = state.clock.now().saturating_add(wait);
        loop {
            state.alive(self.client)?;
            let change = state.poll_group(self.client, &self.topics[0])?;
            if change.is_some() || state.clock.now() >= until || !state.clock.passes() {
                return Ok(change);
            }
            state = self.cluster.wait(state, until);
        }
    }

    fn released(&mut self, partitions: &[Partition]) -> Result<()> {
        self.cluster.change(|state| {
            state.alive(self.client)?;
            state.release(self.client, partitions);
            Ok(())
        })
    }

    fn leave(&mut self) {
        self.cluster.change(|state| {
            if state.alive(self.client).is_ok() {
                state.leave(self.client);
            }
        });
    }
}
