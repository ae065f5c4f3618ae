//! What a type means beyond its layout.

/// A logical type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logical {
    /// No logical type, or one that is unknown or not valid for its type.
    None,
    /// Bytes or a fixed: a number in two's complement.
    Decimal {
        /// The number of digits.
        precision: u32,
        /// The number of digits after the decimal point.
        scale: u32,
    },
    /// Text, or a fixed of 16 bytes.
    Uuid,
    /// A long.
    TimestampMillis,
    /// A long.
    TimestampMicros,
    /// A long.
    TimestampNanos,
    /// A long.
    LocalTimestampMillis,
    /// A long.
    LocalTimestampMicros,
    /// A long.
    LocalTimestampNanos,
    /// An int.
    Date,
    /// An int.
    TimeMillis,
    /// A long.
    TimeMicros,
    /// A fixed of 12 bytes.
    Duration,
}

impl Logical {
    /// Its name in schemas. Empty for `None`.
    pub fn name(self) -> &'static str {
        match self {
            Logical::None => "",
            Logical::Decimal { .. } => "decimal",
            Logical::Uuid => "uuid",
            Logical::TimestampMillis => "timestamp-millis",
            Logical::TimestampMicros => "timestamp-micros",
            Logical::TimestampNanos => "timestamp-nanos",
            Logical::LocalTimestampMillis => "local-timestamp-millis",
            Logical::LocalTimestampMicros => "local-timestamp-micros",
            Logical::LocalTimestampNanos => "local-timestamp-nanos",
            Logical::Date => "date",
            Logical::TimeMillis => "time-millis",
            Logical::TimeMicros => "time-micros",
            Logical::Duration => "duration",
        }
    }
}
