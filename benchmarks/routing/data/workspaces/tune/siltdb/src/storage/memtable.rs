use std::collections::BTreeMap;

/// Newest writes in memory, versions of a key from new to old.
#[derive(Default)]
pub struct Memtable {
    entries: BTreeMap<Vec<u8>, Vec<(u64, Option<Vec<u8>>)>>,
    size: usize,
}

impl Memtable {
    pub fn insert(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, sequence: u64) {
        self.size += key.len() + value.as_ref().map_or(1, Vec::len) + 16;
        self.entries.entry(key).or_default().insert(0, (sequence, value));
    }

    pub fn get(&self, key: &[u8], sequence: u64) -> Option<Option<&Vec<u8>>> {
        let versions = self.entries.get(key)?;
        versions.iter().find(|(at, _)| *at <= sequence).map(|(_, value)| value.as_ref())
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn range(&self, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.entries
            .range(from.to_vec()..to.to_vec())
            .map(|(key, versions)| (key.clone(), versions[0].1.clone()))
            .collect()
    }

    pub fn drain(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.size = 0;
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(key, mut versions)| (key, versions.swap_remove(0).1))
            .collect()
    }
}
