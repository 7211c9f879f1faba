use crate::batch::Batch;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub struct Wal {
    file: File,
    path: PathBuf,
    sync: bool,
}

impl Wal {
    pub fn open(path: &Path, sync: bool) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Wal { file, path: path.to_path_buf(), sync })
    }

    pub fn append(&mut self, sequence: u64, batch: &Batch) -> Result<()> {
        let body = batch.encode();
        let mut record = Vec::with_capacity(body.len() + 16);
        record.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        record.extend_from_slice(&(body.len() as u32).to_le_bytes());
        record.extend_from_slice(&sequence.to_le_bytes());
        record.extend_from_slice(&body);
        self.file.write_all(&record)?;
        if self.sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Reads what was written; a torn record at the end is dropped.
    pub fn replay(path: &Path) -> Result<Vec<(u64, Batch)>> {
        let mut data = Vec::new();
        File::open(path)?.read_to_end(&mut data)?;
        let mut found = Vec::new();
        let mut at = 0;
        while at + 16 <= data.len() {
            let crc = u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
            let length = u32::from_le_bytes(data[at + 4..at + 8].try_into().unwrap()) as usize;
            let sequence = u64::from_le_bytes(data[at + 8..at + 16].try_into().unwrap());
            let Some(body) = data.get(at + 16..at + 16 + length) else { break };
            if crc32fast::hash(body) != crc {
                if at + 16 + length < data.len() {
                    return Err(Error::Corrupt(format!("record at {at}")));
                }
                break;
            }
            found.push((sequence, Batch::decode(body)?));
            at += 16 + length;
        }
        Ok(found)
    }

    pub fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path)?;
        Ok(())
    }
}
