use crate::ast::Item;
use crate::diag::Diagnostics;
use crate::intern::{Interner, Symbol};
use crate::lexer::Lexer;
use crate::parser::Parser;
use rustc_hash::FxHashMap;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModuleId(pub u32);

#[derive(Default)]
pub struct Loader {
    pub names: Interner,
    pub diagnostics: Diagnostics,
    root: PathBuf,
    modules: Vec<Vec<Item>>,
    by_path: FxHashMap<PathBuf, ModuleId>,
}

impl Loader {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn load(&mut self, path: &Path) -> io::Result<ModuleId> {
        if let Some(&id) = self.by_path.get(path) {
            return Ok(id);
        }
        let text = std::fs::read_to_string(path)?;
        let id = ModuleId(self.modules.len() as u32);
        if self.modules.is_empty() {
            self.root = path.parent().unwrap_or(Path::new(".")).to_owned();
        }
        let tokens = Lexer::new(&text, id.0, &mut self.names, &mut self.diagnostics).all();
        let items = Parser::new(&tokens, &mut self.diagnostics).items();
        self.modules.push(items);
        self.by_path.insert(path.to_owned(), id);
        Ok(id)
    }

    pub fn find(&mut self, path: &[Symbol]) -> Option<ModuleId> {
        let mut file = self.root.clone();
        for part in path {
            file.push(self.names.name(*part));
        }
        file.set_extension("lark");
        self.load(&file).ok()
    }

    pub fn items(&self, id: ModuleId) -> &[Item] {
        &self.modules[id.0 as usize]
    }
}
