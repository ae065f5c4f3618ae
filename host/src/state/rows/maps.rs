//! The maps of large rows, by number.
//!
//! Rule: a number is given again only after its map was taken out. A layer names a map until it is dropped.

use super::map::Map;

/// The maps of all large rows. Like the arena, the table never shrinks.
#[derive(Default)]
pub struct Maps {
    maps: Vec<Option<Box<Map>>>,
    free: Vec<u32>,
}

impl Maps {
    /// Adds a map, and returns its number.
    pub fn add(&mut self, map: Map) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.maps.push(None);
            (self.maps.len() - 1) as u32
        });
        self.maps[at as usize] = Some(Box::new(map));
        at
    }

    /// The map with this number.
    pub fn get(&self, map: usize) -> &Map {
        self.maps[map]
            .as_ref()
            .expect("a layer names a map until it is dropped")
    }

    /// The map with this number.
    pub fn get_mut(&mut self, map: usize) -> &mut Map {
        self.maps[map]
            .as_mut()
            .expect("a layer names a map until it is dropped")
    }

    /// Takes a map out.
    pub fn take(&mut self, map: usize) -> Map {
        self.free.push(map as u32);
        *self.maps[map].take().expect("a layer names a map until it is dropped")
    }

    /// Size of all maps, in bytes. It visits them all.
    pub fn bytes(&self) -> usize {
        self.maps.iter().flatten().map(|map| map.bytes()).sum()
    }
}
