//! The random programs, and the state that they work on.

use pelton_sdk::{Outcome, Reject};
use std::fmt::Write;

/// A program, whose instructions have four bytes.
pub type Program = [u8];
pub type Name<'n> = (&'n str, u8);

pub const MAP: usize = 0;
pub const VALUE: usize = 1;
pub const SET: usize = 2;
pub const TTL: i64 = 7;
pub const TEXTS: [&str; 5] = ["", "a", "a\0", "ab", "f"];

/// The state, as a program sees it.
pub trait World {
    fn get(&mut self, store: usize, name: Name) -> Option<i64>;
    fn put(&mut self, store: usize, name: Name, value: i64, ttl: Option<i64>);
    fn delete(&mut self, store: usize, name: Name);
    fn clear(&mut self, head: Option<&str>);
    /// Visits the next entries. If `drain`, removes them. `each` may change other entries.
    fn walk(&mut self, head: Option<&str>, drain: bool, limit: usize, each: &mut dyn FnMut(&mut Self, String, u8, i64));
    fn has(&mut self, store: usize, name: Name) -> bool {
        self.get(store, name).is_some()
    }
    /// Does what only the real rules can do. Returns whether the program goes on.
    fn act(&mut self, _: [u8; 4], _: &Program) -> bool {
        true
    }
}

/// Runs a program, and writes down everything that it reads.
pub fn run(world: &mut impl World, program: &Program, log: &mut String) -> Outcome {
    for (at, &[op, a, b, c]) in program.as_chunks::<4>().0.iter().enumerate() {
        let name = (TEXTS[a as usize % 5], b % 3);
        let head = (a % 4 > 0).then_some(name.0);
        let ttl = (c % 2 == 0).then_some(i64::from(c % 16));
        let value = i64::from(c) * 1000 + i64::from(b);
        match op % 24 {
            0 | 1 => world.put(MAP, name, value, ttl),
            2 => write!(log, "get {:?};", world.get(MAP, name))?,
            3 => write!(log, "has {:?};", world.has(MAP, name))?,
            4 => world.delete(MAP, name),
            5 => {
                let taken = world.get(MAP, name);
                if taken.is_some() {
                    world.delete(MAP, name);
                }
                write!(log, "take {taken:?};")?;
            }
            6 => world.put(VALUE, ("", 0), value, ttl),
            7 => write!(log, "value {:?};", world.get(VALUE, ("", 0)))?,
            8 => world.delete(VALUE, ("", 0)),
            9 | 10 => {
                let known = world.has(SET, (name.0, 0));
                if op % 24 == 9 || !known {
                    world.put(SET, (name.0, 0), 0, Some(TTL));
                }
                write!(log, "known {known};")?;
            }
            11 => world.delete(SET, (name.0, 0)),
            12 => world.clear(head),
            13..=15 => {
                let (drain, limit) = (op % 24 == 15, if c % 3 == 0 { c as usize % 8 } else { usize::MAX });
                let mut walked = String::new();
                world.walk(head, drain, limit, &mut |world, text, number, value| {
                    write!(walked, "{text:?} {number} {value}, ").expect("a string takes everything");
                    match (b % 5, number % 4) {
                        (1, 0) if number < 250 => world.put(MAP, (&text, number + 1), 1, ttl),
                        (1, _) | (2, 0) => world.delete(MAP, (&text, number.wrapping_add(b))),
                        (2, _) => world.put(MAP, (&text, number.wrapping_sub(1)), 2, None),
                        (3, _) if number == 5 => world.clear(Some(&text)),
                        _ => {}
                    }
                });
                write!(log, "walk {walked};")?;
            }
            16 => (0..150).for_each(|number| world.put(MAP, ("f", number), value, ttl)),
            17 => (0..150)
                .step_by(1 + b as usize % 4)
                .for_each(|number| world.delete(MAP, ("f", number))),
            18 if c % 4 == 0 => return Err(Reject::new(format_args!("rejected after {log}"))),
            _ => {
                if !world.act([op, a, b, c], &program[at * 4 + 4..]) {
                    break;
                }
            }
        }
    }
    Ok(())
}
