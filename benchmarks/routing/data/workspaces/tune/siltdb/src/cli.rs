use crate::config::Config;
use crate::error::Result;
use crate::server;
use crate::storage::engine::Engine;

pub fn run(arguments: &[String]) -> Result<()> {
    let folder = arguments.first().map_or("silt-data", String::as_str);
    let engine = Engine::open(Config::new(folder))?;
    let address = arguments.get(1).map_or("127.0.0.1:7070", String::as_str);
    println!("listening on {address}");
    server::listen(engine, address)
}
