//! An embedded key-value store: a write-ahead log, a memtable and sorted tables in levels.

pub mod batch;
pub mod cli;
pub mod config;
pub mod error;
pub mod iter;
pub mod server;
pub mod snapshot;
pub mod storage;
pub mod util;

pub use crate::storage::engine::Engine;
