//! For every money event one enriched event: the money, the user, the session, and whether it is the first of its kind.

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
    /// Money with the same id is a duplicate for so long after it was last seen.
    #[setting(default = "1m")]
    dedup_ttl: Duration,
    /// How long a session is known after its creation.
    #[setting(default = "1d")]
    session_ttl: Duration,
    /// How long money waits for its session before the session service is asked.
    #[setting(default = "1h")]
    pending_ttl: Duration,
    /// Stands in front of each money type that is written: outputs show which settings made them.
    #[setting(default = "")]
    label: String,
}

/// The input streams, in the order of the pipeline's file: at the same time, a session and a user come before the money.
#[derive(Event)]
pub enum Event<'a> {
    Session(UserSessionEvent<'a>),
    User(UserEvent<'a>),
    Wallet(WalletEvent<'a>),
}

/// The timers.
#[derive(Due)]
pub enum Due<'a> {
    /// The session has not come in time for the money that came here.
    SessionMissing(&'a str, Place),
}

/// The lookups.
#[derive(Reply)]
pub enum Reply<'a> {
    /// The session of the money that came here.
    Session(Place, Result<SessionInfo<'a>, NoAnswer>),
}

/// State of a user, outputs and lookups.
pub struct Enrich {
    pending_ttl: Duration,
    label: String,
    /// Ids of the money seen lately.
    seen: Set<Text>,
    /// Money types seen ever.
    types: Set<Text>,
    user: Value<UserInfo<'static>>,
    sessions: Map<Text, SessionInfo<'static>>,
    /// Money that waits for its session, in the order it came.
    pending: Map<(Text, Place), MoneyEnriched<'static>>,
    /// Money whose session the service was asked for.
    asked: Map<Place, MoneyEnriched<'static>>,
    service: Lookup<Place, SessionRequest<'static>>,
    enriched: Output<MoneyEnriched<'static>>,
    /// Money that was seen lately.
    duplicates: Counter,
    /// Events that these rules have no use for.
    ignored: Counter,
    /// Sessions opened.
    opened: Counter,
    /// Changes of users.
    changed: Counter,
    /// Money that had to wait for its session.
    waited: Counter,
    /// Questions to the session service.
    asks: Counter,
    /// Questions that it gave no answer to.
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
