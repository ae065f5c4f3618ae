//! The position of the sweep in the order of (hash, key, store, entry). It names rows and not slots, because it
//! outlives the process.

/// How far a round has come: everything up to here is written. The default is the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Option<CursorPosition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct CursorPosition {
    hash: u64,
    key: Vec<u8>,
    /// The last written entry, if its row is not complete.
    inside: Option<(u16, Vec<u8>)>,
}

/// How a row relates to the cursor.
pub(crate) enum RowTurn<'a> {
    /// The row was written already.
    Done,
    /// The whole row is next.
    Whole,
    /// The rest of the row, after this entry, is next.
    Behind(u16, &'a [u8]),
}

impl Cursor {
    /// The start of a round.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes it for the meta. It is empty at the start. Otherwise: hash (8 bytes, big-endian), length of the key (4),
    /// key, and then either 0, or 1, store (2) and entry if the row is not complete.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(place) = &self.0 {
            bytes.extend_from_slice(&place.hash.to_be_bytes());
            bytes.extend_from_slice(&(place.key.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&place.key);
            bytes.push(u8::from(place.inside.is_some()));
            if let Some((store, entry)) = &place.inside {
                bytes.extend_from_slice(&store.to_be_bytes());
                bytes.extend_from_slice(entry);
            }
        }
        bytes
    }

    /// Decodes what [`encode`](Cursor::encode) wrote. Returns `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self(None));
        }
        let (hash, rest) = bytes.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let inside = match rest.split_first()? {
            (0, []) => None,
            (1, rest) => {
                let (store, entry) = rest.split_first_chunk::<2>()?;
                Some((u16::from_be_bytes(*store), entry.to_vec()))
            }
            _ => return None,
        };
        Some(Self(Some(CursorPosition {
            hash: u64::from_be_bytes(*hash),
            key: key.to_vec(),
            inside,
        })))
    }

    /// The hash where the walk begins.
    pub(crate) fn hash(&self) -> u64 {
        self.0.as_ref().map_or(0, |place| place.hash)
    }

    pub(crate) fn turn(&self, hash: u64, key: &[u8]) -> RowTurn<'_> {
        let Some(place) = &self.0 else { return RowTurn::Whole };
        match (hash, key).cmp(&(place.hash, &*place.key)) {
            std::cmp::Ordering::Less => RowTurn::Done,
            std::cmp::Ordering::Greater => RowTurn::Whole,
            std::cmp::Ordering::Equal => match &place.inside {
                Some((store, entry)) => RowTurn::Behind(*store, entry),
                None => RowTurn::Done,
            },
        }
    }

    pub(crate) fn set(&mut self, hash: u64, key: &[u8], inside: Option<(u16, Vec<u8>)>) {
        self.0 = Some(CursorPosition {
            hash,
            key: key.to_vec(),
            inside,
        });
    }
}
