//! A client of librdkafka: its settings, the state of its connections, and its end.
//!
//! Rule: a handle has one owner, which destroys it once. What librdkafka's callbacks use lives until then.

use super::deliveries::Deliveries;
use super::kafka_error::{KafkaError, text};
use crate::config::properties;
use crate::error::{Failure, Result};
use parking_lot::Mutex;
use rdkafka_sys::*;
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// What every client of a pipeline is made with.
pub(super) struct Settings {
    user: Vec<(String, String)>,
    /// As the user wrote them, for messages.
    pub brokers: String,
}

/// The kinds of clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    Consumer,
    Producer,
}

impl Settings {
    /// Checks the user's properties. [`Failure::Fatal`] names those that would break exactly-once.
    pub fn new(properties: &[(String, String)]) -> Result<Settings> {
        let refused = properties::refused(properties);
        if !refused.is_empty() {
            let lines: Vec<_> = refused.iter().map(|(key, why)| format!("{key}: {why}")).collect();
            return Err(Failure::Fatal(format!(
                "Kafka properties that can't be set (take them out): {}",
                lines.join("; ")
            )));
        }
        let brokers = (properties.iter())
            .find(|(key, _)| key == "bootstrap.servers" || key == "metadata.broker.list")
            .map(|(_, value)| value.clone())
            .ok_or_else(|| Failure::Fatal("Kafka properties: bootstrap.servers is missing".into()))?;
        Ok(Settings {
            user: properties.to_vec(),
            brokers,
        })
    }

    /// The user's number for a property, or else the default.
    pub fn number(&self, key: &str, default: u64) -> u64 {
        let given = self.user.iter().rev().find(|(name, _)| name == key);
        given
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(default)
    }

    /// Makes a client. The user can override `defaults`, but not `fixed`. `events` are RD_KAFKA_EVENT_ bits.
    pub fn client(
        &self,
        kind: ClientKind,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
        events: i32,
    ) -> Result<Client> {
        let conf = Conf::new();
        for (key, value) in defaults {
            conf.set(key, value)?;
        }
        for (key, value) in &self.user {
            conf.set(key.trim(), value.trim())?;
        }
        for (key, value) in fixed {
            conf.set(key, value)?;
        }
        conf.start(kind, events, self.brokers.clone())
    }
}

/// Settings of one client. `start` hands them over to it.
struct Conf(*mut rd_kafka_conf_t);

impl Conf {
    fn new() -> Conf {
        // SAFETY: has no preconditions.
        Conf(unsafe { rd_kafka_conf_new() })
    }

    fn set(&self, key: &str, value: &str) -> Result<()> {
        let mut why = [0 as c_char; 512];
        let (name, given) = (c_string(key)?, c_string(value)?);
        // SAFETY: the conf is live, the strings end with 0, the buffer has the length that is told.
        let result = unsafe { rd_kafka_conf_set(self.0, name.as_ptr(), given.as_ptr(), why.as_mut_ptr(), why.len()) };
        match result {
            rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            // SAFETY: librdkafka has written a text that ends with 0.
            _ => Err(Failure::Fatal(format!("Kafka property {key}: {}", unsafe {
                text(why.as_ptr())
            }))),
        }
    }

    fn start(self, kind: ClientKind, events: i32, brokers: String) -> Result<Client> {
        let callbacks = Box::new(Callbacks::default());
        let kind_of = match kind {
            ClientKind::Consumer => rd_kafka_type_t::RD_KAFKA_CONSUMER,
            ClientKind::Producer => rd_kafka_type_t::RD_KAFKA_PRODUCER,
        };
        let mut why = [0 as c_char; 512];
        // SAFETY: the conf is live; the callbacks' box keeps its address and outlives the handle (it is dropped behind
        // it, see `Client::drop`); rd_kafka_new owns the conf if it succeeds, and only then is it forgotten here.
        let raw = unsafe {
            rd_kafka_conf_set_opaque(self.0, &raw const *callbacks as *mut c_void);
            rd_kafka_conf_set_error_cb(self.0, Some(on_error));
            rd_kafka_conf_set_log_cb(self.0, Some(on_log));
            if kind == ClientKind::Producer {
                rd_kafka_conf_set_dr_msg_cb(self.0, Some(on_delivery));
            }
            rd_kafka_conf_set_events(self.0, events);
            rd_kafka_new(kind_of, self.0, why.as_mut_ptr(), why.len())
        };
        if raw.is_null() {
            // SAFETY: librdkafka has written a text that ends with 0.
            return Err(Failure::Fatal(format!("Kafka client: {}", unsafe {
                text(why.as_ptr())
            })));
        }
        std::mem::forget(self);
        Ok(Client {
            raw,
            callbacks,
            brokers,
        })
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: nobody else has it: `start` forgets the conf that it gave away.
        unsafe { rd_kafka_conf_destroy(self.0) }
    }
}

/// What librdkafka's callbacks use.
#[derive(Default)]
struct Callbacks {
    trouble: Mutex<ConnectionTrouble>,
    troubles: AtomicU64,
    /// Only for producers. Touched only by the thread that polls.
    deliveries: UnsafeCell<Deliveries>,
}

/// What has recently gone wrong with the connections.
#[derive(Default)]
struct ConnectionTrouble {
    /// The last error, in librdkafka's words.
    last: String,
    /// All brokers are away. Reported once.
    down: bool,
    /// The brokers don't accept us, or we don't accept them: the reason, and the settings to check. Reported once.
    refused: Option<(String, &'static str)>,
}

/// One handle of librdkafka, with its threads and connections.
pub(super) struct Client {
    pub raw: *mut rd_kafka_t,
    callbacks: Box<Callbacks>,
    pub brokers: String,
}

// SAFETY: librdkafka's handles are thread-safe. The deliveries, the only part of the callbacks that is not, are reached by
// `deliveries` alone, whose caller promises to be the thread that polls.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Serves the errors and delivery reports that have come so far.
    pub fn serve(&self) {
        // SAFETY: the handle is live.
        unsafe { rd_kafka_poll(self.raw, 0) };
    }

    /// Number of connection errors since the start. If it has not changed, there was none in between.
    pub fn troubles(&self) -> u64 {
        self.callbacks.troubles.load(Ordering::Relaxed)
    }

    /// Fails, once, if the brokers don't accept us or we don't accept them. Then it is no use to wait for an answer.
    pub fn refusal(&self) -> Result<()> {
        self.serve();
        let mut trouble = self.callbacks.trouble.lock();
        self.refused(&mut trouble)
    }

    fn refused(&self, trouble: &mut ConnectionTrouble) -> Result<()> {
        match trouble.refused.take() {
            None => Ok(()),
            Some((why, cure)) => Err(Failure::Fatal(format!(
                "no connection to Kafka at {}: {why}; check {cure} under [kafka]",
                self.brokers
            ))),
        }
    }

    /// Fails, once, if no broker answers or our credentials are refused.
    pub fn alarm(&self) -> Result<()> {
        let mut trouble = self.callbacks.trouble.lock();
        self.refused(&mut trouble)?;
        if std::mem::take(&mut trouble.down) {
            return Err(Failure::Retry(format!(
                "no Kafka broker of {} answers: {}",
                self.brokers, trouble.last
            )));
        }
        Ok(())
    }

    /// The failure that the caller gets for a failed call. `what` says what was tried.
    pub fn failure(&self, what: &str, fault: &KafkaError) -> Failure {
        self.serve();
        if let Err(failure @ Failure::Fatal(_)) = self.alarm() {
            return failure;
        }
        let mut message = format!("{what}: {}", fault.text);
        if fault.is_silence() {
            let trouble = self.callbacks.trouble.lock();
            message = format!("{message}; Kafka at {}", self.brokers);
            if !trouble.last.is_empty() {
                message = format!("{message}, last error: {}", trouble.last);
            }
        }
        fault.failure(message)
    }

    /// The delivery reports of the current transaction.
    ///
    /// # Safety
    /// Only the thread that polls this client may call it. It must not hold the reference while it polls; produce,
    /// flush, commit and abort poll too.
    #[expect(
        clippy::mut_from_ref,
        reason = "one thread, one reference at a time: the caller's promise"
    )]
    pub unsafe fn deliveries(&self) -> &mut Deliveries {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.callbacks.deliveries.get() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the only owner. Waits for the handle's threads, so no callback comes after it, and no message's memory is
        // read after it. A group member was closed before (see `group`); other consumers have nothing to close.
        unsafe { rd_kafka_destroy_flags(self.raw, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int) };
    }
}

/// A C string. Text with a zero byte is a [`Failure::Fatal`].
pub(super) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Failure::Fatal(format!("{text:?} has a zero byte in it")))
}

unsafe extern "C" fn on_error(_: *mut rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
    use rd_kafka_resp_err_t::*;
    // SAFETY: the opaque of `Conf::start`, which outlives the handle; the reason ends with 0.
    let (callbacks, reason) = unsafe { (&*(opaque as *const Callbacks), text(reason)) };
    callbacks.troubles.fetch_add(1, Ordering::Relaxed);
    let mut trouble = callbacks.trouble.lock();
    if code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as c_int {
        trouble.down = true;
        return;
    }
    if code == RD_KAFKA_RESP_ERR__AUTHENTICATION as c_int {
        let cure = "sasl.mechanism, sasl.username and sasl.password";
        trouble.refused = Some((reason.clone(), cure));
    }
    if code == RD_KAFKA_RESP_ERR__SSL as c_int && reason.contains("certificate verify failed") {
        let cure =
            "ssl.ca.location (who has signed the brokers' certificates) and bootstrap.servers (the names in them)";
        trouble.refused = Some((reason.clone(), cure));
    }
    trouble.last = reason;
}

unsafe extern "C" fn on_log(_: *const rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: both end with 0 and live during the call.
    let (facility, line) = unsafe { (CStr::from_ptr(facility), CStr::from_ptr(line)) };
    let (facility, line) = (facility.to_string_lossy(), line.to_string_lossy());
    // Levels of syslog. Errors also reach `on_error`, which knows what they mean.
    match level {
        // librdkafka warns a consumer about properties of producers.
        _ if facility == "CONFWARN" => tracing::debug!(target: "kafka", "{facility} {line}"),
        0..=3 => tracing::warn!(target: "kafka", "{facility} {line}"),
        4..=6 => tracing::info!(target: "kafka", "{facility} {line}"),
        _ => tracing::debug!(target: "kafka", "{facility} {line}"),
    }
}

unsafe extern "C" fn on_delivery(_: *mut rd_kafka_t, message: *const rd_kafka_message_t, opaque: *mut c_void) {
    // SAFETY: the opaque of `Conf::start`; delivery reports are served by the thread that polls, which holds no reference
    // to the deliveries meanwhile (the promise of `Client::deliveries`); the message lives during the call.
    unsafe { (*(*(opaque as *const Callbacks)).deliveries.get()).report(&*message) }
}
