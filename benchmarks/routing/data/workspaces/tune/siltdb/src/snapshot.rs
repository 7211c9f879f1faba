use crate::error::Result;
use crate::storage::engine::Engine;
use std::sync::Arc;

/// A view of the store as it was.
pub struct Snapshot {
    engine: Arc<Engine>,
    sequence: u64,
}

impl Snapshot {
    pub fn take(engine: &Arc<Engine>) -> Self {
        let sequence = engine.pin();
        Snapshot { engine: Arc::clone(engine), sequence }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.engine.get_at(key, self.sequence)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.engine.unpin(self.sequence);
    }
}
