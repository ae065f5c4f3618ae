//! Errors of librdkafka, translated to what the caller must do.
//!
//! Rule: wrong settings and missing rights are fatal, another owner is a fence, and everything else may be tried again.

use crate::error::Failure;
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::ffi::{CStr, c_char};
use thiserror::Error;

/// Why a call failed.
#[derive(Clone, Debug, Error)]
#[error("{text}")]
pub(super) struct KafkaError {
    pub code: rd_kafka_resp_err_t,
    /// In librdkafka's words.
    pub text: String,
    /// Whether the same call can be made again and continues where it stopped.
    pub again: bool,
}

impl KafkaError {
    /// The fault with this code.
    pub fn of(code: rd_kafka_resp_err_t) -> KafkaError {
        // SAFETY: a static text for every code.
        let text = unsafe { text(rd_kafka_err2str(code)) };
        KafkaError {
            code,
            text,
            again: false,
        }
    }

    /// Fails unless the code means "no error".
    pub fn check(code: rd_kafka_resp_err_t) -> Result<(), KafkaError> {
        match code {
            RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(KafkaError::of(code)),
        }
    }

    /// Takes ownership of an error that a call returned. Null means success.
    ///
    /// # Safety
    /// It must be an error of librdkafka, and must not be used afterwards.
    pub unsafe fn taken(error: *mut rd_kafka_error_t) -> Result<(), KafkaError> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, and ours; destroyed last.
        unsafe {
            let fault = KafkaError {
                code: rd_kafka_error_code(error),
                text: format!(
                    "{} ({})",
                    text(rd_kafka_error_string(error)),
                    text(rd_kafka_error_name(error))
                ),
                again: rd_kafka_error_is_retriable(error) != 0,
            };
            rd_kafka_error_destroy(error);
            Err(fault)
        }
    }

    /// Whether it means that nobody answered.
    pub fn is_silence(&self) -> bool {
        matches!(
            self.code,
            RD_KAFKA_RESP_ERR__TIMED_OUT
                | RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
                | RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
                | RD_KAFKA_RESP_ERR__TRANSPORT
                | RD_KAFKA_RESP_ERR__RESOLVE
                | RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
                | RD_KAFKA_RESP_ERR__WAIT_COORD
                | RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
        )
    }

    /// What the caller must do about it. `message` is the text for the user.
    pub fn failure(&self, message: String) -> Failure {
        match self.code {
            RD_KAFKA_RESP_ERR__AUTHENTICATION
            | RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
            | RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM
            | RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
            | RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
            | RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
            | RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | RD_KAFKA_RESP_ERR_SECURITY_DISABLED
            | RD_KAFKA_RESP_ERR_INVALID_CONFIG
            | RD_KAFKA_RESP_ERR_INVALID_PARTITIONS
            | RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR
            | RD_KAFKA_RESP_ERR_POLICY_VIOLATION
            | RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION
            | RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL
            | RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT
            | RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT
            | RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
            | RD_KAFKA_RESP_ERR__INVALID_ARG
            | RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE => Failure::Fatal(message),
            RD_KAFKA_RESP_ERR__FENCED
            | RD_KAFKA_RESP_ERR_PRODUCER_FENCED
            | RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
            | RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID => Failure::Fenced(message),
            _ => Failure::Retry(message),
        }
    }
}

/// A C text as a `String`.
///
/// # Safety
/// `raw` is null, or ends with 0.
pub(super) unsafe fn text(raw: *const c_char) -> String {
    if raw.is_null() {
        return String::new();
    }
    // SAFETY: not null; the caller's promise.
    unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
}

/// Why the last call of this thread that returned null or -1 has failed.
pub(super) fn last_error() -> KafkaError {
    // SAFETY: has no preconditions.
    KafkaError::of(unsafe { rd_kafka_last_error() })
}
