//! What is deployed in a run, and when: versions, versions that trap, and shadows.

use super::dice::Dice;
use super::traffic::START;
use super::versions::{DEPLOYED, FRAGILE};
use crate::auditor::Millis;
use std::ops::Range;

/// How long an author waits before it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dawdle {
    /// For this many turns.
    Turns(usize),
    /// Until the open deploy is decided, so that the author comes too late.
    UntilDecided,
}

/// One deploy.
#[derive(Clone, Debug)]
pub struct Act {
    /// When it begins, in milliseconds since the start.
    pub at: Millis,
    /// What is deployed.
    pub which: Which,
    /// The time from which it applies. `None` means now.
    pub from: Option<Millis>,
    /// The wait between reading and writing.
    pub dawdles: Dawdle,
    /// The author dies in the call after this number of calls. The flag says whether that call is still made.
    pub dies: Option<(usize, bool)>,
    /// An instance that the version does not fit while the deploy is under way.
    pub refused_by: Option<usize>,
}

/// What an author deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A version.
    Version(usize),
    /// The component that runs, with one of the other settings.
    Settings(usize),
    /// The previous version.
    Back,
    /// Nothing: the deploy under way is cancelled.
    Cancel,
    /// Nothing: rules run as a shadow.
    Shadow {
        /// The version. `None` means the live one.
        version: Option<usize>,
        /// How long it runs, in event time.
        duration: Millis,
    },
    /// The version of the shadow.
    Promote,
    /// Nothing: the shadow is ended.
    EndShadow,
}

/// Deploys within this many milliseconds, at times that are multiples of `grain` like those of the events.
pub fn deploys(dice: &mut Dice, span: Millis, grain: Millis) -> Vec<Act> {
    let mut acts = vec![];
    for _ in 0..dice.pick(&[1, 1, 2, 2, 3, 5]) {
        let at = dice.between(0..=span);
        let act = Act {
            at,
            which: match dice.below(6) {
                0 => Which::Back,
                1 => Which::Settings(dice.below(16)),
                _ => Which::Version(any(dice, DEPLOYED)),
            },
            from: dice.chance(0.6).then(|| {
                let from = START + at + dice.between(-3_000..=span / 2);
                from.div_euclid(grain) * grain
            }),
            dawdles: Dawdle::Turns(dice.pick(&[0, 0, 5, 30])),
            dies: dice.chance(0.2).then(|| (dice.below(12), dice.chance(0.5))),
            refused_by: dice.chance(0.1).then(|| dice.below(3)),
        };
        if dice.chance(0.2) {
            // Another author at the same time.
            let other = any(dice, DEPLOYED);
            acts.push(Act {
                which: Which::Version(other),
                refused_by: None,
                ..act.clone()
            });
        }
        if dice.chance(0.3) {
            acts.push(Act {
                at: at + dice.between(0..=3_000),
                which: Which::Cancel,
                from: None,
                dawdles: dice.pick(&[Dawdle::Turns(0), Dawdle::Turns(20), Dawdle::UntilDecided]),
                dies: None,
                refused_by: None,
            });
        }
        acts.push(act);
    }
    acts.sort_by_key(|act| act.at);
    acts
}

/// Deploys, most of which trap.
pub fn withdrawals(dice: &mut Dice, span: Millis, grain: Millis) -> Vec<Act> {
    let mut acts = deploys(dice, span / 2, grain);
    for (place, act) in acts.iter_mut().enumerate() {
        if matches!(act.which, Which::Version(_)) && (place == 0 || dice.chance(0.6)) {
            act.which = Which::Version(any(dice, FRAGILE));
        }
    }
    acts
}

/// Shadows, and in some runs deploys between them. Half of the shadows run the live rules, so nothing may differ.
pub fn shadows(dice: &mut Dice, span: Millis, grain: Millis) -> Vec<Act> {
    let mut acts = match dice.chance(0.4) {
        true => deploys(dice, span, grain),
        false => vec![],
    };
    for _ in 0..dice.pick(&[1, 2, 2, 4]) {
        let begins = dice.between(0..=span / 2);
        let version = match dice.below(6) {
            0..=2 => None,
            3 => Some(any(dice, FRAGILE)),
            _ => Some(any(dice, DEPLOYED)),
        };
        let duration = dice.pick(&[500, 5_000, 600_000, 600_000]);
        acts.push(act(dice, begins, Which::Shadow { version, duration }));
        let ends = begins + dice.between(0..=span / 2);
        match dice.below(4) {
            0 => acts.push(act(dice, ends, Which::Promote)),
            1 => acts.push(act(dice, ends, Which::EndShadow)),
            _ => {}
        }
    }
    acts.sort_by_key(|act| act.at);
    acts
}

/// An act without a time from which it applies.
fn act(dice: &mut Dice, at: Millis, which: Which) -> Act {
    Act {
        at,
        which,
        from: None,
        dawdles: Dawdle::Turns(dice.pick(&[0, 0, 5, 30])),
        dies: dice.chance(0.1).then(|| (dice.below(12), dice.chance(0.5))),
        refused_by: dice.chance(0.1).then(|| dice.below(3)),
    }
}

fn any(dice: &mut Dice, versions: Range<usize>) -> usize {
    versions.start + dice.below(versions.len())
}
