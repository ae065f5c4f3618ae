//! Queries about topics, and changes to them.

use super::client::{Client, c_string};
use super::kafka_error::{KafkaError, text};
use super::millis::millis;
use super::partitions::Partitions;
use super::queue::{Event, Queue};
use super::shared::QUERY_TIMEOUT;
use crate::error::{Failure, Result};
use crate::log::TopicInfo;
use crate::record::{Offset, Partition};
use rdkafka_sys::rd_kafka_admin_op_t::*;
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::ffi::c_char;
use std::time::{Duration, Instant};

/// Uses the broker's default replication factor.
const REPLICATION: i32 = -1;

/// Time-out of one attempt of the first query. After each, the client looks whether the brokers refuse it.
const FIRST_TRY: Duration = Duration::from_millis(250);

/// The id of the cluster.
pub(super) fn cluster(client: &Client) -> Result<String> {
    let deadline = Instant::now() + QUERY_TIMEOUT;
    loop {
        // SAFETY: the client is live; the text is ours, allocated by librdkafka.
        unsafe {
            let id = rd_kafka_clusterid(client.raw, millis(FIRST_TRY));
            if !id.is_null() {
                let copied = text(id);
                rd_kafka_mem_free(client.raw, id.cast());
                return Ok(copied);
            }
        }
        // This is the first query of all. A broker that refuses us says so at once and never answers the query.
        client.refusal()?;
        if Instant::now() >= deadline {
            let silence = KafkaError::of(RD_KAFKA_RESP_ERR__TIMED_OUT);
            return Err(client.failure("id of the cluster", &silence));
        }
    }
}

/// What is known about a topic, if it exists.
pub(super) fn topic(client: &Client, name: &str) -> Result<Option<TopicInfo>> {
    let asked = format!("topic {name}");
    let name_of = c_string(name)?;
    let answer = ask(client, &asked, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, |options, queue| {
        // SAFETY: the client, options and queue are live; the collection copies the name.
        unsafe {
            let topics = rd_kafka_TopicCollection_of_topic_names(&mut name_of.as_ptr(), 1);
            rd_kafka_DescribeTopics(client.raw, topics, options, queue);
            rd_kafka_TopicCollection_destroy(topics);
        }
    })?;
    // SAFETY: an answer of this kind names one topic; everything in it lives as long as the event.
    let (partitions, id) = unsafe {
        let mut count = 0;
        let topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(answer.0), &mut count);
        assert_eq!(count, 1, "one topic was asked for");
        let fault = KafkaError::check(rd_kafka_error_code(rd_kafka_TopicDescription_error(*topics)));
        match fault {
            Err(fault) if fault.code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => return Ok(None),
            Err(fault) => return Err(client.failure(&asked, &fault)),
            Ok(()) => {}
        }
        let mut partitions = 0;
        rd_kafka_TopicDescription_partitions(*topics, &mut partitions);
        let id = text(rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(*topics)));
        (partitions as i32, id)
    };
    let config = config(client, name)?;
    Ok(Some(TopicInfo { partitions, id, config }))
}

/// A topic's settings.
fn config(client: &Client, name: &str) -> Result<Vec<(String, String)>> {
    let asked = format!("settings of topic {name}");
    let name_of = c_string(name)?;
    // SAFETY: the name ends with 0.
    let mut resource =
        unsafe { rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name_of.as_ptr()) };
    let answer = ask(client, &asked, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, |options, queue| {
        // SAFETY: all are live; the resource is copied.
        unsafe { rd_kafka_DescribeConfigs(client.raw, &mut resource, 1, options, queue) }
    });
    // SAFETY: ours, and not used afterwards.
    unsafe { rd_kafka_ConfigResource_destroy(resource) };
    let answer = answer?;
    // SAFETY: an answer of this kind names one resource; everything in it lives as long as the event.
    unsafe {
        let mut count = 0;
        let result = rd_kafka_event_DescribeConfigs_result(answer.0);
        let resources = rd_kafka_DescribeConfigs_result_resources(result, &mut count);
        assert_eq!(count, 1, "one topic was asked for");
        let result = KafkaError::check(rd_kafka_ConfigResource_error(*resources));
        result.map_err(|fault| client.failure(&asked, &fault))?;
        let entries = rd_kafka_ConfigResource_configs(*resources, &mut count);
        let entry = |at| *entries.add(at);
        Ok((0..count)
            .map(|at| {
                (
                    text(rd_kafka_ConfigEntry_name(entry(at))),
                    text(rd_kafka_ConfigEntry_value(entry(at))),
                )
            })
            .collect())
    }
}

/// Creates a topic, and waits until the brokers know it.
pub(super) fn create(client: &Client, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
    let asked = format!("creating topic {name}");
    let name_of = c_string(name)?;
    let config: Vec<_> = config
        .iter()
        .map(|(key, value)| Ok((c_string(key)?, c_string(value)?)))
        .collect::<Result<_>>()?;
    let mut why = [0 as c_char; 512];
    // SAFETY: the name ends with 0, the buffer has the length that is told.
    let mut topic =
        unsafe { rd_kafka_NewTopic_new(name_of.as_ptr(), partitions, REPLICATION, why.as_mut_ptr(), why.len()) };
    if topic.is_null() {
        // SAFETY: librdkafka has written a text that ends with 0.
        return Err(Failure::Fatal(format!("{asked}: {}", unsafe { text(why.as_ptr()) })));
    }
    for (key, value) in &config {
        // SAFETY: the topic is live, both texts end with 0 and are copied. It fails for empty keys only; the broker says so.
        unsafe { rd_kafka_NewTopic_set_config(topic, key.as_ptr(), value.as_ptr()) };
    }
    let answer = ask(client, &asked, RD_KAFKA_ADMIN_OP_CREATETOPICS, |options, queue| {
        // SAFETY: all are live; the topic is copied.
        unsafe { rd_kafka_CreateTopics(client.raw, &mut topic, 1, options, queue) }
    });
    // SAFETY: ours, and not used afterwards.
    unsafe { rd_kafka_NewTopic_destroy(topic) };
    let answer = answer?;
    // SAFETY: an answer of this kind has one result; everything in it lives as long as the event.
    unsafe {
        let mut count = 0;
        let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer.0), &mut count);
        assert_eq!(count, 1, "one topic was asked for");
        match rd_kafka_topic_result_error(*results) {
            RD_KAFKA_RESP_ERR_NO_ERROR | RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS => {}
            code => {
                let told = text(rd_kafka_topic_result_error_string(*results));
                return Err(client.failure(&format!("{asked}: {told}"), &KafkaError::of(code)));
            }
        }
    }
    // Another broker may not have heard of it yet.
    let deadline = Instant::now() + QUERY_TIMEOUT;
    while self::topic(client, name)?.is_none() {
        if Instant::now() > deadline {
            return Err(Failure::Retry(format!(
                "{asked}: made, but the brokers don't show it yet"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Removes all records before an offset.
pub(super) fn truncate(client: &Client, name: &str, partition: Partition, before: Offset) -> Result<()> {
    let asked = format!("removing records of {name} [{partition}] before {before}");
    let list = Partitions::one(&c_string(name)?, partition.0, before.0);
    // SAFETY: the list is live and copied.
    let mut records = unsafe { rd_kafka_DeleteRecords_new(list.0) };
    let answer = ask(client, &asked, RD_KAFKA_ADMIN_OP_DELETERECORDS, |options, queue| {
        // SAFETY: all are live; the request is copied.
        unsafe { rd_kafka_DeleteRecords(client.raw, &mut records, 1, options, queue) }
    });
    // SAFETY: ours, and not used afterwards.
    unsafe { rd_kafka_DeleteRecords_destroy(records) };
    let answer = answer?;
    // SAFETY: an answer of this kind holds a list that lives as long as the event.
    unsafe {
        let list = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer.0));
        for at in 0..(*list).cnt as usize {
            let told = KafkaError::check((*(*list).elems.add(at)).err);
            told.map_err(|fault| client.failure(&asked, &fault))?;
        }
    }
    Ok(())
}

/// Sends a request, and waits for its answer.
fn ask(
    client: &Client,
    asked: &str,
    operation: rd_kafka_admin_op_t,
    start: impl FnOnce(*mut rd_kafka_AdminOptions_t, *mut rd_kafka_queue_t),
) -> Result<Event> {
    let queue = Queue::new(client);
    let mut why = [0 as c_char; 128];
    // SAFETY: the client is live; the options are ours until they are destroyed; the buffer has the length that is told.
    unsafe {
        let options = rd_kafka_AdminOptions_new(client.raw, operation);
        // A time-out of some seconds is valid, so this can't fail.
        rd_kafka_AdminOptions_set_request_timeout(options, millis(QUERY_TIMEOUT), why.as_mut_ptr(), why.len());
        start(options, queue.0);
        rd_kafka_AdminOptions_destroy(options);
    }
    let answer = queue.poll(QUERY_TIMEOUT * 2);
    let answer = answer.ok_or_else(|| client.failure(asked, &KafkaError::of(RD_KAFKA_RESP_ERR__TIMED_OUT)))?;
    answer.check().map_err(|fault| client.failure(asked, &fault))?;
    Ok(answer)
}
