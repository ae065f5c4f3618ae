//! Reads JSON text from left to right, token by token, without building a tree and without copying.
//!
//! Rule: what is skipped is checked as strictly as what is read (RFC 8259). Surrogates must come in pairs. The caller
//! checks that the whole text is UTF-8.

use super::Unreadable;
use super::datum::deeper;
use super::quoted::plain;

type Result<T> = std::result::Result<T, Unreadable>;

/// A position in a JSON text.
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

/// The text between the quotes of a string.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub bytes: &'a [u8],
    /// Whether it contains escapes, which are valid.
    pub escaped: bool,
}

/// A valid JSON number.
#[derive(Clone, Copy)]
pub(super) struct Number<'a> {
    pub bytes: &'a [u8],
    /// Whether it has only digits and a sign: no point and no exponent.
    pub plain: bool,
}

impl<'a> Text<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Text { bytes, at: 0 }
    }

    /// The first byte of the next token, or 0 at the end of the text.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    /// Reads one punctuation character.
    #[inline]
    fn mark(&mut self, mark: u8, missing: &'static str) -> Result<()> {
        if self.peek() != mark {
            return Err(self.error(missing));
        }
        self.at += 1;
        Ok(())
    }

    /// Enters an object. If it is empty, skips it and returns false.
    #[inline]
    pub fn open_object(&mut self) -> Result<bool> {
        self.mark(b'{', "an object was expected")?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Enters an array. If it is empty, skips it and returns false.
    #[inline]
    pub fn open_array(&mut self) -> Result<bool> {
        self.mark(b'[', "an array was expected")?;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads the key of a member, and its colon.
    #[inline]
    pub fn key(&mut self) -> Result<Raw<'a>> {
        let key = self.string("the key of an object was expected")?;
        self.mark(b':', "a colon was expected")?;
        Ok(key)
    }

    /// After a member or an item, returns whether another follows. If not, reads `close`.
    #[inline]
    pub fn more(&mut self, close: u8) -> Result<bool> {
        let byte = self.peek();
        if byte != b',' && byte != close {
            return Err(self.error("a comma or the end of an object or array was expected"));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    #[inline]
    pub fn string(&mut self, missing: &'static str) -> Result<Raw<'a>> {
        self.mark(b'"', missing)?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.error("text has a control character, which must be escaped")),
                None => return Err(self.error("the text ends within a string")),
            }
        }
        let bytes = &self.bytes[start..self.at];
        self.at += 1;
        Ok(Raw { bytes, escaped })
    }

    /// Skips one escape, or two that form a surrogate pair.
    fn escape(&mut self) -> Result<()> {
        let rest = &self.bytes[self.at + 1..];
        self.at += match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => match hex(&rest[1..]) {
                Some(0xd800..=0xdbff) => match rest.get(5..7) {
                    Some(b"\\u") if matches!(hex(&rest[7..]), Some(0xdc00..=0xdfff)) => 12,
                    _ => return Err(self.error("text has half of a surrogate pair")),
                },
                Some(0xdc00..=0xdfff) => return Err(self.error("text has half of a surrogate pair")),
                Some(_) => 6,
                None => return Err(self.error("text has an escape without its four digits")),
            },
            _ => return Err(self.error("text has an escape that JSON does not know")),
        };
        Ok(())
    }

    #[inline]
    pub fn number(&mut self) -> Result<Number<'a>> {
        self.peek();
        let start = self.at;
        if self.next_is(b"-") {
            self.at += 1;
        }
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.bytes[self.at - whole] == b'0') {
            self.at = start;
            return Err(self.error("a number was expected"));
        }
        let mut plain = true;
        if self.next_is(b".") {
            plain = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("a number has no digit behind its point"));
            }
        }
        if self.next_is(b"eE") {
            plain = false;
            self.at += 1;
            if self.next_is(b"+-") {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("a number has no digit in its exponent"));
            }
        }
        let bytes = &self.bytes[start..self.at];
        Ok(Number { bytes, plain })
    }

    #[inline]
    fn next_is(&self, any: &[u8]) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| any.contains(byte))
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let count = self.bytes[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    #[inline]
    pub fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => Err(self.error("true or false was expected")),
        }
    }

    #[inline]
    pub fn null(&mut self) -> Result<()> {
        self.peek();
        self.word(b"null")
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.error("no JSON value starts so"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Skips a value.
    pub fn skip(&mut self, depth: u32) -> Result<()> {
        match self.peek() {
            b'"' => self.string("text was expected").map(|_| ()),
            b'{' => {
                let depth = deeper(depth)?;
                let mut more = self.open_object()?;
                while more {
                    self.key()?;
                    self.skip(depth)?;
                    more = self.more(b'}')?;
                }
                Ok(())
            }
            b'[' => {
                let depth = deeper(depth)?;
                let mut more = self.open_array()?;
                while more {
                    self.skip(depth)?;
                    more = self.more(b']')?;
                }
                Ok(())
            }
            b't' | b'f' => self.boolean().map(|_| ()),
            b'n' => self.null(),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            0 if self.at == self.bytes.len() => Err(self.error("the text ends where a value was expected")),
            _ => Err(self.error("no JSON value starts so")),
        }
    }

    /// Checks that only whitespace is left.
    pub fn end(&mut self) -> Result<()> {
        self.peek();
        if self.at < self.bytes.len() {
            return Err(self.error("something follows the value"));
        }
        Ok(())
    }

    #[cold]
    pub fn error(&self, what: &'static str) -> Unreadable {
        Unreadable::at(what, self.at)
    }
}

impl<'a> Raw<'a> {
    /// Whether it equals this text, once its escapes are resolved.
    #[inline]
    pub fn is(&self, text: &str) -> bool {
        if self.escaped {
            self.chars().eq(text.chars())
        } else {
            self.bytes == text.as_bytes()
        }
    }

    /// Appends it as UTF-8, with its escapes resolved.
    pub fn append(&self, out: &mut Vec<u8>) {
        if !self.escaped {
            return out.extend_from_slice(self.bytes);
        }
        let mut rest = self.bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
            out.extend_from_slice(&rest[..at]);
            let (char, len) = unescape(&rest[at..]);
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[at + len..];
        }
        out.extend_from_slice(rest);
    }

    /// Its characters, with escapes resolved. Invalid UTF-8 becomes the replacement character.
    pub fn chars(&self) -> impl Iterator<Item = char> + 'a {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (char, len) = match rest.first()? {
                b'\\' => unescape(rest),
                byte if byte.is_ascii() => (char::from(*byte), 1),
                _ => {
                    let len = rest
                        .iter()
                        .skip(1)
                        .take(3)
                        .take_while(|byte| **byte & 0xc0 == 0x80)
                        .count()
                        + 1;
                    let char = std::str::from_utf8(&rest[..len])
                        .ok()
                        .and_then(|text| text.chars().next());
                    (char.unwrap_or(char::REPLACEMENT_CHARACTER), len)
                }
            };
            rest = &rest[len..];
            Some(char)
        })
    }
}

/// The character of a valid escape, and the length of that escape.
fn unescape(text: &[u8]) -> (char, usize) {
    let char = match text[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            // `Text::escape` has checked the digits and the second half of a pair.
            let first = hex(&text[2..]).unwrap_or(0);
            if !(0xd800..0xdc00).contains(&first) {
                return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
            }
            let second = hex(&text[8..]).unwrap_or(0xdc00);
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second & 0x3ff);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
        }
        other => char::from(other),
    };
    (char, 2)
}

/// Reads four hexadecimal digits.
fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    digits
        .iter()
        .try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}
