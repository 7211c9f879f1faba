use crate::error::Result;
use crate::storage::engine::Engine;
use crate::util::consts::{LEVELS, LEVEL_FANOUT};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub fn budget(level: usize) -> u64 {
    (10 << 20) * LEVEL_FANOUT.pow(level as u32)
}

pub fn pick(sizes: &[u64]) -> Option<usize> {
    sizes
        .iter()
        .enumerate()
        .take(LEVELS - 1)
        .filter(|(level, size)| **size > budget(*level))
        .max_by_key(|(level, size)| **size / budget(*level))
        .map(|(level, _)| level)
}

pub fn spawn(engine: Arc<Engine>) -> JoinHandle<()> {
    thread::spawn(move || {
        while !engine.is_closed() {
            if run_once(&engine).unwrap_or(false) {
                continue;
            }
            thread::sleep(Duration::from_millis(50));
        }
    })
}

pub fn run_once(engine: &Engine) -> Result<bool> {
    match pick(&engine.level_sizes()) {
        Some(level) => engine.compact(level).map(|()| true),
        None => Ok(false),
    }
}
