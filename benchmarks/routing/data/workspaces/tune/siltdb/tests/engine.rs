use siltdb::batch::Batch;
use siltdb::config::Config;
use siltdb::Engine;

#[test]
fn reads_what_was_written() {
    let folder = std::env::temp_dir().join("silt-test-reads");
    let engine = Engine::open(Config::new(&folder)).unwrap();
    let mut batch = Batch::default();
    batch.put(b"a", b"1");
    batch.commit(&engine).unwrap();
    assert_eq!(engine.get(b"a").unwrap(), Some(b"1".to_vec()));
}
