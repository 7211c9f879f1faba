use crate::util::consts::MEMTABLE_LIMIT;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Config {
    pub folder: PathBuf,
    pub memtable_limit: usize,
    pub sync_writes: bool,
    pub read_only: bool,
    pub background: bool,
}

impl Config {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Config {
            folder: folder.into(),
            memtable_limit: MEMTABLE_LIMIT,
            sync_writes: true,
            read_only: false,
            background: true,
        }
    }
}
