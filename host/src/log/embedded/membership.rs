//! The group coordinator: members, generations, sticky assignment, fencing.
//!
//! Rule: a partition has at most one holder. It goes to another member only when its holder has released it, has left,
//! or was evicted. Every change of membership raises the generation. Offsets are accepted only from a current member
//! that knows its id and the current generation. Fencing is by member, not by partition.

use super::client::ClientNo;
use super::members::{MemberState, SESSION_TIMEOUT};
use super::state::ClusterState;
use super::txn::MemberError;
use crate::error::{Failure, Result};
use crate::log::Membership;
use crate::record::Partition;
use std::time::Duration;

impl ClusterState {
    /// Joins the client's group. If an earlier incarnation of the instance is a member, it is replaced and fenced.
    pub fn join(&mut self, client: ClientNo, lead: &str) {
        self.members += 1;
        let (id, now) = (self.members, self.clock.now());
        let Names { group: name, instance } = self.names_of(client);
        let group = self.groups.entry(name).or_default();
        group.lead = lead.to_owned();
        let member = MemberState { id, last_seen: now };
        if group.members.insert(instance.clone(), member).is_some() {
            // A static member that comes back keeps its partitions without a rebalance, and is told them again.
            group.free(&instance);
        } else {
            group.rebalance();
        }
        self.clients[client].member = Some((id, group.generation));
    }

    /// Returns the client's next change of assignment, as a consumer's poll does. It counts as a heartbeat.
    pub fn poll_group(&mut self, client: ClientNo, lead: &str) -> Result<Option<Membership>> {
        if !self.clients[client].joined {
            return Ok(None);
        }
        let names = self.names_of(client);
        match self.standing(client, &names)? {
            Standing::Member => {}
            Standing::Evicted if !self.clients[client].holds.is_empty() => return Ok(self.lose(client)),
            // It joins again once everything is closed.
            Standing::Outside if !self.clients[client].holds.is_empty() => return Ok(None),
            Standing::Evicted | Standing::Outside => self.join(client, lead),
        }
        let topic = self.names.get(lead);
        let partitions = topic.map_or(0, |topic| self.topics[*topic].partitions.len());
        let now = self.clock.now();
        let Some(group) = self.groups.get_mut(&names.group) else {
            return Ok(None);
        };
        if group.targets.len() != partitions {
            group.targets.resize(partitions, None);
            group.holders.resize(partitions, None);
            group.rebalance();
        }
        let generation = group.generation;
        let Some(member) = group.members.get_mut(&names.instance) else {
            return Ok(None);
        };
        member.last_seen = now;
        let state = &mut self.clients[client];
        state.member = Some((member.id, generation));
        let change = match group.revoked(&names.instance, &state.revoking) {
            revoked if !revoked.is_empty() => {
                state.revoking.extend(&revoked);
                Membership::Revoked(revoked)
            }
            _ => match group.assign(&names.instance) {
                assigned if !assigned.is_empty() => {
                    state.holds.extend(&assigned);
                    Membership::Assigned(assigned)
                }
                _ => return Ok(None),
            },
        };
        state.assignment += 1;
        Ok(Some(change))
    }

    /// The client's standing in its group. Fails if another process has taken its place.
    fn standing(&self, client: ClientNo, names: &Names) -> Result<Standing> {
        let Names { group, instance } = names;
        let members = self.groups.get(group).map(|group| &group.members);
        let current = members.and_then(|members| members.get(instance));
        match (self.clients[client].member, current) {
            (None, _) => Ok(Standing::Outside),
            (Some(_), None) => Ok(Standing::Evicted),
            (Some((known, _)), Some(current)) if known == current.id => Ok(Standing::Member),
            (Some(_), Some(_)) => Err(Failure::Fenced(format!(
                "another process has joined the group {group} as {instance}"
            ))),
        }
    }

    /// Tells the client that it was evicted, with what it holds.
    fn lose(&mut self, client: ClientNo) -> Option<Membership> {
        let state = &mut self.clients[client];
        state.member = None;
        state.assignment += 1;
        let mut lost = state.holds.clone();
        lost.retain(|partition| !state.revoking.contains(partition));
        (!lost.is_empty()).then_some(Membership::Lost(lost))
    }

    /// Says that the client has closed these partitions.
    pub fn release(&mut self, client: ClientNo, partitions: &[Partition]) {
        let Names { group: name, instance } = self.names_of(client);
        let state = &mut self.clients[client];
        state.holds.retain(|held| !partitions.contains(held));
        let before = state.revoking.len();
        state.revoking.retain(|revoking| !partitions.contains(revoking));
        let revoked = state.revoking.len() < before;
        let known = state.member.map(|(id, _)| id);
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        // Partitions of a member that was evicted or replaced are free already.
        if revoked
            && group
                .members
                .get(&instance)
                .is_some_and(|member| Some(member.id) == known)
        {
            for partition in partitions {
                if let Some(holder) = group.holders.get_mut(partition.index())
                    && holder.as_deref() == Some(instance.as_str())
                {
                    *holder = None;
                }
            }
            // The member joins again without them, which makes a new generation.
            group.rebalance();
        }
    }

    /// Takes the client out of its group.
    pub fn leave(&mut self, client: ClientNo) {
        let Names { group: name, instance } = self.names_of(client);
        let state = &mut self.clients[client];
        state.holds.clear();
        state.revoking.clear();
        state.joined = false;
        state.assignment += 1;
        let known = state.member.take().map(|(id, _)| id);
        if let Some(group) = self.groups.get_mut(&name)
            && group
                .members
                .get(&instance)
                .is_some_and(|member| Some(member.id) == known)
        {
            group.remove(&instance);
        }
    }

    /// Gives the instance's member a new id, as if another process had joined under its name. The current one is
    /// fenced.
    pub fn fence(&mut self, instance: &str) {
        for group in self.groups.values_mut() {
            if let Some(member) = group.members.get_mut(instance) {
                self.members += 1;
                member.id = self.members;
            }
        }
    }

    /// Removes an instance from every group.
    pub fn evict(&mut self, instance: &str) {
        for group in self.groups.values_mut() {
            group.remove(instance);
        }
    }

    /// Evicts members that have not polled for the session time-out. Returns whether there were any.
    pub fn expire_members(&mut self, now: Duration) -> bool {
        let mut expired = false;
        for group in self.groups.values_mut() {
            let dead = |member: &MemberState| member.last_seen + SESSION_TIMEOUT <= now;
            let names: Vec<String> = group
                .members
                .iter()
                .filter(|(_, member)| dead(member))
                .map(|(name, _)| name.clone())
                .collect();
            for name in names {
                group.remove(&name);
                expired = true;
            }
        }
        expired
    }

    /// When each member times out.
    pub fn member_deadlines(&self) -> impl Iterator<Item = Duration> {
        self.groups
            .values()
            .flat_map(|group| group.members.values().map(|member| member.last_seen + SESSION_TIMEOUT))
    }

    /// What the coordinator checks before it accepts offsets.
    pub fn check_member(&self, client: ClientNo) -> std::result::Result<(), MemberError> {
        let client = &self.clients[client];
        let Some((id, generation)) = client.member else {
            return Err(MemberError::NotJoined {
                instance: client.instance.clone(),
                group: client.group.clone(),
            });
        };
        let Some(group) = self.groups.get(&client.group) else {
            return Err(MemberError::UnknownGroup(client.group.clone()));
        };
        match group.members.get(&client.instance) {
            None => Err(MemberError::Evicted(client.instance.clone())),
            Some(member) if member.id != id => Err(MemberError::JoinedAgain(client.instance.clone())),
            Some(_) if generation != group.generation => Err(MemberError::OldGeneration {
                member: generation,
                group: group.generation,
            }),
            Some(_) => Ok(()),
        }
    }

    fn names_of(&self, client: ClientNo) -> Names {
        let client = &self.clients[client];
        Names {
            group: client.group.clone(),
            instance: client.instance.clone(),
        }
    }
}

/// The standing of a client that has joined.
enum Standing {
    Member,
    /// It was a member, and has not learned yet that it no longer is.
    Evicted,
    /// It is not a member, and knows it.
    Outside,
}

/// The names of a client, copied so that the state is not borrowed.
struct Names {
    group: String,
    instance: String,
}
