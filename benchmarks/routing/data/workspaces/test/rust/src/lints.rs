use crate::ast::{Expr, ExprKind, Item, Stmt};
use crate::check::Checker;
use crate::fold;

pub fn run(checker: &mut Checker<'_>, items: &[Item]) {
    for item in items {
        if let Item::Fn(f) = item {
            walk(checker, &f.body);
        }
    }
}

fn walk(checker: &mut Checker<'_>, expr: &Expr) {
    match &expr.kind {
        ExprKind::If(condition, then, other) => {
            if let ExprKind::Bool(_) = condition.kind {
                checker.diagnostics.warning(condition.span, "this condition never changes");
            }
            walk(checker, then);
            if let Some(other) = other {
                walk(checker, other);
            }
        }
        ExprKind::Binary(_, a, b) => {
            if fold::int(expr).is_none() && fold::int(a).is_some() && fold::int(b).is_some() {
                checker.diagnostics.warning(expr.span, "this overflows");
            }
            walk(checker, a);
            walk(checker, b);
        }
        ExprKind::Block(stmts, last) => {
            for stmt in stmts {
                match stmt {
                    Stmt::Let { value, .. } => walk(checker, value),
                    Stmt::Expr(e) => walk(checker, e),
                }
            }
            if let Some(last) = last {
                walk(checker, last);
            }
        }
        ExprKind::While(_, body) => walk(checker, body),
        _ => {}
    }
}
