use crate::escape::headline;
use crate::span::Span;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
}

#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub level: Level,
    pub span: Span,
    pub message: String,
}

impl Diagnostic {
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error() { "error" } else { "warning" };
        write!(f, "{word} at {}:{}: {}", self.span.file, self.span.lo, headline(&self.message, 100))
    }
}

#[derive(Default)]
pub struct Diagnostics {
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic { level: Level::Error, span, message: message.into() });
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.list.push(Diagnostic { level: Level::Warning, span, message: message.into() });
    }
}
