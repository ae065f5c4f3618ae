//! The workload. It is generated once, and written in order.

use anyhow::Result;
use pelton_demo::traffic::{Made, Parameters, Traffic};

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// The records, counted by kind.
    pub made: Made,
    /// The bytes of keys and values.
    pub bytes: u64,
}

/// Writes it into the embedded log.
pub fn embed(parameters: Parameters, cluster: &pelton::log::embedded::Embedded) -> Result<Written> {
    let mut traffic = Traffic::new(parameters);
    let mut bytes = 0;
    cluster.appending(|log| {
        while let Some(item) = traffic.next() {
            bytes += (item.key.len() + item.value.len()) as u64;
            let record = pelton::log::embedded::NewRecord {
                key: Some(item.key),
                value: Some(item.value),
                timestamp: item.timestamp,
                headers: &[],
            };
            log.append(item.stream.topic(), item.partition, record)?;
        }
        anyhow::Ok(())
    })?;
    let made = traffic.made();
    Ok(Written { made, bytes })
}

/// Writes it to Kafka.
#[cfg(feature = "kafka")]
pub fn produce(parameters: Parameters, rig: &crate::rig::Rig) -> Result<Written> {
    use pelton_demo::traffic::Stream;
    /// The number of records generated at a time.
    const AT_ONCE: usize = 50_000;
    let mut traffic = Traffic::new(parameters);
    let mut bytes = 0;
    let mut waiting: [Vec<crate::rig::Record>; Stream::ALL.len()] = Default::default();
    let flush = |stream: Stream, records: &mut Vec<crate::rig::Record>| {
        rig.produce(stream.topic(), records)?;
        records.clear();
        anyhow::Ok(())
    };
    while let Some(item) = traffic.next() {
        bytes += (item.key.len() + item.value.len()) as u64;
        let record = crate::rig::Record::new(item.key, item.value)
            .at(item.partition.0)
            .time(item.timestamp);
        let records = &mut waiting[item.stream as usize];
        records.push(record);
        if records.len() == AT_ONCE {
            flush(item.stream, records)?;
        }
    }
    for (stream, records) in Stream::ALL.into_iter().zip(&mut waiting) {
        flush(stream, records)?;
    }
    let made = traffic.made();
    Ok(Written { made, bytes })
}
