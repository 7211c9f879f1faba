use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Error {
    Io(io::Error),
    Corrupt(String),
    ReadOnly,
    Closed,
    KeyTooLong(usize),
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(inner) => write!(f, "{inner}"),
            Error::Corrupt(what) => write!(f, "the file is damaged: {what}"),
            Error::ReadOnly => write!(f, "opened for reading alone"),
            Error::Closed => write!(f, "the store is closed"),
            Error::KeyTooLong(length) => write!(f, "a key of {length} bytes is too long"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(inner: io::Error) -> Self {
        Error::Io(inner)
    }
}
