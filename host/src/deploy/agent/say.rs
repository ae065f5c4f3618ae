//! The records that an instance must write to the control topic now.
//!
//! Rule: they follow from what was read, and from the clock. So a record that was not written is tried again, and none
//! is written twice.

use super::{Carrier, back};
use crate::binding::Status;
use crate::clock::Now;
use crate::deploy::batch::Sheet;
use crate::deploy::compile::hash;
use crate::deploy::protocol::{Deploy, Order, Record, Report, Stage, nonce};
use crate::error::{Failure, Result};
use crate::record::Partition;
use crate::rules::Version;
use std::time::Duration;

/// How much later the instances without task 0 decide.
const OTHERS_AFTER: Duration = Duration::from_secs(2);

impl Carrier {
    /// The records that are due.
    pub(super) fn sheet(&mut self, now: Now, tasks: &[Status]) -> Sheet {
        let mut sheet = Sheet::default();
        if self.control.last() == 0 {
            self.first(now, &mut sheet);
            return sheet;
        }
        if let Some(order) = back::decision(&self.control, &self.parts.name.1, tasks) {
            self.order(now, &order, &mut sheet);
            return sheet;
        }
        let Some(open) = self.control.open() else {
            self.open = None;
            return sheet;
        };
        let (number, version) = (open.deploy.number, open.deploy.version);
        let due = self.control.due();
        let (_, since, due_since) = match self.open {
            Some(known) if known.0 == number => known,
            _ => (number, now.mono, None),
        };
        let due_since = due.as_ref().map(|_| due_since.unwrap_or(now.mono));
        self.open = Some((number, since, due_since));
        let mine: Vec<Partition> = tasks.iter().map(|task| task.partition).collect();
        let late = |since: Duration, limit: Duration| {
            let grace = if mine.contains(&0) {
                Duration::ZERO
            } else {
                OTHERS_AFTER
            };
            now.mono.saturating_sub(since) >= limit + grace
        };
        let order = if let Some(why) = self.failed.get(&version) {
            let why = format!("it does not fit instance '{}': {why}", self.parts.name.1);
            Some(Order::Cancel(why))
        } else if let (Some(Record::Order { order, .. }), Some(since)) = (due, due_since) {
            late(since, Duration::ZERO).then_some(order)
        } else if late(since, self.parts.limit) {
            Some(Order::Cancel(format!(
                "it was not decided within {:?}: the tasks {:?} have not answered; does an instance run for each?",
                self.parts.limit,
                self.control.missing()
            )))
        } else {
            None
        };
        if let Some(order) = order {
            self.order(now, &Record::Order { number, order }, &mut sheet);
            return sheet;
        }
        let stage = match (self.wirings.contains_key(&version), self.components.has(&version)) {
            (true, _) => Stage::Ready,
            (false, true) => Stage::Fetched,
            (false, false) => return sheet,
        };
        let report = Report { stage, tasks: mine };
        if open.reports.get(&self.parts.name.1) != Some(&report) {
            let instance = self.parts.name.1.clone();
            let record = Record::Report {
                number,
                instance,
                report,
            };
            // The key of this kind of record needs no nonce.
            sheet.record(&self.parts.layout, &record, &[0; 16], now.wall);
        }
        sheet
    }

    /// Adds a decision, with a unique key.
    fn order(&mut self, now: Now, order: &Record, sheet: &mut Sheet) {
        self.orders_made += 1;
        let own = nonce(&[
            self.parts.name.1.as_bytes(),
            &now.wall.to_be_bytes(),
            &self.orders_made.to_be_bytes(),
            &self.control.last().to_be_bytes(),
        ]);
        sheet.record(&self.parts.layout, order, &own, now.wall);
    }

    /// Once everything that was on the topic at the start has been read, looks whether the file's rules count. They do
    /// only if nothing was deployed.
    pub(super) fn look_at_file(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.looked, true) {
            return Ok(());
        }
        let file = self.parts.first.as_ref().map(|first| first.wiring.rules.version().0);
        match (self.control.newest(), file) {
            (None, None) => Err(Failure::Fatal(
                "nothing was deployed yet, and the rules that the file names don't fit: see `pelton check`".into(),
            )),
            (Some(newest), file) if file != Some(newest.deploy.version) => {
                tracing::warn!(
                    version = %Version(newest.deploy.version),
                    "running the rules that were deployed last; rules.file names only the first version"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the file's rules the first deploy.
    fn first(&self, now: Now, sheet: &mut Sheet) {
        let Some(first) = &self.parts.first else { return };
        let component = hash(&first.component);
        let instance = &self.parts.name.1;
        let deploy = Deploy {
            number: 1,
            nonce: nonce(&[instance.as_bytes(), &now.wall.to_be_bytes()]),
            version: first.wiring.rules.version().0,
            component,
            bytes: first.component.len() as u64,
            settings: first.settings.clone(),
            at: None,
            one_way: false,
            drop_timers: false,
            author: format!("the file of instance '{instance}'"),
            written: now.wall,
            declared: first.declared.clone(),
        };
        let layout = &self.parts.layout;
        sheet.component(layout, &component, &first.component, now.wall);
        sheet.record(layout, &Record::Deploy(deploy), &[0; 16], now.wall);
    }
}
