use crate::ast::{Expr, ExprKind};
use crate::check::Checker;
use crate::infer::coerce;
use crate::resolve::Def;
use crate::types::Type;

pub fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "int" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "str" => Type::Str,
        "unit" => Type::Unit,
        "never" => Type::Never,
        _ => return None,
    })
}

pub fn define_all(checker: &mut Checker<'_>) {
    for (name, params, result) in [
        ("print", vec![Type::Str], Type::Unit),
        ("sqrt", vec![Type::Float], Type::Float),
        ("exit", vec![Type::Int], Type::Never),
    ] {
        let symbol = checker.loader.names.intern(name);
        checker.scopes.define(symbol, Def::Fn(Type::Fn(params, Box::new(result))));
    }
}

/// Calls whose type depends on their arguments: `list(..)` and `len(..)`.
pub fn special_call(checker: &mut Checker<'_>, callee: &Expr, arguments: &[Expr], want: Option<&Type>) -> Option<Type> {
    let ExprKind::Name(name) = callee.kind else { return None };
    match checker.name(name) {
        "list" => {
            let element = match want {
                Some(Type::List(inner)) => (**inner).clone(),
                _ => checker.table.fresh(),
            };
            for argument in arguments {
                let got = checker.expr(argument, Some(&element));
                coerce(checker, &element, &got, argument.span);
            }
            Some(Type::List(Box::new(element)))
        }
        "len" if arguments.len() == 1 => {
            checker.expr(&arguments[0], None);
            Some(Type::Int)
        }
        _ => None,
    }
}
