use crate::check::Checker;
use crate::span::Span;
use crate::types::Type;

/// Bindings of type variables; `None` is unbound.
#[derive(Default)]
pub struct Table {
    slots: Vec<Option<Type>>,
    undo: Vec<u32>,
}

impl Table {
    pub fn fresh(&mut self) -> Type {
        self.slots.push(None);
        Type::Var(self.slots.len() as u32 - 1)
    }

    pub fn mark(&self) -> usize {
        self.undo.len()
    }

    pub fn rewind(&mut self, mark: usize) {
        while self.undo.len() > mark {
            if let Some(var) = self.undo.pop() {
                self.slots[var as usize] = None;
            }
        }
    }

    pub fn shallow(&self, ty: &Type) -> Type {
        let mut current = ty.clone();
        while let Type::Var(var) = current {
            match &self.slots[var as usize] {
                Some(next) => current = next.clone(),
                None => return Type::Var(var),
            }
        }
        current
    }

    fn occurs(&self, var: u32, ty: &Type) -> bool {
        match self.shallow(ty) {
            Type::Var(other) => other == var,
            Type::List(inner) | Type::Ref(inner, _) => self.occurs(var, &inner),
            Type::Fn(params, result) => params.iter().any(|p| self.occurs(var, p)) || self.occurs(var, &result),
            _ => false,
        }
    }

    pub fn unify(&mut self, a: &Type, b: &Type) -> bool {
        let (a, b) = (self.shallow(a), self.shallow(b));
        match (&a, &b) {
            (Type::Error, _) | (_, Type::Error) | (Type::Never, _) | (_, Type::Never) => true,
            (Type::Var(x), Type::Var(y)) if x == y => true,
            (Type::Var(x), other) | (other, Type::Var(x)) => {
                if self.occurs(*x, other) {
                    return false;
                }
                self.slots[*x as usize] = Some(other.clone());
                self.undo.push(*x);
                true
            }
            (Type::List(x), Type::List(y)) => self.unify(x, y),
            (Type::Ref(x, m), Type::Ref(y, n)) => (m == n || *m) && self.unify(x, y),
            (Type::Fn(ps, r), Type::Fn(qs, s)) => {
                ps.len() == qs.len() && ps.iter().zip(qs).all(|(p, q)| self.unify(p, q)) && self.unify(r, s)
            }
            _ => a == b,
        }
    }
}

/// Unifies, and reports where that fails. `want` is what the surroundings ask for.
pub fn coerce(checker: &mut Checker<'_>, want: &Type, have: &Type, span: Span) -> Type {
    let mark = checker.table.mark();
    if checker.table.unify(want, have) {
        return checker.table.shallow(want);
    }
    checker.table.rewind(mark);
    if let (Type::Float, Type::Int) = (checker.table.shallow(want), checker.table.shallow(have)) {
        checker.note_widening(span);
        return Type::Float;
    }
    checker.mismatch(want, have, span);
    Type::Error
}
