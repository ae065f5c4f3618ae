//! Money: removes duplicates, finds first occurrences, adds the user.

use crate::Enrich;
use crate::schema::{Money, MoneyEnriched, WalletEvent};
use pelton_sdk::{Ctx, Place, Reads};

impl Enrich {
    pub(crate) fn money_reads(&self, event: &WalletEvent, want: &mut Reads) {
        let Some(money) = Money::of(event) else { return };
        self.seen.want(want, money.id);
        self.types.want(want, money.money_type);
        self.user.want(want);
        if let Some(session) = money.user_session_id {
            self.sessions.want(want, session);
        }
    }

    pub(crate) fn on_wallet<'a>(&self, ctx: &mut Ctx<'a>, event: WalletEvent<'a>, late: bool, place: Place) {
        let Some(money) = Money::of(&event) else {
            return self.ignored.add(ctx, 1);
        };
        #[cfg(feature = "fragile")]
        assert_ne!(money.money_type, "win", "so much money");
        if self.seen.touch(ctx, money.id) {
            return self.duplicates.add(ctx, 1);
        }
        let enriched = MoneyEnriched {
            money,
            user_info: self.user.get(ctx),
            session_info: None,
            first_occurrence: self.types.insert(ctx, money.money_type),
        };
        match money.user_session_id {
            None => self.send(ctx, &enriched),
            Some(session) if late || money.is_old_money_event => self.ask(ctx, session, place, &enriched),
            Some(session) => self.join(ctx, session, place, enriched),
        }
    }

    /// Sends the event, with the label.
    pub(crate) fn send(&self, ctx: &mut Ctx, enriched: &MoneyEnriched) {
        #[cfg(feature = "resident")]
        let enriched = &enriched.at_home();
        if self.label.is_empty() {
            return self.enriched.send(ctx, enriched);
        }
        let labelled = format!("{}{}", self.label, enriched.money.money_type);
        let mut enriched = *enriched;
        enriched.money.money_type = &labelled;
        self.enriched.send(ctx, &enriched);
    }
}

#[cfg(feature = "resident")]
impl<'a> MoneyEnriched<'a> {
    /// If the session is unknown, uses the country where the user lives.
    fn at_home(&self) -> MoneyEnriched<'a> {
        let country = self.user_info.and_then(|user| user.resident_country_code);
        let home = country.map(|client_country_code| crate::schema::SessionInfo { client_country_code });
        MoneyEnriched {
            session_info: self.session_info.or(home),
            ..*self
        }
    }
}

impl<'a> Money<'a> {
    fn of(event: &WalletEvent<'a>) -> Option<Money<'a>> {
        macro_rules! money {
            ($e:ident) => {
                Money {
                    id: $e.id,
                    user_id: $e.user_id,
                    user_session_id: $e.user_session_id,
                    processed_at: $e.processed_at,
                    amount: $e.amount,
                    currency: $e.currency,
                    closing_balance: $e.closing_balance,
                    money_type: $e.money_type,
                    is_old_money_event: $e.is_old_money_event,
                }
            };
        }
        match event {
            WalletEvent::Payment(e) => Some(money!(e)),
            WalletEvent::Transaction(e) => Some(money!(e)),
            WalletEvent::KindOfWallet(_) => None,
        }
    }
}
