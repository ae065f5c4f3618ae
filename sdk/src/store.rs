//! Stores: typed state of the current key, as a value, a map or a set.

use crate::avro::{Datum, decode_all};
use crate::ctx::{Ctx, Reads, millis, whole};
use crate::entry::{BadParts, Entry, Part, Parts};
use crate::overlay::PAGE;
use crate::walk::Walk;
use std::marker::PhantomData;
use std::time::Duration;

/// One value for each key.
pub struct Value<T> {
    at: At,
    of: PhantomData<fn() -> T>,
}

/// Entries with values for each key, sorted by entry.
pub struct Map<E, T> {
    at: At,
    of: PhantomData<fn() -> (E, T)>,
}

/// Entries without values for each key.
pub struct Set<E> {
    at: At,
    of: PhantomData<fn() -> E>,
}

/// The store, and how long values stay in it.
#[derive(Clone, Copy)]
struct At {
    store: u16,
    ttl: Option<i64>,
}

macro_rules! ttl {
    ($store:ident $(, $parameter:ident)*) => {
        impl<$($parameter),*> $store<$($parameter),*> {
            pub(crate) fn new(store: u16) -> Self {
                $store { at: At { store, ttl: None }, of: PhantomData }
            }

            /// Lets values expire this long after the time of the step that writes them. Without it, they stay for
            /// ever.
            pub fn ttl(mut self, ttl: Duration) -> Self {
                self.at.ttl = Some(millis(ttl));
                self
            }
        }
    };
}
ttl!(Value, T);
ttl!(Map, E, T);
ttl!(Set, E);

impl<T: Datum> Value<T> {
    /// The value, if there is one.
    #[inline]
    pub fn get<'a>(&self, ctx: &Ctx<'a>) -> Option<T::Of<'a>> {
        let value = ctx.shared.get(self.at.store, |_| ())?;
        ctx.shared.read(self.at.store, decode_all::<T>(value))
    }

    /// Writes the value.
    #[inline]
    pub fn put(&self, ctx: &mut Ctx, value: &T::Of<'_>) {
        ctx.shared
            .put(self.at.store, self.at.ttl, |_| (), |out| T::encode(value, out));
    }

    /// Writes the value with a TTL of its own.
    pub fn put_for(&self, ctx: &mut Ctx, value: &T::Of<'_>, ttl: Duration) {
        ctx.shared
            .put(self.at.store, Some(millis(ttl)), |_| (), |out| T::encode(value, out));
    }

    /// Removes the value.
    pub fn delete(&self, ctx: &mut Ctx) {
        ctx.shared.delete(self.at.store, |_| ());
    }

    /// Reads and removes the value.
    pub fn take<'a>(&self, ctx: &mut Ctx<'a>) -> Option<T::Of<'a>> {
        let value = self.get(ctx)?;
        self.delete(ctx);
        Some(value)
    }

    /// Announces that this step will read the value.
    #[inline]
    pub fn want(&self, reads: &mut Reads) {
        reads.shared.work.borrow_mut().prefetch(self.at.store.into(), |_| ());
    }
}

impl<E: Entry, T: Datum> Map<E, T> {
    /// Whether the entry exists.
    #[inline]
    pub fn has(&self, ctx: &Ctx, entry: E::Of<'_>) -> bool {
        ctx.shared.has(self.at.store, whole(entry))
    }

    /// The value of the entry, if it exists.
    #[inline]
    pub fn get<'a>(&self, ctx: &Ctx<'a>, entry: E::Of<'_>) -> Option<T::Of<'a>> {
        let value = ctx.shared.get(self.at.store, whole(entry))?;
        ctx.shared.read(self.at.store, decode_all::<T>(value))
    }

    /// Writes an entry.
    #[inline]
    pub fn put(&self, ctx: &mut Ctx, entry: E::Of<'_>, value: &T::Of<'_>) {
        ctx.shared
            .put(self.at.store, self.at.ttl, whole(entry), |out| T::encode(value, out));
    }

    /// Writes an entry with a TTL of its own.
    pub fn put_for(&self, ctx: &mut Ctx, entry: E::Of<'_>, value: &T::Of<'_>, ttl: Duration) {
        ctx.shared.put(self.at.store, Some(millis(ttl)), whole(entry), |out| {
            T::encode(value, out)
        });
    }

    /// Removes an entry.
    pub fn delete(&self, ctx: &mut Ctx, entry: E::Of<'_>) {
        ctx.shared.delete(self.at.store, whole(entry));
    }

    /// Reads and removes an entry.
    pub fn take<'a>(&self, ctx: &mut Ctx<'a>, entry: E::Of<'_>) -> Option<T::Of<'a>> {
        let value = self.get(ctx, entry)?;
        self.delete(ctx, entry);
        Some(value)
    }

    /// The entries that begin with `head`, sorted. An entry that is put during the scan comes too, if it is after the
    /// current one.
    pub fn scan<'a>(&self, ctx: &Ctx<'a>, head: E::Head<'_>) -> Scan<'a, E, T> {
        self.walk(ctx, |out| E::put_head(head, out))
    }

    /// All entries, sorted.
    pub fn scan_all<'a>(&self, ctx: &Ctx<'a>) -> Scan<'a, E, T> {
        self.walk(ctx, |_| ())
    }

    /// The entries that begin with `head`, sorted. Each is removed when it comes. If the loop ends early, the others
    /// stay.
    pub fn drain<'a>(&self, ctx: &mut Ctx<'a>, head: E::Head<'_>) -> Drain<'a, E, T> {
        Drain(self.scan(ctx, head))
    }

    /// All entries, sorted. Each is removed when it comes.
    pub fn drain_all<'a>(&self, ctx: &mut Ctx<'a>) -> Drain<'a, E, T> {
        Drain(self.scan_all(ctx))
    }

    fn walk<'a>(&self, ctx: &Ctx<'a>, head: impl FnOnce(&mut Vec<u8>)) -> Scan<'a, E, T> {
        Scan {
            walk: Walk::new(ctx.shared, self.at.store, head),
            of: PhantomData,
        }
    }

    /// Removes the entries that begin with `head`, without reading them.
    pub fn clear(&self, ctx: &mut Ctx, head: E::Head<'_>) {
        let mut bytes = Vec::new();
        E::put_head(head, &mut bytes);
        ctx.shared.clear(self.at.store, |out| out.extend_from_slice(&bytes));
    }

    /// Removes all entries, without reading them.
    pub fn clear_all(&self, ctx: &mut Ctx) {
        ctx.shared.clear(self.at.store, |_| ());
    }

    /// Announces that this step will read the entry.
    #[inline]
    pub fn want(&self, reads: &mut Reads, entry: E::Of<'_>) {
        reads
            .shared
            .work
            .borrow_mut()
            .prefetch(self.at.store.into(), whole(entry));
    }

    /// Announces that this step will scan or drain the entries that begin with `head`.
    #[inline]
    pub fn want_scan(&self, reads: &mut Reads, head: E::Head<'_>) {
        let mut work = reads.shared.work.borrow_mut();
        work.prefetch(u32::from(self.at.store) | PAGE, |out| E::put_head(head, out));
    }
}

impl<E: Entry> Set<E> {
    /// Whether the entry exists.
    #[inline]
    pub fn has(&self, ctx: &Ctx, entry: E::Of<'_>) -> bool {
        ctx.shared.has(self.at.store, whole(entry))
    }

    /// Adds an entry unless it exists. Returns whether it was added.
    #[inline]
    pub fn insert(&self, ctx: &mut Ctx, entry: E::Of<'_>) -> bool {
        let new = !self.has(ctx, entry);
        if new {
            self.put(ctx, entry);
        }
        new
    }

    /// Adds an entry, or restarts its TTL if it exists. Returns whether it existed.
    #[inline]
    pub fn touch(&self, ctx: &mut Ctx, entry: E::Of<'_>) -> bool {
        let known = self.has(ctx, entry);
        self.put(ctx, entry);
        known
    }

    #[inline]
    fn put(&self, ctx: &mut Ctx, entry: E::Of<'_>) {
        ctx.shared.put(self.at.store, self.at.ttl, whole(entry), |_| ());
    }

    /// Removes an entry.
    pub fn delete(&self, ctx: &mut Ctx, entry: E::Of<'_>) {
        ctx.shared.delete(self.at.store, whole(entry));
    }

    /// Announces that this step will look for the entry.
    #[inline]
    pub fn want(&self, reads: &mut Reads, entry: E::Of<'_>) {
        reads
            .shared
            .work
            .borrow_mut()
            .prefetch(self.at.store.into(), whole(entry));
    }
}

/// Entries with values, sorted, from [`Map::scan`].
pub struct Scan<'a, E, T> {
    walk: Walk<'a>,
    of: PhantomData<fn() -> (E, T)>,
}

impl<'a, E: Entry, T: Datum> Iterator for Scan<'a, E, T> {
    type Item = (E::Of<'a>, T::Of<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, value) = self.walk.next()?;
        let (shared, store) = (self.walk.shared, self.walk.store);
        let mut parts = Parts::new(entry, shared.arena);
        let entry: Result<E::Of<'a>, BadParts> =
            E::Of::take(&mut parts, true).and_then(|entry| parts.end().map(|()| entry));
        Some((shared.read(store, entry)?, shared.read(store, decode_all::<T>(value))?))
    }
}

/// Entries with values, sorted, each removed when it comes, from [`Map::drain`].
pub struct Drain<'a, E, T>(Scan<'a, E, T>);

impl<'a, E: Entry, T: Datum> Iterator for Drain<'a, E, T> {
    type Item = (E::Of<'a>, T::Of<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.next()?;
        let walk = &self.0.walk;
        walk.shared.delete(walk.store, whole(item.0));
        Some(item)
    }
}
