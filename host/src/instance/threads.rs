//! The threads of an instance, and the channels between them. No other part of the engine uses threads.
//!
//! | thread | what it drives |
//! |---|---|
//! | supervisor | [`Supervisor`]: sleeps until there is an event, or the next step is due |
//! | group | [`Member`]: takes changes from the group, and makes the supervisor's requests to it |
//! | worker-N | [`WorkerRunner`] |
//! | restore-N | restores and truncations of changelogs: see `pool` |
//! | control | [`DeployAgent`] |
//! | shadow | [`Player`] |
//!
//! Rule: a panic of any thread is reported to the supervisor, which ends the instance. Nothing more is committed, and a
//! restart recovers from the log.

mod pool;
mod thread;

use super::command::Command;
use super::driven::Carriage;
use super::environment::Environment;
use super::member::{Member, MemberRequest};
use super::supervisor::{Supervisor, SupervisorEvent, SupervisorRequest};
use super::tasks::Tasks;
use super::worker_runner::{LOG_EVERY, Round, WorkerRunner};
use crate::clock::{Now, wall};
use crate::deploy::RulesSchedule;
use crate::deploy::agent::DeployAgent;
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::log::Producer;
use crate::shadow::{Player, Trial};
use pool::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thread::{panic_text, spawn};

/// Maximum time that an idle worker waits in one poll. It is also the latency bound for commands and replies.
const WAIT: Duration = Duration::from_millis(10);

/// Maximum time of one poll of the control topic. It is also the latency bound for what tasks need from there.
const CONTROL_WAIT: Duration = Duration::from_millis(50);

/// Maximum time of one poll of the group. It is also the latency bound for a stop.
const GROUP_WAIT: Duration = Duration::from_millis(50);

/// The same while partitions must be released.
const RELEASE_WAIT: Duration = Duration::from_millis(5);

/// Pause before a log that does not answer is called again.
const AWAY_WAIT: Duration = Duration::from_millis(100);

/// The parts that the threads of an instance drive.
pub struct Crew {
    /// What all parts need.
    pub environment: Environment,
    /// Decides what must be done.
    pub supervisor: Supervisor,
    /// The membership in the group.
    pub member: Member,
    /// The workers.
    pub runners: Vec<WorkerRunner>,
    /// The instance's part in deploys.
    pub agent: DeployAgent,
    /// What is known about versions.
    pub view: Arc<DeployView>,
    /// What the tasks are doing.
    pub tasks: Tasks,
}

/// The threads of a running instance.
pub struct Threads {
    events: Sender<SupervisorEvent>,
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<Result<()>>>,
    control: Option<JoinHandle<()>>,
}

impl Threads {
    /// Starts the threads.
    pub fn start(crew: Crew) -> Result<Threads> {
        let (events, inbox) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = vec![];
        for (index, runner) in crew.runners.into_iter().enumerate() {
            let (commands, inbox) = channel();
            let (events, tasks) = (events.clone(), crew.tasks.clone());
            let name = format!("worker-{index}");
            let thread = spawn_watched(&name, events.clone(), move || work(runner, &inbox, &events, &tasks))?;
            workers.push((commands, thread));
        }
        let commands: Vec<_> = workers.iter().map(|(commands, _)| commands.clone()).collect();
        let control = ControlThread {
            agent: crew.agent,
            view: crew.view.clone(),
            tasks: crew.tasks,
            commands,
            stop: stop.clone(),
        };
        let control = spawn_watched("control", events.clone(), move || control.run())?;
        let (group, asked) = channel();
        let heard = events.clone();
        let hears = spawn_watched("group", events.clone(), move || hear(crew.member, &asked, &heard))?;
        let driver = Driver {
            supervisor: crew.supervisor,
            inbox,
            workers,
            group,
            pool: Pool::start(&crew.environment, &crew.view, &events)?,
        };
        let over = stop.clone();
        let supervisor = spawn("supervisor", move || {
            let result = driver.run();
            // The control thread ends with this one. The group's thread leaves the group, unless it has left already.
            over.store(true, Ordering::Release);
            let _ = hears.join();
            result
        })?;
        Ok(Threads {
            events,
            stop,
            supervisor: Some(supervisor),
            control: Some(control),
        })
    }

    /// Whether the instance has ended.
    pub fn have_ended(&self) -> bool {
        self.supervisor.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Tells the instance to stop, and waits until it has. Succeeds at once if it has ended before.
    pub fn stop(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        let _ = self.events.send(SupervisorEvent::Stop);
        let Some(supervisor) = self.supervisor.take() else {
            return Ok(());
        };
        let panicked = |_| Err(Failure::Fatal("the supervisor panicked".into()));
        let result = supervisor.join().unwrap_or_else(panicked);
        if let Some(control) = self.control.take() {
            let _ = control.join();
        }
        result
    }
}

/// Drives the supervisor on its thread.
struct Driver {
    supervisor: Supervisor,
    inbox: Receiver<SupervisorEvent>,
    workers: Vec<(Sender<Command>, JoinHandle<()>)>,
    group: Sender<MemberRequest>,
    pool: Pool,
}

impl Driver {
    fn run(mut self) -> Result<()> {
        let start = Instant::now();
        let mut woken = None;
        let result = loop {
            let step = {
                let mut events = woken.take().into_iter().chain(self.inbox.try_iter());
                self.supervisor.step(start.elapsed(), &mut events)
            };
            step.requests.into_iter().for_each(|request| self.pass_on(request));
            if let Some(result) = step.ended {
                break result;
            }
            woken = self.inbox.recv_timeout(step.next).ok();
        };
        self.pool.end();
        for (commands, thread) in self.workers {
            // A worker ends when nobody can give it commands any more.
            drop(commands);
            // A stuck worker is the reason why the instance ends. It ends with the process.
            if result.is_ok() {
                let _ = thread.join();
            }
        }
        if result.is_ok() {
            self.pool.join();
        }
        result
    }

    /// If the receiver is gone, it has reported why, and that ends the instance. So errors don't matter here.
    fn pass_on(&mut self, request: SupervisorRequest) {
        match request {
            SupervisorRequest::Worker(worker, command) => _ = self.workers[worker].0.send(command),
            SupervisorRequest::Member(request) => _ = self.group.send(request),
            SupervisorRequest::Restore(claim) => self.pool.restore(claim),
            SupervisorRequest::Abandon(claim) => self.pool.abandon(claim),
            SupervisorRequest::Truncate(partition, before) => self.pool.cut(partition, before),
        }
    }
}

/// Runs the group's thread.
fn hear(mut member: Member, asked: &Receiver<MemberRequest>, events: &Sender<SupervisorEvent>) -> Result<()> {
    let mut releases = false;
    let mut away = false;
    loop {
        let request = match member.hears() && !away {
            true => asked.try_recv(),
            // There are only requests to wait for.
            false => asked.recv_timeout(GROUP_WAIT).map_err(|end| match end {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            }),
        };
        let heard = match request {
            Ok(request) => {
                releases = false;
                member.request(request)?
            }
            Err(TryRecvError::Empty) => member.poll(if releases { RELEASE_WAIT } else { GROUP_WAIT })?,
            // The supervisor has ended, and the membership ends with it.
            Err(TryRecvError::Disconnected) => return Ok(()),
        };
        away = heard.as_ref().is_some_and(|heard| heard.is_unreachable());
        if let Some(heard) = heard {
            releases |= heard.wants_release();
            let _ = events.send(SupervisorEvent::Group(heard));
        }
    }
}

/// Runs a worker's thread.
fn work(
    mut runner: WorkerRunner,
    commands: &Receiver<Command>,
    events: &Sender<SupervisorEvent>,
    tasks: &Tasks,
) -> Result<()> {
    let start = Instant::now();
    let mut says = vec![];
    loop {
        loop {
            let command = match runner.worker().is_empty() {
                true => commands
                    .recv_timeout(WAIT)
                    .map_err(|end| end == RecvTimeoutError::Timeout),
                false => commands.try_recv().map_err(|end| end == TryRecvError::Empty),
            };
            match command {
                Ok(command) => runner.execute(command)?,
                Err(true) => break,
                // The supervisor has ended, and so has the instance.
                Err(false) => return Ok(()),
            }
        }
        let round = runner.turn(now(start), WAIT, tasks, &mut says)?;
        for event in says.drain(..) {
            let _ = events.send(event);
        }
        if round == Round::Unreachable {
            std::thread::sleep(AWAY_WAIT);
        }
    }
}

/// Drives the control topic on its thread.
struct ControlThread {
    agent: DeployAgent,
    view: Arc<DeployView>,
    tasks: Tasks,
    commands: Vec<Sender<Command>>,
    stop: Arc<AtomicBool>,
}

impl ControlThread {
    /// Runs until the instance is told to stop.
    fn run(self) -> Result<()> {
        let ControlThread {
            mut agent,
            view,
            tasks,
            commands,
            stop,
        } = self;
        let start = Instant::now();
        let mut logged: Option<Instant> = None;
        while !stop.load(Ordering::Acquire) {
            let mut hand_over = |schedule: &Arc<RulesSchedule>| {
                for worker in &commands {
                    let _ = worker.send(Command::SetSchedule(schedule.clone()));
                }
            };
            let carriage = Carriage {
                agent: &mut agent,
                view: &view,
                tasks: &tasks,
            };
            match carriage.turn(now(start), CONTROL_WAIT, &mut hand_over) {
                Ok(()) => {}
                Err(Failure::Retry(why)) => {
                    if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                        logged = Some(Instant::now());
                        tracing::warn!(%why, "the control topic can't be read or written");
                    }
                    std::thread::sleep(AWAY_WAIT);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

/// A producer for each worker. They are made before the group is joined, so that open transactions of an earlier
/// process are aborted before offsets are read. They are made at the same time, because each may have to wait for that.
pub fn producers(environment: &Environment) -> Vec<Result<Box<dyn Producer>>> {
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..environment.config.workers)
            .map(|index| scope.spawn(move || environment.producer(index)))
            .collect();
        let panicked = |_| Err(Failure::Fatal("a producer panicked at its start".into()));
        opening
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(panicked))
            .collect()
    })
}

/// Starts the thread that runs a shadow until it is over. It has the lowest priority.
pub fn play(trial: Arc<Trial>) -> Result<()> {
    let thread = move || {
        stand_back();
        let mut player = Player::new(trial.clone());
        while !trial.is_over() {
            match catch_unwind(AssertUnwindSafe(|| player.play())) {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(WAIT),
                Err(panic) => {
                    let why = format!("ended by a bug of Pelton's: {}", panic_text(panic.as_ref()));
                    tracing::error!(why, "the shadow");
                    trial.fail(&why);
                    player = Player::new(trial.clone());
                }
            }
        }
    };
    spawn("shadow", thread).map(drop)
}

/// Gives the calling thread the lowest priority.
fn stand_back() {
    #[cfg(target_os = "linux")]
    // SAFETY: these are plain numbers. On Linux this sets the priority of only the calling thread. If it is refused,
    // the priority stays as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
}

/// Starts a thread. If it fails or panics, the supervisor gets an event.
fn spawn_watched(
    name: &str,
    events: Sender<SupervisorEvent>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<JoinHandle<()>> {
    let whose = name.to_owned();
    spawn(name, move || {
        let failed = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::Fatal(format!("{whose} panicked: {}", panic_text(panic.as_ref()))),
        };
        let _ = events.send(SupervisorEvent::Failed(failed));
    })
}

fn now(start: Instant) -> Now {
    Now {
        mono: start.elapsed(),
        wall: wall(),
    }
}
