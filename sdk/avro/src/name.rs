//! Converts Avro names to Rust names.

/// Strict and reserved words of edition 2024, except those that can't be raw identifiers.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The words of a name: `userSessionId`, `UserSessionID` and `user_session_id` have the words user, session and id.
/// They keep their capitals, and digits belong to the letters before them.
pub fn words(name: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let bytes = part.as_bytes();
        let mut start = 0;
        for i in 1..bytes.len() {
            let next_lower = bytes.get(i + 1).is_some_and(u8::is_ascii_lowercase);
            if bytes[i].is_ascii_uppercase() && (!bytes[i - 1].is_ascii_uppercase() || next_lower) {
                words.push(&part[start..i]);
                start = i;
            }
        }
        words.push(&part[start..]);
    }
    words
}

/// The Rust name of a field.
pub fn snake(name: &str) -> String {
    let mut snake = words(name).join("_").to_ascii_lowercase();
    if name.starts_with('_') {
        snake.insert(0, '_');
    }
    match snake.as_str() {
        "self" | "super" | "crate" | "_" => snake + "_",
        word if KEYWORDS.contains(&word) => format!("r#{snake}"),
        _ => snake,
    }
}

/// The Rust name of a type or a variant. Capitals inside stay, unless there is nothing else: `EUR` becomes `Eur`.
pub fn camel(name: &str) -> String {
    let loud = !name.contains(|c: char| c.is_ascii_lowercase());
    let mut camel = String::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let (first, rest) = part.split_at(1);
        // `V1_2` must not become `V12`.
        if first.starts_with(|c: char| c.is_ascii_digit()) && camel.ends_with(|c: char| c.is_ascii_digit()) {
            camel.push('_');
        }
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(&if loud { rest.to_ascii_lowercase() } else { rest.into() });
    }
    if camel.is_empty() || camel.starts_with(|c: char| c.is_ascii_digit()) || camel == "Self" {
        camel.insert(0, '_');
    }
    camel
}

/// The names without the words that all begin or end with. Each keeps at least one word, and begins with a letter.
pub fn distinct(names: &[String]) -> Vec<String> {
    let words: Vec<Vec<&str>> = names.iter().map(|name| words(name)).collect();
    let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
    if names.len() < 2 || shortest == 0 {
        return names.to_vec();
    }
    let first = &words[0];
    let all = |same: &dyn Fn(&[&str], usize) -> bool, most: usize| {
        (0..most).find(|i| !words.iter().all(|w| same(w, *i))).unwrap_or(most)
    };
    let tail = all(&|w, i| w[w.len() - 1 - i] == first[first.len() - 1 - i], shortest - 1);
    let mut head = all(&|w, i| w[i] == first[i], shortest - 1 - tail);
    while words
        .iter()
        .any(|w| !w[head].starts_with(|c: char| c.is_ascii_alphabetic()))
        && head > 0
    {
        head -= 1;
    }
    words.iter().map(|w| camel(&w[head..w.len() - tail].concat())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_rust_author_expects() {
        for (avro, snaked, cameled) in [
            ("userSessionId", "user_session_id", "UserSessionId"),
            ("PaymentEvent", "payment_event", "PaymentEvent"),
            ("user_id", "user_id", "UserId"),
            ("userID", "user_id", "UserID"),
            ("URLPath", "url_path", "URLPath"),
            ("EUR", "eur", "Eur"),
            ("SOME_VALUE", "some_value", "SomeValue"),
            ("line2Text", "line2_text", "Line2Text"),
            ("_hidden", "_hidden", "Hidden"),
            ("type", "r#type", "Type"),
            ("Self", "self_", "_Self"),
            ("_", "__", "_"),
            ("V1_2", "v1_2", "V1_2"),
        ] {
            assert_eq!((snake(avro), camel(avro)), (snaked.into(), cameled.into()), "{avro}");
        }
    }

    #[test]
    fn variants_lose_the_words_that_all_have() {
        let check = |names: &[&str], variants: &[&str]| {
            assert_eq!(
                distinct(&names.iter().map(|n| n.to_string()).collect::<Vec<_>>()),
                variants
            );
        };
        check(
            &["PaymentEvent", "TransactionEvent", "KindOfWalletEvent"],
            &["Payment", "Transaction", "KindOfWallet"],
        );
        check(
            &["UserSessionCreatedEvent", "UserSessionClosedEvent"],
            &["Created", "Closed"],
        );
        check(
            &["ChangeBirthDateEvent", "ChangeAddressEvent", "OtherUserEvent"],
            &["ChangeBirthDate", "ChangeAddress", "OtherUser"],
        );
        check(&["Event", "OtherEvent"], &["Event", "OtherEvent"]);
        check(&["Only"], &["Only"]);
        check(&["Null", "Long"], &["Null", "Long"]);
    }
}
