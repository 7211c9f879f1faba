use crate::error::Result;
use crate::storage::engine::Engine;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

struct Head {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    age: usize,
    source: usize,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then(other.age.cmp(&self.age))
    }
}

type Source = Box<dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>>;

/// Several sorted sources as one; the newest wins.
pub struct Merge {
    heap: BinaryHeap<Head>,
    sources: Vec<Source>,
}

impl Merge {
    pub fn new(mut sources: Vec<Source>) -> Self {
        let mut heap = BinaryHeap::new();
        for (index, source) in sources.iter_mut().enumerate() {
            if let Some((key, value)) = source.next() {
                heap.push(Head { key, value, age: index, source: index });
            }
        }
        Merge { heap, sources }
    }
}

impl Iterator for Merge {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let head = self.heap.pop()?;
            if let Some((key, value)) = self.sources[head.source].next() {
                self.heap.push(Head { key, value, age: head.age, source: head.source });
            }
            while self.heap.peek().is_some_and(|other| other.key == head.key) {
                let older = self.heap.pop()?;
                if let Some((key, value)) = self.sources[older.source].next() {
                    self.heap.push(Head { key, value, age: older.age, source: older.source });
                }
            }
            if let Some(value) = head.value {
                return Some((head.key, value));
            }
        }
    }
}

pub fn scan(engine: &Engine, from: &[u8], to: &[u8]) -> Result<Merge> {
    engine.scan(from, to)
}
