//! The names of types, fields and symbols.

/// Whether Avro allows the name: ASCII letters, digits and `_`, without a digit at the beginning.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The part of a full name after its namespace.
pub fn short(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

/// The namespace of a full name, or an empty text.
pub(crate) fn namespace(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

/// The full name of a name that is used in a namespace.
pub(crate) fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}
