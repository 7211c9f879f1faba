pub mod bloom;
pub mod compaction;
pub mod engine;
pub mod manifest;
pub mod memtable;
pub mod table;
pub mod wal;
