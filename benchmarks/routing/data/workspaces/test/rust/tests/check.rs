use lark::check::Checker;
use lark::modules::Loader;
use std::path::PathBuf;

fn errors(text: &str) -> Vec<String> {
    let path: PathBuf = std::env::temp_dir().join(format!("lark-{}.lark", text.len()));
    std::fs::write(&path, text).unwrap();
    let mut loader = Loader::new();
    let id = loader.load(&path).unwrap();
    let mut checker = Checker::new(&mut loader);
    checker.check_module(id);
    checker.finish().into_iter().filter(|d| d.is_error()).map(|d| d.message).collect()
}

#[test]
fn a_moved_value_cannot_be_used() {
    let found = errors("struct P { x: int } fn f(p: P) { let q = p; let r = p; }");
    assert_eq!(found, ["p was moved away"]);
}

#[test]
fn branches_agree() {
    assert!(errors("fn f(b: bool) -> int { if b { 1 } else { 2 } }").is_empty());
    assert_eq!(errors("fn f(b: bool) -> int { if b { 1 } else { \"x\" } }").len(), 1);
}
