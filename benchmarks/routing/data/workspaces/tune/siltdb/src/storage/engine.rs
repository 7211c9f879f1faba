use crate::batch::Batch;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::iter::Merge;
use crate::storage::memtable::Memtable;
use crate::storage::table::Table;
use crate::storage::wal::Wal;
use crate::storage::{compaction, manifest};
use crate::util::consts::{LEVELS, WAL_SUFFIX};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

struct Levels {
    tables: Vec<Vec<Arc<Table>>>,
    obsolete: Vec<Arc<Table>>,
}

/// The store: everything comes together here.
pub struct Engine {
    config: Config,
    active: RwLock<Memtable>,
    frozen: RwLock<Option<Arc<Memtable>>>,
    levels: RwLock<Levels>,
    wal: Mutex<Option<Wal>>,
    sequence: AtomicU64,
    next_file: AtomicU64,
    pins: Mutex<BTreeMap<u64, usize>>,
    closed: AtomicBool,
    pub flushes: AtomicU64,
    pub stalls: AtomicU64,
}

impl Engine {
    pub fn open(config: Config) -> Result<Arc<Engine>> {
        std::fs::create_dir_all(&config.folder)?;
        let mut tables: Vec<Vec<Arc<Table>>> = (0..LEVELS).map(|_| Vec::new()).collect();
        let mut next_file = 1;
        for (level, name) in manifest::load(&config.folder)? {
            let path = config.folder.join(&name);
            if level >= LEVELS {
                return Err(Error::Corrupt(format!("level {level}")));
            }
            if let Some(number) = name.strip_suffix(".sst").and_then(|stem| stem.parse::<u64>().ok()) {
                next_file = next_file.max(number + 1);
            } else {
                return Err(Error::Corrupt(name));
            }
            if !path.exists() {
                if config.read_only {
                    continue;
                }
                return Err(Error::Corrupt(format!("{name} is gone")));
            }
            tables[level].push(Arc::new(Table::write(&path, vec![(name.into_bytes(), None)])?));
        }
        let mut memtable = Memtable::default();
        let mut sequence = 0;
        let mut logs: Vec<_> = std::fs::read_dir(&config.folder)?
            .filter_map(|entry| entry.ok().map(|found| found.path()))
            .filter(|path| path.extension().is_some_and(|suffix| suffix == WAL_SUFFIX))
            .collect();
        logs.sort();
        for log in &logs {
            match Wal::replay(log) {
                Ok(records) => {
                    for (at, batch) in records {
                        if at > sequence {
                            sequence = at;
                        }
                        for (key, value) in batch.changes {
                            memtable.insert(key, value, at);
                        }
                    }
                }
                Err(Error::Corrupt(what)) if config.read_only => {
                    eprintln!("skipping the rest of {}: {what}", log.display());
                }
                Err(problem) => return Err(problem),
            }
        }
        let wal = if config.read_only {
            None
        } else {
            let path = config.folder.join(format!("{next_file:08}.{WAL_SUFFIX}"));
            next_file += 1;
            Some(Wal::open(&path, config.sync_writes)?)
        };
        let background = config.background && !config.read_only;
        let engine = Arc::new(Engine {
            config,
            active: RwLock::new(memtable),
            frozen: RwLock::new(None),
            levels: RwLock::new(Levels { tables, obsolete: Vec::new() }),
            wal: Mutex::new(wal),
            sequence: AtomicU64::new(sequence),
            next_file: AtomicU64::new(next_file),
            pins: Mutex::new(BTreeMap::new()),
            closed: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
        });
        if background {
            compaction::spawn(Arc::clone(&engine));
        }
        Ok(engine)
    }

    pub fn apply(&self, batch: Batch) -> Result<u64> {
        if self.config.read_only {
            return Err(Error::ReadOnly);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        for (key, _) in &batch.changes {
            if key.len() > u16::MAX as usize {
                return Err(Error::KeyTooLong(key.len()));
            }
        }
        let sequence = self.sequence.fetch_add(1, Ordering::AcqRel) + 1;
        {
            let mut wal = self.wal.lock();
            match wal.as_mut() {
                Some(log) => log.append(sequence, &batch)?,
                None => return Err(Error::Closed),
            }
        }
        let full = {
            let mut active = self.active.write();
            for (key, value) in batch.changes {
                active.insert(key, value, sequence);
            }
            active.size() > self.config.memtable_limit
        };
        if full {
            if self.frozen.read().is_some() {
                self.stalls.fetch_add(1, Ordering::Relaxed);
                while self.frozen.read().is_some() && !self.is_closed() {
                    std::thread::yield_now();
                }
            }
            self.flush()?;
        }
        Ok(sequence)
    }

    pub fn flush(&self) -> Result<()> {
        let frozen = {
            let mut active = self.active.write();
            if active.is_empty() {
                return Ok(());
            }
            let full = std::mem::take(&mut *active);
            let shared = Arc::new(full);
            *self.frozen.write() = Some(Arc::clone(&shared));
            shared
        };
        let number = self.next_file.fetch_add(1, Ordering::AcqRel);
        let path = self.config.folder.join(format!("{number:08}.sst"));
        let entries = frozen.range(&[], &[0xFF; 64]);
        let table = Table::write(&path, entries)?;
        self.levels.write().tables[0].insert(0, Arc::new(table));
        manifest::save(self, &self.config.folder)?;
        let fresh = self.config.folder.join(format!("{number:08}.{WAL_SUFFIX}"));
        let old = self.wal.lock().replace(Wal::open(&fresh, self.config.sync_writes)?);
        if let Some(log) = old {
            log.remove()?;
        }
        *self.frozen.write() = None;
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_at(key, u64::MAX)
    }

    pub fn get_at(&self, key: &[u8], sequence: u64) -> Result<Option<Vec<u8>>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if let Some(found) = self.active.read().get(key, sequence) {
            return Ok(found.cloned());
        }
        if let Some(frozen) = self.frozen.read().as_ref() {
            if let Some(found) = frozen.get(key, sequence) {
                return Ok(found.cloned());
            }
        }
        let levels = self.levels.read();
        for (level, tables) in levels.tables.iter().enumerate() {
            if level == 0 {
                for table in tables {
                    if key >= table.first.as_slice() && key <= table.last.as_slice() {
                        if let Some(found) = table.get(key) {
                            return Ok(found.cloned());
                        }
                    }
                }
            } else {
                let index = tables.partition_point(|table| table.last.as_slice() < key);
                if let Some(table) = tables.get(index) {
                    if table.first.as_slice() <= key {
                        if let Some(found) = table.get(key) {
                            return Ok(found.cloned());
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    pub fn compact(&self, level: usize) -> Result<()> {
        let (inputs, below) = {
            let levels = self.levels.read();
            let Some(first) = levels.tables[level].last().cloned() else {
                return Ok(());
            };
            let mut inputs = vec![first];
            if level == 0 {
                for table in &levels.tables[0] {
                    if inputs.iter().any(|other| other.overlaps(table)) && !inputs.iter().any(|other| Arc::ptr_eq(other, table)) {
                        inputs.push(Arc::clone(table));
                    }
                }
            }
            let below: Vec<_> = levels.tables[level + 1]
                .iter()
                .filter(|table| inputs.iter().any(|input| input.overlaps(table)))
                .cloned()
                .collect();
            (inputs, below)
        };
        let oldest_pin = self.pins.lock().keys().next().copied();
        let bottom = level + 2 >= LEVELS;
        let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for table in below.iter().chain(inputs.iter()) {
            for (key, value) in table.range(&[], &[0xFF; 64]) {
                if value.is_none() && bottom && oldest_pin.is_none() {
                    merged.remove(&key);
                } else {
                    merged.insert(key, value);
                }
            }
        }
        let number = self.next_file.fetch_add(1, Ordering::AcqRel);
        let path = self.config.folder.join(format!("{number:08}.sst"));
        let output = if merged.is_empty() { None } else { Some(Arc::new(Table::write(&path, merged.into_iter().collect())?)) };
        {
            let mut levels = self.levels.write();
            for side in [level, level + 1] {
                let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut levels.tables[side])
                    .into_iter()
                    .partition(|table| inputs.iter().chain(&below).any(|used| Arc::ptr_eq(used, table)));
                levels.tables[side] = kept;
                levels.obsolete.extend(gone);
            }
            if let Some(table) = output {
                let index = levels.tables[level + 1].partition_point(|other| other.first < table.first);
                levels.tables[level + 1].insert(index, table);
            }
        }
        manifest::save(self, &self.config.folder)?;
        if oldest_pin.is_none() {
            for table in std::mem::take(&mut self.levels.write().obsolete) {
                std::fs::remove_file(&table.path)?;
            }
        }
        Ok(())
    }

    pub fn scan(&self, from: &[u8], to: &[u8]) -> Result<Merge> {
        let mut sources: Vec<Box<dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>>> = Vec::new();
        sources.push(Box::new(self.active.read().range(from, to).into_iter()));
        if let Some(frozen) = self.frozen.read().as_ref() {
            sources.push(Box::new(frozen.range(from, to).into_iter()));
        }
        for tables in &self.levels.read().tables {
            for table in tables {
                sources.push(Box::new(table.range(from, to).into_iter()));
            }
        }
        Ok(Merge::new(sources))
    }

    pub fn pin(&self) -> u64 {
        let sequence = self.sequence.load(Ordering::Acquire);
        *self.pins.lock().entry(sequence).or_insert(0) += 1;
        sequence
    }

    pub fn unpin(&self, sequence: u64) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&sequence);
            }
        }
    }

    pub fn table_names(&self) -> Vec<Vec<String>> {
        let levels = self.levels.read();
        levels
            .tables
            .iter()
            .map(|tables| {
                tables.iter().filter_map(|table| Some(table.path.file_name()?.to_string_lossy().into_owned())).collect()
            })
            .collect()
    }

    pub fn level_sizes(&self) -> Vec<u64> {
        self.levels.read().tables.iter().map(|tables| tables.iter().map(|table| table.size).sum()).collect()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.flush()
    }
}
