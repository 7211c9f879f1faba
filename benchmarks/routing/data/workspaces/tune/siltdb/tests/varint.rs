use siltdb::util::varint;

#[test]
fn round_trip() {
    for value in [0, 1, 127, 128, 300, u64::MAX] {
        let mut out = Vec::new();
        varint::write(&mut out, value);
        assert_eq!(varint::read(&out), Some((value, out.len())));
    }
}
