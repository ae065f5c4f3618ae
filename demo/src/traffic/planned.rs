//! A record that is planned and not encoded.

use super::parameters::Millis;

/// A record that is planned and not encoded. `user` is the number of the user, and `time` is the event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    pub user: u32,
    pub time: Millis,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Money(Money),
    Session(u64),
    UserChange(u64),
    Ignored(u8, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    pub number: u64,
    pub session: Option<u64>,
    pub old: bool,
    pub again: Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Again {
    No,
    Soon,
    Forgotten,
}
