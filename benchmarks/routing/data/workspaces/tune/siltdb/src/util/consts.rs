//! Numbers of the file format.

pub const MAGIC: u32 = 0x5117_DB01;
pub const BLOCK_SIZE: usize = 4096;
pub const MEMTABLE_LIMIT: usize = 4 << 20;
pub const LEVELS: usize = 6;
pub const LEVEL_FANOUT: u64 = 10;
pub const BLOOM_BITS_PER_KEY: usize = 10;
pub const TOMBSTONE: u8 = 0xFF;
pub const WAL_SUFFIX: &str = "wal";
