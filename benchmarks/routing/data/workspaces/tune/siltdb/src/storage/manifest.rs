use crate::error::Result;
use crate::storage::engine::Engine;
use std::fmt::Write as _;
use std::path::Path;

/// Writes which tables belong to which level, by a rename.
pub fn save(engine: &Engine, folder: &Path) -> Result<()> {
    let mut text = String::new();
    for (level, names) in engine.table_names().iter().enumerate() {
        for name in names {
            let _ = writeln!(text, "{level} {name}");
        }
    }
    let fresh = folder.join("MANIFEST.new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, folder.join("MANIFEST"))?;
    Ok(())
}

pub fn load(folder: &Path) -> Result<Vec<(usize, String)>> {
    let path = folder.join("MANIFEST");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(level, name)| Some((level.parse().ok()?, name.to_string())))
        .collect())
}
