use lark::diag::Diagnostics;
use lark::intern::Interner;
use lark::lexer::Lexer;
use lark::token::Kind;

#[test]
fn numbers_may_have_underscores() {
    let (mut names, mut diagnostics) = (Interner::default(), Diagnostics::default());
    let tokens = Lexer::new("1_000 2.5", 0, &mut names, &mut diagnostics).all();
    assert_eq!(tokens[0].kind, Kind::Int(1000));
    assert_eq!(tokens[1].kind, Kind::Float(2.5));
}
