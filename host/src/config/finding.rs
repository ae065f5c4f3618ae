//! Findings: what is wrong or doubtful in a pipeline, where, and what to do about it.

use serde::Serialize;
use std::fmt;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The pipeline can run, but somebody should look at this.
    Warning,
    /// The pipeline can't run.
    Error,
}

/// One mistake or doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How serious it is.
    pub level: Severity,
    /// Dotted path in the pipeline's file: `inputs.wallet.topic`.
    pub key: String,
    /// The value in the file; empty if there is none. Passwords are hidden.
    pub value: String,
    /// What was expected, or what to do.
    pub cure: String,
}

impl Finding {
    /// A finding that keeps the pipeline from running.
    pub fn error(key: impl Into<String>, value: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding::new(Severity::Error, key.into(), value.into(), cure.into())
    }

    /// A finding that the pipeline can run with.
    pub fn warning(key: impl Into<String>, value: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding::new(Severity::Warning, key.into(), value.into(), cure.into())
    }

    fn new(level: Severity, key: String, value: String, cure: String) -> Finding {
        let value = if is_secret(&key) && !value.is_empty() {
            "(hidden)".into()
        } else {
            without_secrets(&value)
        };
        Finding {
            level,
            key,
            value,
            cure,
        }
    }
}

/// Whether the value of this key must be hidden: any header, all of SASL but its mechanism, and what has such a name.
fn is_secret(key: &str) -> bool {
    const NAMES: [&str; 10] = [
        "password",
        "passphrase",
        "secret",
        "token",
        "authorization",
        "apikey",
        "api_key",
        "jaas",
        "credential",
        "key.pem",
    ];
    let key = key.to_ascii_lowercase();
    let sasl = key.starts_with("kafka.sasl.") && !key.contains("mechanism");
    sasl || key.contains(".headers.") || NAMES.iter().any(|name| key.contains(name))
}

/// Removes the user info from a URL, and the content of its query, which often has a key. Leaves other text unchanged.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let rest = match rest[..authority].rfind('@') {
        Some(at) => &rest[at + 1..],
        None => rest,
    };
    match rest.split_once('?') {
        Some((before, _)) => format!("{scheme}://{before}?(hidden)"),
        None => format!("{scheme}://{rest}"),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match self.value.as_str() {
            "" => write!(f, "{level}: {}: {}", self.key, self.cure),
            value => write!(f, "{level}: {} = {value}: {}", self.key, self.cure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let shown = Finding::error("kafka.sasl.password", "s3cret", "x").to_string();
        assert_eq!(shown, "error: kafka.sasl.password = (hidden): x");
        for key in [
            "kafka.sasl.username",
            "kafka.sasl.oauthbearer.config",
            "kafka.ssl.key.pem",
            "lookups.session.headers.X-Api-Key",
            "lookups.session.headers.Cookie",
            "schemas.apikey",
        ] {
            let shown = Finding::error(key, "s3cret", "x").to_string();
            assert_eq!(shown, format!("error: {key} = (hidden): x"));
        }
        let shown = Finding::error("kafka.sasl.mechanism", "PLAIM", "x").to_string();
        assert_eq!(shown, "error: kafka.sasl.mechanism = PLAIM: x");
        for (url, shown) in [
            ("http://me:s3cret@there/apis?x=@", "http://there/apis?(hidden)"),
            ("htp://there/{id}?apikey=s3cret", "htp://there/{id}?(hidden)"),
            ("http://there?apikey=s3cret", "http://there?(hidden)"),
            ("http://there/apis", "http://there/apis"),
            ("what?", "what?"),
        ] {
            let line = Finding::error("schemas.registry", url, "x").to_string();
            assert_eq!(line, format!("error: schemas.registry = {shown}: x"));
        }
    }
}
