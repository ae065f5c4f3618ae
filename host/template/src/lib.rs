//! Sends an alert when a user makes more than `at_most` payments within `window`; one alert a window.

mod schema {
    pelton_sdk::include_schemas!();
}

use pelton_sdk::*;
use schema::{Alert, WalletEvent};
use std::time::Duration;

pelton_sdk::rules!(Alerts);

#[derive(Settings)]
pub struct Settings {
    /// Number of payments in a window that are fine.
    #[setting(default = 3)]
    at_most: i64,
    /// Length of the window, in event time from its first payment on.
    #[setting(default = "10s")]
    window: Duration,
}

/// One variant for each input of pelton.toml.
#[derive(Event)]
pub enum Event<'a> {
    Wallet(WalletEvent<'a>),
}

/// One variant for each kind of timer.
#[derive(Due)]
pub enum Due {
    WindowEnds,
}

/// State belongs to the key of the record, which is the user here.
pub struct Alerts {
    settings: Settings,
    /// Payments in the open window. Empty if no window is open.
    payments: Value<i64>,
    alerts: Output<Alert<'static>>,
    /// Events that are not payments.
    ignored: Counter,
}

impl Rules for Alerts {
    type Settings = Settings;
    type Event<'a> = Event<'a>;
    type Due<'a> = Due;
    type Reply<'a> = Never;

    fn new(settings: Settings, declare: &mut Declare) -> Self {
        Alerts {
            payments: declare.value("payments"),
            alerts: declare.output("alerts"),
            ignored: declare.counter("ignored"),
            settings,
        }
    }

    /// What a step will read, so that one call reads it for the whole batch.
    fn reads(&self, _: &Step<Self>, want: &mut Reads) {
        self.payments.want(want);
    }

    fn on_event<'a>(&self, ctx: &mut Ctx<'a>, record: Record<Event<'a>>) -> Outcome {
        let Event::Wallet(WalletEvent::Payment(payment)) = record.event else {
            self.ignored.add(ctx, 1);
            return Ok(());
        };
        let payments = self.payments.get(ctx).unwrap_or(0) + 1;
        self.payments.put(ctx, &payments);
        if payments == 1 {
            ctx.set_timer_in(self.settings.window, Due::WindowEnds);
        }
        if payments == self.settings.at_most + 1 {
            let alert = Alert {
                user_id: payment.user_id,
                payments,
                last_payment_id: payment.id,
            };
            self.alerts.send(ctx, &alert);
        }
        Ok(())
    }

    fn on_timer<'a>(&self, ctx: &mut Ctx<'a>, Due::WindowEnds: Due) -> Outcome {
        self.payments.delete(ctx);
        Ok(())
    }
}
