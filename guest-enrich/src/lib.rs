//! Writes one enriched event for each money event: the money, the user, the session, and whether it is the first of its
//! type.

mod money;
mod schema;
mod session;
#[cfg(test)]
mod tests;
mod user;

use pelton_sdk::{Counter, Ctx, Declare, Due, Event, Lookup, Map, NoAnswer, Outcome, Output, Place, Reads, Record};
use pelton_sdk::{Reply, Rules, Set, Settings, Step, Text, Value};
use schema::{MoneyEnriched, SessionInfo, SessionRequest, UserEvent, UserInfo, UserSessionEvent, WalletEvent};
use std::time::Duration;

pelton_sdk::rules!(Enrich);

#[derive(Settings)]
pub struct Settings {
    /// Money with the same id is a duplicate until this long after the id was last seen.
    #[setting(default = "1m")]
    dedup_ttl: Duration,
    /// How long a session is known after its creation.
    #[setting(default = "1d")]
    session_ttl: Duration,
    /// How long money waits for its session before the session service is asked.
    #[setting(default = "1h")]
    pending_ttl: Duration,
    /// A prefix for every money type that is written. It shows in outputs which settings were used.
    #[setting(default = "")]
    label: String,
}

/// The input streams, in the order of the pipeline's file. At the same time, sessions and users come before money.
#[derive(Event)]
pub enum Event<'a> {
    Session(UserSessionEvent<'a>),
    User(UserEvent<'a>),
    Wallet(WalletEvent<'a>),
}

/// The kinds of timers.
#[derive(Due)]
pub enum Due<'a> {
    /// The session of the money at this place has not come in time.
    SessionMissing(&'a str, Place),
}

/// The kinds of lookups.
#[derive(Reply)]
pub enum Reply<'a> {
    /// The session of the money at this place.
    Session(Place, Result<SessionInfo<'a>, NoAnswer>),
}

/// The state of a user, the outputs and the lookups.
pub struct Enrich {
    pending_ttl: Duration,
    label: String,
    /// Ids of recent money.
    seen: Set<Text>,
    /// All money types that the user has ever had.
    types: Set<Text>,
    user: Value<UserInfo<'static>>,
    sessions: Map<Text, SessionInfo<'static>>,
    /// Money that waits for its session, in order of arrival.
    pending: Map<(Text, Place), MoneyEnriched<'static>>,
    /// Money that waits for the session service's answer.
    asked: Map<Place, MoneyEnriched<'static>>,
    service: Lookup<Place, SessionRequest<'static>>,
    enriched: Output<MoneyEnriched<'static>>,
    /// Money that was dropped because its id was seen recently.
    duplicates: Counter,
    /// Events that these rules don't use.
    ignored: Counter,
    /// Sessions that were opened.
    opened: Counter,
    /// Changes of users.
    changed: Counter,
    /// Money that had to wait for its session.
    waited: Counter,
    /// Questions to the session service.
    asks: Counter,
    /// Questions that the session service did not answer.
    unanswered: Counter,
}

impl Rules for Enrich {
    type Settings = Settings;
    type Event<'a> = Event<'a>;
    type Due<'a> = Due<'a>;
    type Reply<'a> = Reply<'a>;

    fn new(set: Settings, declare: &mut Declare) -> Self {
        Enrich {
            pending_ttl: set.pending_ttl,
            label: set.label,
            seen: declare.set("seen").ttl(set.dedup_ttl),
            types: declare.set("types"),
            user: declare.value("user"),
            sessions: declare.map("sessions").ttl(set.session_ttl),
            pending: declare.map("pending"),
            asked: declare.map("asked"),
            service: declare.lookup("session"),
            enriched: declare.output("enriched"),
            duplicates: declare.counter("duplicates"),
            ignored: declare.counter("ignored"),
            opened: declare.counter("sessions"),
            changed: declare.counter("user_changes"),
            waited: declare.counter("pending"),
            asks: declare.counter("asked"),
            unanswered: declare.counter("sessions_unanswered"),
        }
    }

    fn reads(&self, step: &Step<Self>, want: &mut Reads) {
        match step {
            Step::Event(Record {
                event: Event::Wallet(event),
                ..
            }) => self.money_reads(event, want),
            Step::Event(Record {
                event: Event::Session(event),
                ..
            }) => self.session_reads(event, want),
            Step::Event(Record {
                event: Event::User(_), ..
            }) => self.user.want(want),
            Step::Timer(Due::SessionMissing(session, place)) => self.pending.want(want, (session, *place)),
            Step::Reply(Reply::Session(place, _)) => self.asked.want(want, *place),
        }
    }

    fn on_event<'a>(&self, ctx: &mut Ctx<'a>, record: Record<Event<'a>>) -> Outcome {
        match record.event {
            Event::Wallet(event) => self.on_wallet(ctx, event, record.late, record.place),
            Event::Session(event) => self.on_session(ctx, event),
            Event::User(event) => self.on_user(ctx, event),
        }
        Ok(())
    }

    fn on_timer<'a>(&self, ctx: &mut Ctx<'a>, due: Due<'a>) -> Outcome {
        match due {
            Due::SessionMissing(session, place) => self.on_session_missing(ctx, session, place),
        }
        Ok(())
    }

    fn on_reply<'a>(&self, ctx: &mut Ctx<'a>, reply: Reply<'a>) -> Outcome {
        match reply {
            Reply::Session(place, answer) => self.on_session_reply(ctx, place, answer),
        }
        Ok(())
    }
}
