//! Copies fetched messages into a chunk. A run of records gets one arena of exactly the right size.

use crate::log::{Chunk, Fetched};
use crate::record::{Offset, Partition, Span, TopicIx};
use rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
use rdkafka_sys::*;
use std::ffi::CStr;
use std::ptr;

/// A chunk of one partition's messages. Spans can't overflow, because librdkafka queues at most 2 GiB
/// (`queued.max.messages.kbytes`) and a batch has less than that.
///
/// # Safety
/// All pointers are to live messages without an error.
pub(super) unsafe fn chunk(topic: TopicIx, partition: Partition, run: &[*mut rd_kafka_message_t]) -> Chunk {
    // SAFETY: the caller's promise.
    let size = run
        .iter()
        .map(|message| unsafe { (**message).len + (**message).key_len })
        .sum();
    let mut chunk = Chunk {
        topic,
        partition,
        records: Vec::with_capacity(run.len()),
        headers: Vec::new(),
        bytes: Vec::with_capacity(size),
    };
    for &message in run {
        // SAFETY: the caller's promise; pointers and lengths belong together, null means null.
        unsafe {
            let from = &*message;
            let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let timestamp = rd_kafka_message_timestamp(message, &mut kind);
            let first = chunk.headers.len() as u32;
            let mut headers = ptr::null_mut();
            if rd_kafka_message_headers(message, &mut headers) == RD_KAFKA_RESP_ERR_NO_ERROR {
                copy_headers(headers, &mut chunk);
            }
            let key = copy(&mut chunk.bytes, from.key as *const u8, from.key_len);
            let value = copy(&mut chunk.bytes, from.payload as *const u8, from.len);
            let headers = first..chunk.headers.len() as u32;
            chunk.records.push(Fetched {
                offset: Offset(from.offset),
                timestamp,
                append_time: kind == rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
                key,
                value,
                headers,
            });
        }
    }
    chunk
}

/// # Safety
/// `from` is null or points to `length` bytes.
#[inline]
unsafe fn copy(arena: &mut Vec<u8>, from: *const u8, length: usize) -> Option<Span> {
    if from.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(Span::append(arena, unsafe { std::slice::from_raw_parts(from, length) }))
}

/// # Safety
/// The headers belong to a live message.
unsafe fn copy_headers(headers: *mut rd_kafka_headers_t, chunk: &mut Chunk) {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    for index in 0.. {
        // SAFETY: the caller's promise; the call fills all three, or says that there is no such header.
        unsafe {
            let code = rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size);
            if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            let name = Span::append(&mut chunk.bytes, CStr::from_ptr(name).to_bytes());
            let value = copy(&mut chunk.bytes, value as *const u8, size).unwrap_or_default();
            chunk.headers.push((name, value));
        }
    }
}
