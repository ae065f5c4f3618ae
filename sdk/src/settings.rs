//! Reads settings, which are the `[rules.settings]` of the pipeline's file as JSON text, into the rules' own struct.
//!
//! Rule: nothing is ignored. Unknown settings, missing settings and settings of the wrong type are errors, and all are
//! reported at once.

use serde_json::{Map, Value};
use std::time::Duration;

/// Implemented by `#[derive(Settings)]`, and by `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be read from settings",
    label = "write `#[derive(Settings)]` on a struct with named fields, or use `()`"
)]
pub trait FromSettings: Sized {
    #[doc(hidden)]
    fn from_settings(settings: &mut Settings) -> Option<Self>;
}

impl FromSettings for () {
    fn from_settings(_: &mut Settings) -> Option<()> {
        Some(())
    }
}

/// A type of a setting.
#[diagnostic::on_unimplemented(
    message = "a setting can't be a `{Self}`",
    label = "not one of `bool`, an integer, `f64`, `String`, `Duration`, or `Option` or `Vec` of these"
)]
pub trait Setting: Sized {
    /// Describes valid values, for messages.
    #[doc(hidden)]
    fn what() -> String;
    #[doc(hidden)]
    fn read(value: &Value) -> Option<Self>;
    /// The value if the file does not set it and there is no default.
    #[doc(hidden)]
    fn absent() -> Option<Self> {
        None
    }
}

/// A JSON object of settings that is being read.
pub struct Settings {
    object: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<String>,
}

impl Settings {
    /// Reads all settings from the text of a JSON object. Empty text counts as an empty object.
    pub(crate) fn read<S: FromSettings>(text: &str) -> Result<S, String> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let object =
            serde_json::from_str(text).map_err(|error| format!("the settings are not a JSON object: {error}"))?;
        let mut settings = Settings {
            object,
            known: Vec::new(),
            errors: Vec::new(),
        };
        let read = S::from_settings(&mut settings);
        let Settings {
            object,
            known,
            mut errors,
        } = settings;
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            errors.push(unknown(name, &known));
        }
        match read {
            Some(read) if errors.is_empty() => Ok(read),
            _ => Err(errors.join("; ")),
        }
    }

    /// Reads one setting. `default` is used if the file does not set it.
    #[doc(hidden)]
    pub fn field<S: Setting>(&mut self, name: &'static str, default: Option<fn() -> S>) -> Option<S> {
        self.known.push(name);
        let read = match (self.object.get(name), default) {
            (Some(value), _) => {
                S::read(value).ok_or_else(|| format!("setting `{name}` must be {}, not {value}", S::what()))
            }
            (None, Some(default)) => Ok(default()),
            (None, None) => S::absent().ok_or_else(|| format!("setting `{name}` is missing: {}", S::what())),
        };
        read.map_err(|error| self.errors.push(error)).ok()
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|known| strsim::levenshtein(name, known));
    match nearest {
        None => format!("there is no setting `{name}`: these rules have none"),
        Some(near) if strsim::levenshtein(name, near) <= near.len() / 3 + 1 => {
            format!("there is no setting `{name}`; did you mean `{near}`?")
        }
        Some(_) => format!("there is no setting `{name}`; there are `{}`", known.join("`, `")),
    }
}

/// Parses a duration as people write it: `500ms`, `20s`, `1m`, `1h`, `7d`, or a sum like `1h30m`.
#[doc(hidden)]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = None;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis = match &rest[..unit] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        rest = rest[unit..].trim_start();
        let part = Duration::from_millis(number.checked_mul(millis)?);
        sum = Some(sum.unwrap_or(Duration::ZERO).checked_add(part)?);
    }
    sum
}

impl Setting for Duration {
    fn what() -> String {
        "a duration (like \"500ms\", \"20s\", \"1m\", \"1h\" or \"7d\")".into()
    }
    fn read(value: &Value) -> Option<Self> {
        duration(value.as_str()?)
    }
}

impl Setting for bool {
    fn what() -> String {
        "true or false".into()
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Setting for f64 {
    fn what() -> String {
        "a number".into()
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Setting for String {
    fn what() -> String {
        "a text".into()
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

macro_rules! integer {
    ($($type:ty, $get:ident;)*) => {$(
        impl Setting for $type {
            fn what() -> String {
                format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX)
            }
            fn read(value: &Value) -> Option<Self> {
                value.$get()?.try_into().ok()
            }
        }
    )*};
}
integer! { u8, as_u64; u16, as_u64; u32, as_u64; u64, as_u64; i8, as_i64; i16, as_i64; i32, as_i64; i64, as_i64; }

impl<S: Setting> Setting for Option<S> {
    fn what() -> String {
        S::what()
    }
    fn read(value: &Value) -> Option<Self> {
        if value.is_null() {
            Some(None)
        } else {
            S::read(value).map(Some)
        }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<S: Setting> Setting for Vec<S> {
    fn what() -> String {
        format!("a list; each {}", S::what())
    }
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(S::read).collect()
    }
}
