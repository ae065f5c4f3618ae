//! Sessions: money gets its session at once, later, or from the session service.

use crate::schema::{MoneyEnriched, SessionInfo, SessionRequest, UserSessionEvent};
use crate::{Due, Enrich};
use pelton_sdk::{Ctx, NoAnswer, Place, Reads};

impl Enrich {
    pub(crate) fn session_reads(&self, event: &UserSessionEvent, want: &mut Reads) {
        if let UserSessionEvent::Created(session) = event {
            self.pending.want_scan(want, session.id);
        }
    }

    /// Sends the money at once if its session is known. Otherwise the money waits.
    pub(crate) fn join<'a>(&self, ctx: &mut Ctx<'a>, session: &'a str, place: Place, mut money: MoneyEnriched<'a>) {
        money.session_info = self.sessions.get(ctx, session);
        if money.session_info.is_some() {
            return self.send(ctx, &money);
        }
        self.waited.add(ctx, 1);
        self.pending.put(ctx, (session, place), &money);
        ctx.set_timer_in(self.pending_ttl, Due::SessionMissing(session, place));
    }

    /// Opens a session and sends the money that waits for it.
    pub(crate) fn on_session<'a>(&self, ctx: &mut Ctx<'a>, event: UserSessionEvent<'a>) {
        let UserSessionEvent::Created(created) = event else {
            return self.ignored.add(ctx, 1);
        };
        self.opened.add(ctx, 1);
        let info = SessionInfo {
            client_country_code: created.client_country_code,
        };
        self.sessions.put(ctx, created.id, &info);
        for ((session, place), mut money) in self.pending.drain(ctx, created.id) {
            ctx.cancel(Due::SessionMissing(session, place));
            money.session_info = Some(info);
            self.send(ctx, &money);
        }
    }

    /// Asks the service, because the session has not come within `pending_ttl`.
    pub(crate) fn on_session_missing<'a>(&self, ctx: &mut Ctx<'a>, session: &'a str, place: Place) {
        if let Some(money) = self.pending.take(ctx, (session, place)) {
            self.ask(ctx, session, place, &money);
        }
    }

    /// Asks the service. This money waits for the answer, but nothing else does.
    pub(crate) fn ask(&self, ctx: &mut Ctx, session: &str, place: Place, money: &MoneyEnriched) {
        self.asks.add(ctx, 1);
        self.asked.put(ctx, place, money);
        self.service.ask(
            ctx,
            place,
            &SessionRequest {
                user_session_id: session,
            },
        );
    }

    /// Sends the money with the service's answer, or without one.
    pub(crate) fn on_session_reply<'a>(
        &self,
        ctx: &mut Ctx<'a>,
        place: Place,
        answer: Result<SessionInfo<'a>, NoAnswer>,
    ) {
        let Some(mut money) = self.asked.take(ctx, place) else {
            return;
        };
        if matches!(answer, Err(NoAnswer::Unavailable | NoAnswer::Unreadable)) {
            self.unanswered.add(ctx, 1);
        }
        money.session_info = answer.ok();
        self.send(ctx, &money);
    }
}
