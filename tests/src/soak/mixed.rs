//! `make mixed`: two versions of Pelton in one consumer group, as during an upgrade that goes from one instance to the
//! next.
//!
//! Rules:
//! - As in the soak, every output is there once, and as the auditor says: whichever version took the step, kept the
//!   state, was killed, or took over from the other. The replay, by both versions again, makes the same bytes.
//! - An instance that ends by itself fails the run with its log. So if two versions can't share a group, the words are
//!   there.

use super::feed::Feed;
use super::instance::{Instance, owners};
use super::options::{Options, PATIENCE, Program};
use super::outputs::Outputs;
use super::pipeline::Pipeline;
use super::report::Report;
use super::swapping::Swapping;
use super::{check, killing, replay};
use crate::rig::Rig;
use anyhow::{Context, Result, bail, ensure};
use pelton_demo::session_service::{Behaviour, SessionService};
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Swaps and kills that the traffic is cut for. There are fewer, but some need several tries.
const COURSE: (usize, usize) = (60, 12);

/// How often each version takes the place of the other, until both have restored a task from the other's store.
const RESTORES: usize = 6;

/// The course takes two minutes on two slow cores. What takes this long has come to a standstill.
const LIMIT: Duration = Duration::from_secs(600);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Mixture {
    /// What happened, with the owner of each task at that time.
    pub course: Vec<String>,
    /// Tasks that the new version has restored from what the old one stored on disk.
    pub from_old: usize,
    /// Tasks that the old version has restored from what the new one stored on disk.
    pub from_new: usize,
    /// What the soak reports.
    pub report: Report,
}

/// Runs `old` beside the program of the options, and checks everything.
pub fn mixed(options: &Options, old: &Program, rig: &Rig) -> Result<Mixture> {
    let service = SessionService::start(Behaviour {
        latency: Duration::from_millis(1),
        errors: 0.02,
    })?;
    let traffic = options.traffic();
    let pipeline = Pipeline::new(rig, &options.pelton, &service.url())?.beside(old);
    let mut outputs = Outputs::of(rig, &pipeline.output)?;
    let mut seen = Mixture::default();
    let mut instances = pipeline.two()?;
    let begun = Instant::now();
    let (made, due) = std::thread::scope(|scope| {
        let due = scope.spawn(|| check::count(&traffic));
        let feed = Feed::start(scope, &pipeline, traffic.clone(), COURSE);
        let mut course = Course {
            pipeline: &pipeline,
            say: options.say,
            swapping: Swapping::new(&pipeline, options.seed)?,
            feed,
            begun,
            seen: &mut seen,
        };
        let ran = course.run(&mut instances, old, &options.pelton);
        let made = course.feed.end();
        ran?;
        anyhow::Ok((made?, due.join().expect("no panic")))
    })?;
    outputs.until(due, || instances.iter_mut().try_for_each(|instance| instance.lives()))?;
    let report = &mut seen.report;
    report.wall = begun.elapsed();
    report.made = made;
    for instance in instances {
        instance.stop()?;
    }
    replay::check(&pipeline, &traffic, report)?;
    let (from_old, from_new) = (seen.from_old, seen.from_new);
    ensure!(
        from_old > 0 && from_new > 0,
        "each version must go on from the local store of the other, and restored {from_old} tasks of the old one's store, and \
         {from_new} of the new one's"
    );
    Ok(seen)
}

/// What happens to the instances while the stream runs.
struct Course<'s, 'p> {
    pipeline: &'p Pipeline<'p>,
    say: fn(&str),
    swapping: Swapping<'p>,
    feed: Feed<'s>,
    begun: Instant,
    seen: &'s mut Mixture,
}

impl<'p> Course<'_, 'p> {
    fn run(&mut self, instances: &mut [Instance<'p>; 2], old: &'p Program, new: &'p Program) -> Result<()> {
        self.share(instances, "they share the tasks")?;
        self.old_deploys(old)?;
        for (victim, name) in [(0, "old"), (1, "new")] {
            self.feed.more();
            instances[victim].kill();
            self.seen.report.kills += 1;
            self.owned(
                instances,
                &format!("the {name} one is killed; the other has its tasks"),
                |owners| owners.iter().all(|owner| *owner == Some(1 - victim)),
            )?;
            self.swap(instances, None)?;
            instances[victim].again()?;
            self.share(instances, &format!("the {name} one is back"))?;
        }
        for (victim, name) in [(0, "old"), (1, "new")] {
            self.swap(instances, Some(victim))?;
            self.share(instances, &format!("the {name} one was killed in the middle of a swap"))?;
        }
        self.kill_in_commit(instances, "new")?;
        // `in_a_commit` kills the second one.
        instances.swap(0, 1);
        self.kill_in_commit(instances, "old")?;
        instances.swap(0, 1);
        // Several times, because a rebalance may give it tasks that its store has not.
        for _ in 0..RESTORES {
            self.seen.from_old += self.replace(instances, (0, new), "the old one is replaced by the new version")?;
            self.replace(instances, (0, old), "and is the old version again")?;
            self.seen.from_new += self.replace(instances, (1, old), "the new one is replaced by the old version")?;
            self.replace(instances, (1, new), "and is the new version again")?;
            if self.seen.from_old > 0 && self.seen.from_new > 0 {
                break;
            }
        }
        self.replace(instances, (0, new), "the old version is gone")?;
        Ok(())
    }

    /// Puts a program in the place of another one, on the local store that this one has filled. Returns how many tasks
    /// it restores from there.
    fn replace(
        &mut self,
        instances: &mut [Instance<'p>; 2],
        (which, program): (usize, &'p Program),
        what: &str,
    ) -> Result<usize> {
        while !instances[which].has_stored()? {
            ensure!(
                !self.feed.is_through(),
                "{} has not stored anything, and there is no traffic left: take more money events",
                instances[which].name()
            );
            self.feed.more();
        }
        instances[which].replace(program)?;
        self.share(instances, what)?;
        let stored = instances[which].stored()?;
        self.note(format!("         it restored {stored} tasks from its local store"));
        Ok(stored)
    }

    fn note(&mut self, line: String) {
        (self.say)(&line);
        self.seen.course.push(line);
    }

    /// Waits until both have tasks, then lets the rules be swapped.
    fn share(&mut self, instances: &mut [Instance<'p>; 2], what: &str) -> Result<()> {
        let both = [Some(0), Some(1)];
        self.owned(instances, what, |owners| {
            owners.iter().all(Option::is_some) && both.iter().all(|owner| owners.contains(owner))
        })?;
        self.swap(instances, None)
    }

    /// Waits until the tasks are owned like this; says so.
    fn owned(
        &mut self,
        instances: &mut [Instance<'p>; 2],
        what: &str,
        so: impl Fn(&[Option<usize>]) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            instances.iter_mut().try_for_each(|instance| instance.lives())?;
            let owners = owners(instances)?;
            if so(&owners) {
                let names = owners.iter().flatten().map(|owner| instances[*owner].name());
                let names: String = names.collect();
                self.note(format!(
                    "{:5.1} s: {what}; tasks of {names}",
                    self.begun.elapsed().as_secs_f64()
                ));
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{what}: not in {PATIENCE:?}, but {owners:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One swap that is committed; `victim` is killed while it is not decided.
    fn swap(&mut self, instances: &mut [Instance<'p>; 2], victim: Option<usize>) -> Result<()> {
        /// Some are refused, because the stream is faster.
        const TRIES: usize = 12;
        let report = &mut self.seen.report;
        for _ in 0..TRIES {
            ensure!(
                self.begun.elapsed() < LIMIT,
                "it is not through in {LIMIT:?}: {:#?}",
                self.seen.course
            );
            let (committed, killed) = (report.committed(), report.killed_in_swaps);
            let done = match victim {
                Some(victim) => {
                    let victim = Some(&mut instances[victim]);
                    self.swapping.swap(&mut self.feed, victim, report)?;
                    report.killed_in_swaps > killed
                }
                None => {
                    self.swapping.swap(&mut self.feed, None, report)?;
                    report.committed() > committed
                }
            };
            if done {
                return instances.iter_mut().try_for_each(|instance| instance.lives());
            }
        }
        bail!("no swap is committed in {TRIES} tries: {:#?}", report.refused)
    }

    /// The old version's command line deploys, too.
    fn old_deploys(&mut self, old: &Program) -> Result<()> {
        self.feed.more();
        let mut command = Command::new(&old.path);
        command.args(&old.words).args(["rules", "set", "label=old-"]);
        command.arg("--config").arg(self.pipeline.file()).stdin(Stdio::null());
        let done = command.output().context("the old version's command line")?;
        let output = [done.stdout, done.stderr].concat();
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&output));
        for what in ["now", "settings"] {
            *self.seen.report.swaps.entry(what).or_default() += 1;
        }
        self.note("         the old version's command line has deployed".into());
        Ok(())
    }

    fn kill_in_commit(&mut self, instances: &mut [Instance<'p>; 2], name: &str) -> Result<()> {
        let report = &mut self.seen.report;
        report.kills += killing::in_a_commit(self.pipeline, instances, &mut self.feed, &mut self.swapping.random)?;
        report.killed_in_commits += 1;
        self.share(
            instances,
            &format!("the {name} one was killed in the middle of a commit"),
        )
    }
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.course.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "{}", self.report)
    }
}
