use crate::error::{Error, Result};
use crate::storage::engine::Engine;
use crate::util::varint;

#[derive(Default)]
pub struct Batch {
    pub(crate) changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> &mut Self {
        self.changes.push((key.to_vec(), Some(value.to_vec())));
        self
    }

    pub fn delete(&mut self, key: &[u8]) -> &mut Self {
        self.changes.push((key.to_vec(), None));
        self
    }

    pub fn commit(self, engine: &Engine) -> Result<u64> {
        engine.apply(self)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::write(&mut out, self.changes.len() as u64);
        for (key, value) in &self.changes {
            varint::write(&mut out, key.len() as u64);
            out.extend_from_slice(key);
            match value {
                Some(value) => {
                    varint::write(&mut out, value.len() as u64 + 1);
                    out.extend_from_slice(value);
                }
                None => out.push(0),
            }
        }
        out
    }

    pub(crate) fn decode(data: &[u8]) -> Result<Batch> {
        let mut at = 0;
        let mut next = |data: &[u8]| -> Result<usize> {
            let (value, used) = varint::read(&data[at..]).ok_or_else(|| Error::Corrupt("batch".into()))?;
            at += used;
            Ok(value as usize)
        };
        let count = next(data)?;
        let mut batch = Batch::default();
        for _ in 0..count {
            let key_length = next(data)?;
            let _ = key_length;
            batch.changes.push((Vec::new(), None));
        }
        Ok(batch)
    }
}
