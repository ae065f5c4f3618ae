//! Murmur2, the hash of Kafka's default partitioner, exactly as in the Java clients.
//!
//! Rule: a key goes to the same partition as from a Java producer.

use crate::record::Partition;

/// Murmur2 of a key, with Kafka's seed.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut h = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        // `chunks_exact` yields four bytes.
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key, out of `partitions`.
pub fn partition(key: &[u8], partitions: i32) -> Partition {
    Partition((murmur2(key) & 0x7fff_ffff) as i32 % partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are from `UtilsTest.testMurmur2` in Apache Kafka.
    #[test]
    fn java_agrees() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
