pub mod bytes;
pub mod consts;
pub mod varint;
