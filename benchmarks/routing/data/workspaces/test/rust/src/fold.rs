use crate::ast::{BinOp, Expr, ExprKind, UnOp};

/// The value of an expression of whole numbers, where it is known before the program runs.
pub fn int(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Int(v) => Some(*v),
        ExprKind::Unary(UnOp::Neg, inner) => int(inner)?.checked_neg(),
        ExprKind::Binary(op, a, b) => {
            let (a, b) = (int(a)?, int(b)?);
            match op {
                BinOp::Add => a.checked_add(b),
                BinOp::Sub => a.checked_sub(b),
                BinOp::Mul => a.checked_mul(b),
                BinOp::Div => a.checked_div(b),
                BinOp::Rem => a.checked_rem(b),
                _ => None,
            }
        }
        _ => None,
    }
}

pub fn is_zero(expr: &Expr) -> bool {
    int(expr) == Some(0)
}

pub fn length(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Call(_, arguments) => Some(arguments.len() as i64),
        _ => None,
    }
}
