use crate::intern::Symbol;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Int,
    Float,
    Bool,
    Str,
    Unit,
    Never,
    Error,
    Var(u32),
    Struct(Symbol),
    List(Box<Type>),
    Ref(Box<Type>, bool),
    Fn(Vec<Type>, Box<Type>),
}

impl Type {
    pub fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Float)
    }

    pub fn is_copy(&self) -> bool {
        matches!(self, Type::Int | Type::Float | Type::Bool | Type::Unit | Type::Ref(_, false))
    }
}
