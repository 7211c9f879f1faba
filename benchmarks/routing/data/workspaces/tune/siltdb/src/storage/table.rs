use crate::error::{Error, Result};
use crate::storage::bloom::Bloom;
use crate::util::consts::{BLOCK_SIZE, MAGIC, TOMBSTONE};
use crate::util::varint;
use std::path::{Path, PathBuf};

pub struct Table {
    pub path: PathBuf,
    pub first: Vec<u8>,
    pub last: Vec<u8>,
    pub size: u64,
    entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bloom: Bloom,
}

impl Table {
    pub fn write(path: &Path, entries: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<Table> {
        let mut out = Vec::with_capacity(BLOCK_SIZE);
        out.extend_from_slice(&MAGIC.to_le_bytes());
        let mut bloom = Bloom::with_keys(entries.len());
        for (key, value) in &entries {
            bloom.add(key);
            varint::write(&mut out, key.len() as u64);
            out.extend_from_slice(key);
            match value {
                Some(value) => {
                    out.push(0);
                    varint::write(&mut out, value.len() as u64);
                    out.extend_from_slice(value);
                }
                None => out.push(TOMBSTONE),
            }
        }
        std::fs::write(path, &out)?;
        let first = entries.first().map(|(key, _)| key.clone()).ok_or_else(|| Error::Corrupt("empty".into()))?;
        let last = entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
        Ok(Table { path: path.to_path_buf(), first, last, size: out.len() as u64, entries, bloom })
    }

    pub fn get(&self, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        if !self.bloom.may_contain(key) {
            return None;
        }
        let index = self.entries.binary_search_by(|(other, _)| other.as_slice().cmp(key)).ok()?;
        Some(self.entries[index].1.as_ref())
    }

    pub fn range(&self, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let start = self.entries.partition_point(|(key, _)| key.as_slice() < from);
        self.entries[start..].iter().take_while(|(key, _)| key.as_slice() < to).cloned().collect()
    }

    pub fn overlaps(&self, other: &Table) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}
