use crate::batch::Batch;
use crate::error::Result;
use crate::storage::engine::Engine;
use crate::util::bytes::hex;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

fn answer(engine: &Engine, line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let reply = match (words.next(), words.next(), words.next()) {
        (Some("get"), Some(key), None) => match engine.get(key.as_bytes())? {
            Some(value) => String::from_utf8(value).unwrap_or_else(|bad| hex(bad.as_bytes())),
            None => "(none)".to_string(),
        },
        (Some("put"), Some(key), Some(value)) => {
            let mut batch = Batch::default();
            batch.put(key.as_bytes(), value.as_bytes());
            batch.commit(engine)?.to_string()
        }
        (Some("del"), Some(key), None) => {
            let mut batch = Batch::default();
            batch.delete(key.as_bytes());
            batch.commit(engine)?.to_string()
        }
        _ => "what?".to_string(),
    };
    Ok(reply)
}

fn talk(engine: &Engine, stream: TcpStream) -> Result<()> {
    let mut out = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        writeln!(out, "{}", answer(engine, &line?)?)?;
    }
    Ok(())
}

pub fn listen(engine: Arc<Engine>, address: &str) -> Result<()> {
    for stream in TcpListener::bind(address)?.incoming() {
        let engine = Arc::clone(&engine);
        let stream = stream?;
        thread::spawn(move || talk(&engine, stream));
    }
    Ok(())
}
