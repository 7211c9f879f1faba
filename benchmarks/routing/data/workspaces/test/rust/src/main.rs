use lark::check::Checker;
use lark::modules::Loader;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: lark FILE");
        return ExitCode::from(2);
    };
    let mut loader = Loader::new();
    let root = match loader.load(path.as_ref()) {
        Ok(id) => id,
        Err(error) => {
            eprintln!("lark: {error}");
            return ExitCode::from(2);
        }
    };
    let mut checker = Checker::new(&mut loader);
    checker.check_module(root);
    let diagnostics = checker.finish();
    for d in &diagnostics {
        eprintln!("{d}");
    }
    if diagnostics.iter().any(|d| d.is_error()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
