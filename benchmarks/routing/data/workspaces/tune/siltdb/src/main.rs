fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(problem) = siltdb::cli::run(&arguments) {
        eprintln!("siltdb: {problem}");
        std::process::exit(1);
    }
}
