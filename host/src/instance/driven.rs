//! An instance whose parts are driven by hand in one thread.
//!
//! Rule: the parts are those of production, and nothing is decided here. Where production has a channel, this has a
//! queue; where it has a thread, this has a method. Any time may pass between two calls. The test kit drives it in a
//! fixed order, and the simulator in every order that threads could have.

use super::command::{Claim, Command};
use super::environment::Environment;
use super::member::{self, Member};
use super::restore::{Restore, RestoreNext};
use super::supervisor::{Supervisor, SupervisorEvent, SupervisorRequest};
use super::tasks::Tasks;
use super::worker_runner::{Round, WorkerRunner};
use crate::binding::Status;
use crate::clock::Now;
use crate::deploy::RulesSchedule;
use crate::deploy::agent::DeployAgent;
use crate::deploy::view::DeployView;
use crate::error::Result;
use crate::fault::fault;
use crate::record::{Offset, Partition};
use crate::task::Task;
use crate::task::restore::{Access, RestoreAnswer, RestoreQuestion};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// An instance whose parts get their turns from a driver.
pub struct DrivenInstance {
    environment: Environment,
    supervisor: Supervisor,
    member: Member,
    runners: Vec<(WorkerRunner, VecDeque<Command>)>,
    restores: Vec<Working>,
    view: Arc<DeployView>,
    tasks: Tasks,
    events: VecDeque<SupervisorEvent>,
    asked: VecDeque<member::MemberRequest>,
    cuts: VecDeque<(Partition, Offset)>,
}

/// A restore that a thread of the pool is working on.
struct Working {
    restore: Restore,
    access: Access,
    /// The question that is to be asked.
    asked: Option<RestoreQuestion>,
    /// The answer, until the restore gets it.
    heard: Option<Result<RestoreAnswer>>,
    /// Whether it is not wanted any more. What was begun is still finished.
    abandoned: bool,
}

impl DrivenInstance {
    /// Starts with these workers and joins the group.
    pub fn start(
        environment: Environment,
        runners: Vec<WorkerRunner>,
        view: Arc<DeployView>,
    ) -> Result<DrivenInstance> {
        let tasks = Tasks::default();
        let before = environment.log.assignment();
        let (config, metrics) = (environment.config.clone(), environment.metrics.clone());
        Ok(DrivenInstance {
            supervisor: Supervisor::new(config, view.clone(), tasks.clone(), metrics, before),
            member: Member::join(environment.log.clone())?,
            runners: runners.into_iter().map(|runner| (runner, VecDeque::new())).collect(),
            restores: vec![],
            view,
            tasks,
            events: VecDeque::new(),
            asked: VecDeque::new(),
            cuts: VecDeque::new(),
            environment,
        })
    }

    /// Tells the instance to stop.
    pub fn stop(&mut self) {
        self.events.push_back(SupervisorEvent::Stop);
    }

    /// Runs a step of the supervisor. If it has ended, returns how.
    pub fn supervise(&mut self, now: Duration) -> Option<Result<()>> {
        let step = self.supervisor.step(now, &mut self.events.drain(..));
        for request in step.requests {
            match request {
                SupervisorRequest::Worker(worker, command) => self.runners[worker].1.push_back(command),
                SupervisorRequest::Member(request) => self.asked.push_back(request),
                SupervisorRequest::Truncate(partition, before) => self.cuts.push_back((partition, before)),
                SupervisorRequest::Restore(claim) => {
                    let (restore, access) = self.environment.restore(claim);
                    self.restores.push(Working {
                        restore,
                        access,
                        asked: None,
                        heard: None,
                        abandoned: false,
                    });
                }
                SupervisorRequest::Abandon(claim) => {
                    let abandoned = self.restores.iter_mut().filter(|working| working.claim() == claim);
                    abandoned.for_each(|working| working.abandoned = true);
                }
            }
        }
        step.ended
    }

    /// Does the next request to the group, or takes the next change from it. Returns what was done.
    pub fn member(&mut self) -> Option<&'static str> {
        let (what, heard) = match self.asked.pop_front() {
            Some(request) => {
                let what = match &request {
                    member::MemberRequest::Release(_) => "releases",
                    member::MemberRequest::Leave => "leaves",
                    member::MemberRequest::Join => "joins",
                };
                (Some(what), self.member.request(request))
            }
            None => (None, self.member.poll(Duration::ZERO)),
        };
        let event = match heard {
            Ok(None) => return what,
            Ok(Some(heard)) => SupervisorEvent::Group(heard),
            Err(why) => SupervisorEvent::Failed(why),
        };
        self.events.push_back(event);
        what.or(Some("hears"))
    }

    /// Number of current restores.
    pub fn restores(&self) -> usize {
        self.restores.len()
    }

    /// The task that a restore is for, and the question that is about to be asked for it.
    pub fn restoring(&self, index: usize) -> (Claim, Option<&RestoreQuestion>) {
        let working = &self.restores[index];
        (working.claim(), working.asked.as_ref())
    }

    /// Moves a restore on: it asks, its question is answered, or it gets the answer. Returns false if it can only wait.
    pub fn restore(&mut self, index: usize) -> bool {
        let working = &mut self.restores[index];
        let question = working.asked.take();
        if working.abandoned {
            // The thread was working on this when it was abandoned.
            if let Some(question) = question {
                drop(working.access.ask(question, Duration::ZERO));
            }
            self.view.forget(working.restore.partition());
            self.restores.remove(index);
            return true;
        }
        if let Some(question) = question {
            working.heard = Some(working.access.ask(question, Duration::ZERO));
            return true;
        }
        if let Some(answer) = working.heard.take() {
            working.restore.answer(answer);
            let (read, why) = working.restore.progress();
            let restores = SupervisorEvent::Restores(working.claim(), read, why.map(str::to_owned));
            self.events.push_back(restores);
        }
        match working.restore.step(&self.view) {
            RestoreNext::Ask(question) => working.asked = Some(question),
            RestoreNext::Wait(_) => {
                working.access.rest();
                return false;
            }
            RestoreNext::Done(task) => {
                let claim = working.claim();
                self.restores.remove(index);
                self.events.push_back(SupervisorEvent::Restored(claim, task));
            }
        }
        true
    }

    /// Truncates a changelog, if one is waiting for it. If it fails, the next round of the sweep requests it again.
    pub fn cut(&mut self) -> bool {
        let Some((partition, before)) = self.cuts.pop_front() else {
            return false;
        };
        let cut = self
            .environment
            .log
            .truncate(self.environment.layout.changelog, partition, before);
        cut.is_ok()
    }

    /// Runs a round of a worker.
    pub fn work(&mut self, index: usize, now: Now) -> Result<Round> {
        let (runner, commands) = &mut self.runners[index];
        let commanded = !commands.is_empty();
        while let Some(command) = commands.pop_front() {
            runner.execute(command)?;
        }
        let mut events = vec![];
        let round = runner.turn(now, Duration::ZERO, &self.tasks, &mut events)?;
        self.events.extend(events);
        Ok(if commanded { Round::Busy } else { round })
    }

    /// Runs a round of the control topic's thread.
    pub fn carry(&mut self, agent: &mut DeployAgent, now: Now) -> Result<()> {
        let runners = &mut self.runners;
        let carriage = Carriage {
            agent,
            view: &self.view,
            tasks: &self.tasks,
        };
        carriage.turn(now, Duration::ZERO, &mut |schedule| {
            for (_, commands) in runners.iter_mut() {
                commands.push_back(Command::SetSchedule(schedule.clone()));
            }
        })
    }

    /// Gives the workers a new schedule.
    pub fn set_schedule(&mut self, schedule: &Arc<RulesSchedule>) {
        for (_, commands) in &mut self.runners {
            commands.push_back(Command::SetSchedule(schedule.clone()));
        }
    }

    /// The workers.
    pub fn runners(&self) -> impl ExactSizeIterator<Item = &WorkerRunner> {
        self.runners.iter().map(|(runner, _)| runner)
    }

    /// The worker with this index.
    pub fn runner(&mut self, index: usize) -> &mut WorkerRunner {
        &mut self.runners[index].0
    }

    /// The status of the tasks.
    pub fn status(&self) -> Vec<Status> {
        self.runners().flat_map(|runner| runner.worker().status()).collect()
    }

    /// An open task.
    pub fn task(&self, partition: Partition) -> Option<&Task> {
        self.runners().find_map(|runner| runner.worker().task(partition))
    }

    /// The tasks that workers must close.
    pub fn awaits(&self) -> Vec<Claim> {
        self.supervisor.awaits()
    }

    /// Whether nothing is going on except the work itself.
    pub fn is_settled(&self) -> bool {
        self.supervisor.is_settled()
            && self.restores.is_empty()
            && self.events.is_empty()
            && self.asked.is_empty()
            && self.cuts.is_empty()
            && self.runners.iter().all(|(_, commands)| commands.is_empty())
    }

    /// What the instance is waiting for, for people.
    pub fn describe(&self) -> String {
        let restores = self.restores.iter().map(|working| working.restore.partition());
        format!(
            "{}, restores {:?}, {} events",
            self.supervisor.describe(),
            restores.collect::<Vec<_>>(),
            self.events.len()
        )
    }
}

impl Working {
    fn claim(&self) -> Claim {
        Claim {
            partition: self.restore.partition(),
            stay: self.restore.stay(),
        }
    }
}

/// The part of an instance that reads and writes the control topic, with what it informs and asks.
pub struct Carriage<'a> {
    /// Reads and writes the topic.
    pub agent: &'a mut DeployAgent,
    /// Receives what the topic says.
    pub view: &'a DeployView,
    /// The tasks that run.
    pub tasks: &'a Tasks,
}

impl Carriage<'_> {
    /// Runs a round of the control topic: takes what tasks and authors say, and reports what follows from it. If the
    /// schedule has changed, `hand_over` is called before the view lets a task open with it. Fails if the log does not answer.
    pub fn turn(self, now: Now, wait: Duration, hand_over: &mut dyn FnMut(&Arc<RulesSchedule>)) -> Result<()> {
        let Carriage { agent, view, tasks } = self;
        if agent.step(now, wait, &tasks.running(), &view.wanted())? && !fault!("schedule-not-told") {
            hand_over(agent.schedule());
        }
        view.publish(agent);
        Ok(())
    }
}
