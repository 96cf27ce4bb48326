//! A table whose entries keep their number until they are taken out.

use alloc::vec::Vec;

#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    pub(crate) entries: Vec<Option<T>>,
    pub(crate) free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(at as usize)
        {
            *entry = Some(value);
            return at;
        }
        self.entries.push(Some(value));
        u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.entries.get(at as usize).and_then(Option::as_ref)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.entries.get_mut(at as usize).and_then(Option::as_mut)
    }

    pub(crate) fn take(&mut self, at: u32) -> Option<T> {
        let value = self.entries.get_mut(at as usize).and_then(Option::take)?;
        self.free.push(at);
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.entries).filter_map(|(at, entry)| Some((at, entry.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0..).zip(&mut self.entries).filter_map(|(at, entry)| Some((at, entry.as_mut()?)))
    }
}
