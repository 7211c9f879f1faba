use crate::check::Checker;
use crate::types::Type;

pub fn show(checker: &Checker<'_>, ty: &Type) -> String {
    match checker.table.shallow(ty) {
        Type::Int => "int".into(),
        Type::Float => "float".into(),
        Type::Bool => "bool".into(),
        Type::Str => "str".into(),
        Type::Unit => "unit".into(),
        Type::Never => "never".into(),
        Type::Error => "?".into(),
        Type::Var(n) => format!("_{n}"),
        Type::Struct(name) => checker.name(name).to_owned(),
        Type::List(inner) => format!("[{}]", show(checker, &inner)),
        Type::Ref(inner, mutable) => format!("&{}{}", if mutable { "mut " } else { "" }, show(checker, &inner)),
        Type::Fn(params, result) => {
            let params: Vec<_> = params.iter().map(|p| show(checker, p)).collect();
            format!("fn({}) -> {}", params.join(", "), show(checker, &result))
        }
    }
}
