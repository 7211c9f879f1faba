use crate::diag::Diagnostics;
use crate::intern::Interner;
use crate::span::Span;
use crate::token::{Kind, Token};

pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    file: u32,
    names: &'a mut Interner,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str, file: u32, names: &'a mut Interner, diagnostics: &'a mut Diagnostics) -> Self {
        Lexer { text: text.as_bytes(), at: 0, file, names, diagnostics }
    }

    pub fn all(mut self) -> Vec<Token> {
        let mut out = Vec::new();
        loop {
            let token = self.next();
            out.push(token);
            if token.kind == Kind::Eof {
                return out;
            }
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_blank(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'/' if self.peek(1) == b'/' => {
                    while self.peek(0) != b'\n' && self.at < self.text.len() {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or("");
        match text {
            "let" => Kind::Let,
            "mut" => Kind::Mut,
            "fn" => Kind::Fn,
            "if" => Kind::If,
            "else" => Kind::Else,
            "while" => Kind::While,
            "return" => Kind::Return,
            "match" => Kind::Match,
            "struct" => Kind::Struct,
            "use" => Kind::Use,
            "true" => Kind::True,
            "false" => Kind::False,
            _ => Kind::Ident(self.names.intern(text)),
        }
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        let mut float = false;
        while self.peek(0).is_ascii_digit() || self.peek(0) == b'_' || (self.peek(0) == b'.' && self.peek(1).is_ascii_digit()) {
            float |= self.peek(0) == b'.';
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().filter(|b| **b != b'_').map(|b| *b as char).collect();
        if float {
            return Kind::Float(text.parse().unwrap_or(0.0));
        }
        match text.parse() {
            Ok(value) => Kind::Int(value),
            Err(_) => {
                let span = Span::new(self.file, start as u32, self.at as u32);
                self.diagnostics.error(span, "this number does not fit into 64 bits");
                Kind::Int(0)
            }
        }
    }

    fn string(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.peek(0) {
                0 | b'\n' => {
                    let span = Span::new(self.file, start as u32, self.at as u32);
                    self.diagnostics.error(span, "this text is not closed");
                    break;
                }
                b'"' => {
                    self.at += 1;
                    break;
                }
                b'\\' => {
                    out.push(if self.peek(1) == b'n' { b'\n' } else { self.peek(1) });
                    self.at += 2;
                }
                b => {
                    out.push(b);
                    self.at += 1;
                }
            }
        }
        Kind::Str(self.names.intern(&String::from_utf8_lossy(&out)))
    }

    fn two(&mut self, second: u8, both: Kind, one: Kind) -> Kind {
        self.at += 1;
        if self.peek(0) == second {
            self.at += 1;
            both
        } else {
            one
        }
    }

    fn next(&mut self) -> Token {
        self.skip_blank();
        let start = self.at;
        let kind = match self.peek(0) {
            0 => Kind::Eof,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'=' if self.peek(1) == b'>' => {
                self.at += 2;
                Kind::FatArrow
            }
            b'=' => self.two(b'=', Kind::EqEq, Kind::Eq),
            b'!' => self.two(b'=', Kind::NotEq, Kind::Bang),
            b'<' => self.two(b'=', Kind::Le, Kind::Lt),
            b'>' => self.two(b'=', Kind::Ge, Kind::Gt),
            b'&' => self.two(b'&', Kind::AndAnd, Kind::Amp),
            b'|' => self.two(b'|', Kind::OrOr, Kind::OrOr),
            b'-' => self.two(b'>', Kind::Arrow, Kind::Minus),
            other => {
                self.at += 1;
                match other {
                    b'(' => Kind::LParen,
                    b')' => Kind::RParen,
                    b'{' => Kind::LBrace,
                    b'}' => Kind::RBrace,
                    b'[' => Kind::LBracket,
                    b']' => Kind::RBracket,
                    b',' => Kind::Comma,
                    b':' => Kind::Colon,
                    b';' => Kind::Semi,
                    b'.' => Kind::Dot,
                    b'+' => Kind::Plus,
                    b'*' => Kind::Star,
                    b'/' => Kind::Slash,
                    b'%' => Kind::Percent,
                    _ => {
                        let span = Span::new(self.file, start as u32, self.at as u32);
                        self.diagnostics.error(span, "this character means nothing here");
                        return self.next();
                    }
                }
            }
        };
        Token { kind, span: Span::new(self.file, start as u32, self.at as u32) }
    }
}
