use crate::ast::{Item, TypeExpr};
use crate::builtins;
use crate::check::Checker;
use crate::intern::Symbol;
use crate::modules::ModuleId;
use crate::types::Type;
use rustc_hash::FxHashMap;

#[derive(Clone, Debug)]
pub enum Def {
    Local { ty: Type, mutable: bool, moved: bool },
    Fn(Type),
    Struct(Vec<(Symbol, Type)>),
    Module(ModuleId),
}

#[derive(Default)]
pub struct Scopes {
    stack: Vec<FxHashMap<Symbol, Def>>,
}

impl Scopes {
    pub fn push(&mut self) {
        self.stack.push(FxHashMap::default());
    }

    pub fn pop(&mut self) {
        self.stack.pop();
    }

    pub fn define(&mut self, name: Symbol, def: Def) -> Option<Def> {
        self.stack.last_mut().and_then(|top| top.insert(name, def))
    }

    pub fn find(&self, name: Symbol) -> Option<&Def> {
        self.stack.iter().rev().find_map(|scope| scope.get(&name))
    }

    pub fn find_mut(&mut self, name: Symbol) -> Option<&mut Def> {
        self.stack.iter_mut().rev().find_map(|scope| scope.get_mut(&name))
    }
}

pub fn resolve_type(checker: &mut Checker<'_>, ty: &TypeExpr) -> Type {
    match ty {
        TypeExpr::Ref(inner, mutable) => Type::Ref(Box::new(resolve_type(checker, inner)), *mutable),
        TypeExpr::List(inner) => Type::List(Box::new(resolve_type(checker, inner))),
        TypeExpr::Fn(params, result) => {
            let params = params.iter().map(|p| resolve_type(checker, p)).collect();
            Type::Fn(params, Box::new(resolve_type(checker, result)))
        }
        TypeExpr::Named(name, span) => {
            if let Some(ty) = builtins::type_named(checker.name(*name)) {
                return ty;
            }
            if let Some(Def::Struct(_)) = checker.scopes.find(*name) {
                return Type::Struct(*name);
            }
            checker.unknown(*name, *span);
            Type::Error
        }
    }
}

/// Enters the names of all items before any body is checked, so that order does not matter.
pub fn declare(checker: &mut Checker<'_>, items: &[Item]) {
    for item in items {
        if let Item::Struct(s) = item {
            if checker.scopes.define(s.name, Def::Struct(Vec::new())).is_some() {
                checker.duplicate(s.name, s.span);
            }
        }
    }
    for item in items {
        match item {
            Item::Struct(s) => {
                let fields = s.fields.iter().map(|(n, t)| (*n, resolve_type(checker, t))).collect();
                checker.scopes.define(s.name, Def::Struct(fields));
            }
            Item::Fn(f) => {
                let params = f.params.iter().map(|(_, t)| resolve_type(checker, t)).collect();
                let result = f.result.as_ref().map_or(Type::Unit, |t| resolve_type(checker, t));
                if checker.scopes.define(f.name, Def::Fn(Type::Fn(params, Box::new(result)))).is_some() {
                    checker.duplicate(f.name, f.span);
                }
            }
            Item::Use(path, span) => checker.import(path, *span),
        }
    }
}
