/// How much was read, for `--verbose`.
#[derive(Default)]
pub struct Stats {
    pub files: usize,
    pub lines: usize,
    pub tokens: usize,
}

impl Stats {
    pub fn add(&mut self, lines: usize, tokens: usize) {
        self.files += 1;
        self.lines += lines;
        self.tokens += tokens;
    }

    pub fn summary(&self) -> String {
        format!("{} files, {} lines, {} tokens", self.files, self.lines, self.tokens)
    }
}
