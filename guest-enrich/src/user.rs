//! Users: each change sets one field and keeps the other.

use crate::Enrich;
use crate::schema::{UserEvent, UserInfo};
use pelton_sdk::Ctx;

impl Enrich {
    pub(crate) fn on_user<'a>(&self, ctx: &mut Ctx<'a>, event: UserEvent<'a>) {
        let known = self.user.get(ctx).unwrap_or_default();
        let changed = match event {
            UserEvent::ChangeBirthDate(e) => UserInfo {
                birth_year: Some(e.birth_year),
                ..known
            },
            UserEvent::ChangeAddress(e) => UserInfo {
                resident_country_code: Some(e.resident_country_code),
                ..known
            },
            UserEvent::OtherUser(_) => return self.ignored.add(ctx, 1),
        };
        #[cfg(feature = "counted")]
        let changed = UserInfo {
            changes: known.changes + 1,
            ..changed
        };
        self.changed.add(ctx, 1);
        self.user.put(ctx, &changed);
    }
}
