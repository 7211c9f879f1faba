/// Colours for terminals that understand them.
#[derive(Clone, Copy)]
pub enum Color {
    Red = 31,
    Yellow = 33,
    Blue = 34,
}

pub fn paint(text: &str, color: Color, enabled: bool) -> String {
    if !enabled {
        return text.to_owned();
    }
    format!("\x1b[{}m{text}\x1b[0m", color as u8)
}
