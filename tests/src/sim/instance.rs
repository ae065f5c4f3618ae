//! One instance of the pipeline, driven turn by turn: real workers, and the supervisor's moves.
//!
//! Rule: it does what `pipeline/assignment.rs` and `pipeline/threads.rs` do on threads, no more and no less. What waits in a
//! channel there waits in a queue here; who goes next is the world's to say.

use super::service::Desk;
use pelton::config::Config;
use pelton::error::{Failure, Result};
use pelton::log::{Group, Log, Membership};
use pelton::metrics::Metrics;
use pelton::pipeline::transactional_id;
use pelton::record::{Offset, Partition};
use pelton::registry::Schemas;
use pelton::store::Store;
use pelton::store::memory::{Disk, Memory};
use pelton::task::restore::Restoring;
use pelton::task::{Layout, Orders, Task};
use pelton::worker::{Now, Ports, Worker};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A member that is fenced twice within this ends.
const RIVAL: Duration = Duration::from_secs(60);

/// What an instance is made of.
pub struct Parts {
    pub config: Config,
    pub layout: Arc<Layout>,
    pub orders: Arc<Orders>,
    pub log: Arc<dyn Log>,
    pub schemas: Option<Arc<dyn Schemas>>,
    pub disk: Option<Disk>,
    /// One for each worker.
    pub desks: Vec<Desk>,
}

/// A running instance.
pub struct Life {
    config: Config,
    layout: Arc<Layout>,
    orders: Arc<Orders>,
    log: Arc<dyn Log>,
    disk: Option<Disk>,
    group: Box<dyn Group>,
    pub seats: Vec<Seat>,
    /// Threads that restore.
    pub restores: Vec<Restore>,
    /// Restores under way: set when they are not wanted any more.
    restoring: BTreeMap<Partition, Rc<Cell<bool>>>,
    owned: Vec<Partition>,
    inbox: VecDeque<Event>,
    closing: Option<Closing>,
    /// When this member was fenced last.
    fenced: Option<Duration>,
}

/// A worker's thread.
pub struct Seat {
    pub worker: Worker,
    pub desk: Desk,
    commands: VecDeque<Command>,
}

/// A restore's thread.
pub struct Restore {
    partition: Partition,
    gone: Rc<Cell<bool>>,
    restoring: Restoring,
    store: Option<Memory>,
    /// Done, and not yet told.
    done: Option<Result<Box<Task>>>,
}

enum Command {
    Open(Box<Task>, u64),
    Reassigned(u64),
    Close(Vec<Partition>, u64),
    Lose(Vec<Partition>, u64),
}

enum Event {
    Closed(Vec<Partition>),
    Restored(Partition, Rc<Cell<bool>>, Result<Box<Task>>),
    Truncate(Partition, Offset),
}

/// The supervisor waits for its workers.
struct Closing {
    open: Vec<Partition>,
    release: Vec<Partition>,
    then: After,
}

/// What it does when all is closed.
enum After {
    Release,
    Leave,
    /// It was fenced.
    Join,
}

impl Life {
    /// Starts workers, joins the group. [`Retry`](Failure::Retry): the cluster does not answer; a process would end, and be
    /// started again.
    pub fn start(parts: Parts, workers_ever: usize) -> Result<Life> {
        let Parts {
            config,
            layout,
            orders,
            log,
            schemas,
            disk,
            desks,
        } = parts;
        for worker in config.workers..workers_ever {
            drop(log.producer(&transactional_id(&config, worker))?);
        }
        let metrics = Arc::new(Metrics::of(&config));
        let shortest = config.inputs.iter().map(|input| input.idle_after).min();
        let proofs = (shortest.unwrap_or_default() / 4).max(Duration::from_millis(10));
        let mut seats = vec![];
        for (index, desk) in desks.into_iter().enumerate() {
            let ports = Ports {
                producer: log.producer(&transactional_id(&config, index))?,
                reader: log.reader(proofs)?,
                log: log.clone(),
                services: desk.handle(),
                schemas: schemas.clone(),
                store: disk.as_ref().map(|disk| Box::new(disk.store()) as Box<dyn Store>),
            };
            let worker = Worker::new(index, &config, layout.clone(), orders.clone(), ports, metrics.clone());
            seats.push(Seat {
                worker,
                desk,
                commands: VecDeque::new(),
            });
        }
        Ok(Life {
            group: log.join()?,
            config,
            layout,
            orders,
            log,
            disk,
            seats,
            restores: vec![],
            restoring: BTreeMap::new(),
            owned: vec![],
            inbox: VecDeque::new(),
            closing: None,
            fenced: None,
        })
    }

    /// A turn of the supervisor. False: it has left the group, as it was told, and the process ends.
    /// [`Fenced`](Failure::Fenced): again, so soon that it ends.
    pub fn supervise(&mut self, now: Duration) -> Result<bool> {
        if self.closing.is_some() {
            return self.go_on_closing();
        }
        match self.group.poll(Duration::ZERO) {
            Ok(Some(Membership::Assigned(partitions))) => {
                let assignment = self.log.assignment();
                for seat in &mut self.seats {
                    seat.commands.push_back(Command::Reassigned(assignment));
                }
                for partition in partitions {
                    self.owned.push(partition);
                    self.restore(partition);
                }
            }
            Ok(Some(Membership::Revoked(partitions))) => return self.close(partitions, false, After::Release),
            Ok(Some(Membership::Lost(partitions))) => return self.close(partitions, true, After::Release),
            Ok(None) | Err(Failure::Retry(_)) => {}
            Err(Failure::Fenced(_)) if self.fenced.is_none_or(|at| now - at >= RIVAL) => {
                self.fenced = Some(now);
                self.group.leave();
                let gone = self.owned.clone();
                return self.close(gone, true, After::Join);
            }
            Err(other) => return Err(other),
        }
        while let Some(event) = self.inbox.pop_front() {
            self.handle(event)?;
        }
        Ok(true)
    }

    /// Told to stop: every task finishes what it has open. False: see [`supervise`](Life::supervise).
    pub fn stop(&mut self) -> Result<bool> {
        match self.closing {
            Some(_) => Ok(true),
            None => self.close(self.owned.clone(), false, After::Leave),
        }
    }

    fn handle(&mut self, event: Event) -> Result<Vec<Partition>> {
        match event {
            Event::Closed(partitions) => return Ok(partitions),
            // A cut that fails is asked for again by the next round of the sweep.
            Event::Truncate(partition, before) => _ = self.log.truncate(self.layout.changelog, partition, before),
            Event::Restored(partition, gone, task) => {
                let wanted = self
                    .restoring
                    .get(&partition)
                    .is_some_and(|known| Rc::ptr_eq(known, &gone));
                let task = task?;
                if wanted {
                    self.restoring.remove(&partition);
                    let assignment = self.log.assignment();
                    self.seat(partition).commands.push_back(Command::Open(task, assignment));
                }
            }
        }
        Ok(vec![])
    }

    fn seat(&mut self, partition: Partition) -> &mut Seat {
        let count = self.seats.len();
        &mut self.seats[partition as usize % count]
    }

    fn close(&mut self, partitions: Vec<Partition>, lost: bool, then: After) -> Result<bool> {
        self.owned.retain(|partition| !partitions.contains(partition));
        let assignment = self.log.assignment();
        let mut open = vec![];
        for partition in &partitions {
            match self.restoring.remove(partition) {
                Some(gone) => gone.set(true),
                None => open.push(*partition),
            }
        }
        let count = self.seats.len();
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let its: Vec<_> = open.iter().copied().filter(|p| *p as usize % count == index).collect();
            seat.commands.push_back(match (its.is_empty(), lost) {
                (true, _) => Command::Reassigned(assignment),
                (false, true) => Command::Lose(its, assignment),
                (false, false) => Command::Close(its, assignment),
            });
        }
        self.closing = Some(Closing {
            open,
            release: partitions,
            then,
        });
        self.go_on_closing()
    }

    fn go_on_closing(&mut self) -> Result<bool> {
        while self.closing.as_ref().is_some_and(|closing| !closing.open.is_empty()) {
            let Some(event) = self.inbox.pop_front() else {
                return Ok(true);
            };
            let closed = self.handle(event)?;
            if let Some(closing) = &mut self.closing {
                closing.open.retain(|partition| !closed.contains(partition));
            }
        }
        let Some(Closing { release, then, .. }) = self.closing.take() else {
            return Ok(true);
        };
        match then {
            After::Release => self.group.released(&release)?,
            After::Join => self.group = self.log.join()?,
            After::Leave => {
                self.group.released(&release)?;
                self.group.leave();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn restore(&mut self, partition: Partition) {
        let gone = Rc::new(Cell::new(false));
        self.restoring.insert(partition, gone.clone());
        self.restores.push(Restore {
            partition,
            gone,
            restoring: Restoring::begin(self.log.clone(), self.layout.clone(), partition),
            store: self.disk.as_ref().map(Disk::store),
            done: None,
        });
    }

    /// A step of one restore.
    pub fn step_restore(&mut self, index: usize) {
        let restore = &mut self.restores[index];
        if let Some(done) = restore.done.take() {
            let Restore { partition, gone, .. } = self.restores.remove(index);
            return self.inbox.push_back(Event::Restored(partition, gone, done));
        }
        if restore.gone.get() {
            self.restores.remove(index);
            return;
        }
        let store = restore.store.as_mut().map(|store| store as &mut dyn Store);
        let restored = match restore.restoring.step(store, Duration::ZERO) {
            Ok(None) | Err(Failure::Retry(_)) => return,
            Ok(Some(restored)) => restored,
            Err(other) => return restore.done = Some(Err(other)),
        };
        let starts: Result<Vec<Offset>> = (0..self.layout.inputs.len())
            .map(|rank| Ok(self.log.bounds(rank as u16, restore.partition)?.0))
            .collect();
        let (layout, orders) = (self.layout.clone(), self.orders.clone());
        let open = |starts: Vec<_>| Task::open(restore.partition, layout, orders, restored, &starts);
        restore.done = Some(starts.and_then(open).map(Box::new));
    }

    /// A turn of a worker's thread. True: something was done.
    pub fn work(&mut self, index: usize, now: Now) -> Result<bool> {
        let Seat { worker, commands, .. } = &mut self.seats[index];
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Open(task, assignment) => worker.open(*task, assignment)?,
                Command::Reassigned(assignment) => worker.reassigned(assignment),
                Command::Close(partitions, assignment) => worker.close(&partitions, assignment),
                Command::Lose(partitions, assignment) => worker.lose(&partitions, assignment),
            }
        }
        let busy = match worker.turn(now, Duration::ZERO) {
            Ok(busy) => busy,
            Err(Failure::Retry(_)) => false,
            Err(other) => return Err(other),
        };
        let closed = worker.take_closed();
        if !closed.is_empty() {
            self.inbox.push_back(Event::Closed(closed));
        }
        for (partition, before) in worker.take_truncations() {
            self.inbox.push_back(Event::Truncate(partition, before));
        }
        Ok(busy)
    }

    /// The name of its process.
    #[expect(
        clippy::misnamed_getters,
        reason = "an instance is known by the name of its instance, not of its pipeline"
    )]
    pub fn name(&self) -> &str {
        &self.config.instance
    }

    /// Nothing is under way but the work itself.
    pub fn is_settled(&self) -> bool {
        self.closing.is_none()
            && self.restores.is_empty()
            && self.inbox.is_empty()
            && self.seats.iter().all(|seat| seat.commands.is_empty())
    }

    /// What it waits for, for people.
    pub fn describe(&self) -> String {
        let mut text = format!("owns {:?}", self.owned);
        if let Some(closing) = &self.closing {
            text += &format!(", closes {:?} (still open: {:?})", closing.release, closing.open);
        }
        for restore in &self.restores {
            text += &format!(", restores {}", restore.partition);
        }
        for (index, seat) in self.seats.iter().enumerate() {
            text += &format!("\n  worker {index}: {} questions at the service", seat.desk.waiting());
            for status in seat.worker.status() {
                text += &format!("\n    {status:?}");
            }
        }
        text
    }
}
