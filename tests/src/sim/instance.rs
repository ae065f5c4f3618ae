//! One instance of the pipeline, driven turn by turn: real workers, and the supervisor's moves.
//!
//! Rule: it does what `pipeline/assignment.rs` and `pipeline/threads.rs` do on threads, no more and no less. What waits in a
//! channel there waits in a queue here; who goes next is the world's to say.

use super::carriage::Carriage;
use super::restore::Restore;
use super::service::Desk;
use super::versions::Bench;
use pelton::config::Config;
use pelton::error::{Failure, Result};
use pelton::log::{Group, Log, Membership};
use pelton::metrics::Metrics;
use pelton::pipeline::transactional_id;
use pelton::record::{Offset, Partition};
use pelton::registry::Schemas;
use pelton::store::Store;
use pelton::store::memory::Disk;
use pelton::task::{Layout, Orders, Task};
use pelton::worker::{Now, Ports, Worker};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A member that is fenced twice within this ends.
const RIVAL: Duration = Duration::from_secs(60);

/// How often a worker tells how its tasks stand.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// What an instance is made of.
pub struct Parts {
    pub config: Config,
    pub layout: Arc<Layout>,
    pub bench: Bench,
    /// The version that its file names.
    pub file: usize,
    pub log: Arc<dyn Log>,
    pub schemas: Option<Arc<dyn Schemas>>,
    pub disk: Option<Disk>,
    /// One for each worker.
    pub desks: Vec<Desk>,
}

/// A running instance.
pub struct Life {
    layout: Arc<Layout>,
    log: Arc<dyn Log>,
    disk: Option<Disk>,
    group: Box<dyn Group>,
    /// The threads of the control topic.
    pub carriage: Carriage,
    pub seats: Vec<Seat>,
    /// Threads that restore, and what they have come to and not yet told.
    pub restores: Vec<(Restore, Option<Result<Box<Task>>>)>,
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
    /// When it told how its tasks stand.
    told: Duration,
}

enum Command {
    Open(Box<Task>, u64),
    Reassigned(u64),
    Close(Vec<Partition>, u64),
    Lose(Vec<Partition>, u64),
    Order(Arc<Orders>),
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
            bench,
            file,
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
            let worker = Worker::new(index, &config, layout.clone(), Arc::default(), ports, metrics.clone());
            seats.push(Seat {
                worker,
                desk,
                commands: VecDeque::new(),
                told: Duration::ZERO,
            });
        }
        Ok(Life {
            carriage: Carriage::new(&config, &layout, &log, &bench, file)?,
            group: log.join()?,
            layout,
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
                Some(gone) => {
                    gone.set(true);
                    self.carriage.board.forget(*partition);
                    self.carriage.gone(*partition);
                }
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
        let store = self.disk.as_ref().map(Disk::store);
        let restore = Restore::begin(&self.log, &self.layout, partition, store);
        self.restoring.insert(partition, restore.gone.clone());
        self.restores.push((restore, None));
    }

    /// A step of one restore.
    pub fn step_restore(&mut self, index: usize) {
        let (restore, done) = &mut self.restores[index];
        if let Some(done) = done.take() {
            let (Restore { partition, gone, .. }, _) = self.restores.remove(index);
            return self.inbox.push_back(Event::Restored(partition, gone, done));
        }
        if restore.gone.get() {
            self.restores.remove(index);
            return;
        }
        self.carriage.gone(restore.partition);
        *done = restore.step(&self.carriage.board);
    }

    /// A round of the control topic's thread.
    pub fn carry(&mut self, now: Now) -> Result<()> {
        let seats = &mut self.seats;
        self.carriage.step(now, |orders| {
            for seat in seats {
                seat.commands.push_back(Command::Order(orders.clone()));
            }
        })
    }

    /// A turn of a worker's thread. True: something was done.
    pub fn work(&mut self, index: usize, now: Now) -> Result<bool> {
        let Seat {
            worker, commands, told, ..
        } = &mut self.seats[index];
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Open(task, assignment) => worker.open(*task, assignment)?,
                Command::Reassigned(assignment) => worker.reassigned(assignment),
                Command::Close(partitions, assignment) => worker.close(&partitions, assignment),
                Command::Lose(partitions, assignment) => worker.lose(&partitions, assignment),
                Command::Order(orders) => worker.order(orders),
            }
        }
        let busy = match worker.turn(now, Duration::ZERO) {
            Ok(busy) => busy,
            Err(Failure::Retry(_)) => false,
            Err(other) => return Err(other),
        };
        let closed = worker.take_closed();
        if !closed.is_empty() {
            closed.iter().for_each(|partition| self.carriage.gone(*partition));
            self.inbox.push_back(Event::Closed(closed));
        }
        for (partition, before) in worker.take_truncations() {
            self.inbox.push_back(Event::Truncate(partition, before));
        }
        if now.mono - *told >= STATUS_EVERY {
            *told = now.mono;
            worker
                .status()
                .into_iter()
                .for_each(|status| self.carriage.runs(status));
            for (partition, _) in worker.restoring() {
                self.carriage.gone(partition);
            }
        }
        Ok(busy)
    }

    /// Nothing is under way but the work itself.
    pub fn is_settled(&self) -> bool {
        self.closing.is_none()
            && self.restores.is_empty()
            && self.inbox.is_empty()
            && self.carriage.is_settled()
            && self.seats.iter().all(|seat| seat.commands.is_empty())
    }

    /// What it waits for, for people.
    pub fn describe(&self) -> String {
        let mut text = format!("owns {:?}", self.owned);
        if let Some(closing) = &self.closing {
            text += &format!(", closes {:?} (still open: {:?})", closing.release, closing.open);
        }
        for restore in &self.restores {
            text += &format!(", restores {}", restore.0.partition);
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
