use crate::ast::*;
use crate::builtins;
use crate::diag::{Diagnostic, Diagnostics};
use crate::fold;
use crate::infer::{coerce, Table};
use crate::intern::Symbol;
use crate::lints;
use crate::modules::{Loader, ModuleId};
use crate::pretty::show;
use crate::resolve::{declare, resolve_type, Def, Scopes};
use crate::span::Span;
use crate::types::Type;
use rustc_hash::{FxHashMap, FxHashSet};

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Value,
    Mutable,
    Immutable,
}

/// Types, moves and borrows of a module and of all that it uses.
pub struct Checker<'a> {
    pub loader: &'a mut Loader,
    pub scopes: Scopes,
    pub table: Table,
    pub diagnostics: Diagnostics,
    result: Type,
    loop_depth: u32,
    borrowed: FxHashMap<Symbol, (bool, u32)>,
    done: FxHashSet<ModuleId>,
    active: Vec<ModuleId>,
    exports: FxHashMap<ModuleId, Vec<(Symbol, Def)>>,
    widened: Vec<Span>,
}

impl<'a> Checker<'a> {
    pub fn new(loader: &'a mut Loader) -> Self {
        Checker {
            loader,
            scopes: Scopes::default(),
            table: Table::default(),
            diagnostics: Diagnostics::default(),
            result: Type::Unit,
            loop_depth: 0,
            borrowed: FxHashMap::default(),
            done: FxHashSet::default(),
            active: Vec::new(),
            exports: FxHashMap::default(),
            widened: Vec::new(),
        }
    }

    pub fn name(&self, symbol: Symbol) -> &str {
        self.loader.names.name(symbol)
    }

    pub fn unknown(&mut self, name: Symbol, span: Span) {
        let text = format!("nothing is called {}", self.name(name));
        self.diagnostics.error(span, text);
    }

    pub fn duplicate(&mut self, name: Symbol, span: Span) {
        let text = format!("{} is there twice", self.name(name));
        self.diagnostics.error(span, text);
    }

    pub fn mismatch(&mut self, want: &Type, have: &Type, span: Span) {
        let text = format!("expected {}, found {}", show(self, want), show(self, have));
        self.diagnostics.error(span, text);
    }

    pub fn note_widening(&mut self, span: Span) {
        self.widened.push(span);
    }

    pub fn import(&mut self, path: &[Symbol], span: Span) {
        let Some(id) = self.loader.find(path) else {
            self.unknown(path[path.len() - 1], span);
            return;
        };
        if self.active.contains(&id) {
            self.diagnostics.error(span, "modules use each other in a circle");
            return;
        }
        self.check_module(id);
        for (name, def) in self.exports.get(&id).cloned().unwrap_or_default() {
            self.scopes.define(name, def);
        }
        self.scopes.define(path[path.len() - 1], Def::Module(id));
    }

    pub fn check_module(&mut self, id: ModuleId) {
        if !self.done.insert(id) {
            return;
        }
        self.active.push(id);
        let items = self.loader.items(id).to_vec();
        let outer = std::mem::take(&mut self.scopes);
        self.scopes.push();
        builtins::define_all(self);
        self.scopes.push();
        declare(self, &items);
        for item in &items {
            if let Item::Fn(f) = item {
                self.check_fn(f);
            }
        }
        let mut exported = Vec::new();
        for item in &items {
            let name = match item {
                Item::Fn(f) => f.name,
                Item::Struct(s) => s.name,
                Item::Use(..) => continue,
            };
            if let Some(def) = self.scopes.find(name) {
                exported.push((name, def.clone()));
            }
        }
        self.exports.insert(id, exported);
        lints::run(self, &items);
        self.scopes = outer;
        self.active.pop();
    }

    fn check_fn(&mut self, f: &FnItem) {
        self.scopes.push();
        self.borrowed.clear();
        for (name, ty) in &f.params {
            let ty = resolve_type(self, ty);
            if self.scopes.define(*name, Def::Local { ty, mutable: false, moved: false }).is_some() {
                self.duplicate(*name, f.span);
            }
        }
        let result = f.result.as_ref().map_or(Type::Unit, |t| resolve_type(self, t));
        let before = std::mem::replace(&mut self.result, result.clone());
        let body = self.expr(&f.body, Some(&result));
        coerce(self, &result, &body, f.body.span);
        self.result = before;
        self.scopes.pop();
    }

    fn place(&self, expr: &Expr) -> Place {
        match &expr.kind {
            ExprKind::Name(name) => match self.scopes.find(*name) {
                Some(Def::Local { mutable: true, .. }) => Place::Mutable,
                Some(Def::Local { .. }) => Place::Immutable,
                _ => Place::Value,
            },
            ExprKind::Field(base, _) | ExprKind::Index(base, _) => self.place(base),
            ExprKind::Unary(UnOp::Deref, _) => Place::Mutable,
            _ => Place::Value,
        }
    }

    fn consume(&mut self, expr: &Expr, ty: &Type) {
        if self.table.shallow(ty).is_copy() {
            return;
        }
        let ExprKind::Name(name) = expr.kind else { return };
        if self.borrowed.get(&name).is_some_and(|(_, n)| *n > 0) {
            let text = format!("{} cannot be moved while it is borrowed", self.name(name));
            self.diagnostics.error(expr.span, text);
        }
        if self.loop_depth > 0 {
            let text = format!("{} would be moved again in the next round", self.name(name));
            self.diagnostics.warning(expr.span, text);
        }
        if let Some(Def::Local { moved, .. }) = self.scopes.find_mut(name) {
            *moved = true;
        }
    }

    pub fn expr(&mut self, expr: &Expr, want: Option<&Type>) -> Type {
        match &expr.kind {
            ExprKind::Int(_) => match want.map(|w| self.table.shallow(w)) {
                Some(Type::Float) => Type::Float,
                _ => Type::Int,
            },
            ExprKind::Float(_) => Type::Float,
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::Str(_) => Type::Str,
            ExprKind::Name(name) => match self.scopes.find(*name).cloned() {
                Some(Def::Local { ty, moved, .. }) => {
                    if moved {
                        let text = format!("{} was moved away", self.name(*name));
                        self.diagnostics.error(expr.span, text);
                    }
                    ty
                }
                Some(Def::Fn(ty)) => ty,
                Some(Def::Struct(_)) | Some(Def::Module(_)) => {
                    self.diagnostics.error(expr.span, "this is no value");
                    Type::Error
                }
                None => {
                    self.unknown(*name, expr.span);
                    Type::Error
                }
            },
            ExprKind::Unary(op, inner) => self.unary(*op, inner, expr.span),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, expr.span),
            ExprKind::Assign(target, value) => {
                let ty = self.expr(target, None);
                match self.place(target) {
                    Place::Mutable => {}
                    Place::Immutable => self.diagnostics.error(target.span, "this cannot be changed; write let mut"),
                    Place::Value => self.diagnostics.error(target.span, "this cannot be assigned to"),
                }
                let got = self.expr(value, Some(&ty));
                coerce(self, &ty, &got, value.span);
                self.consume(value, &got);
                if let ExprKind::Name(name) = target.kind {
                    if let Some(Def::Local { moved, .. }) = self.scopes.find_mut(name) {
                        *moved = false;
                    }
                }
                Type::Unit
            }
            ExprKind::Call(callee, arguments) => self.call(callee, arguments, want, expr.span),
            ExprKind::Field(base, field) => {
                let mut ty = self.expr(base, None);
                while let Type::Ref(inner, _) = self.table.shallow(&ty) {
                    ty = *inner;
                }
                match self.table.shallow(&ty) {
                    Type::Struct(name) => match self.scopes.find(name) {
                        Some(Def::Struct(fields)) => match fields.iter().find(|(n, _)| n == field) {
                            Some((_, ty)) => ty.clone(),
                            None => {
                                self.unknown(*field, expr.span);
                                Type::Error
                            }
                        },
                        _ => Type::Error,
                    },
                    Type::Error => Type::Error,
                    Type::Var(_) => {
                        self.diagnostics.error(base.span, "the type is not known yet here");
                        Type::Error
                    }
                    _ => {
                        self.unknown(*field, expr.span);
                        Type::Error
                    }
                }
            }
            ExprKind::Index(base, index) => {
                let got = self.expr(index, Some(&Type::Int));
                coerce(self, &Type::Int, &got, index.span);
                let element = self.table.fresh();
                let list = self.expr(base, None);
                coerce(self, &Type::List(Box::new(element.clone())), &list, base.span);
                if let (ExprKind::Int(i), Some(n)) = (&index.kind, fold::length(base)) {
                    if *i < 0 || *i >= n {
                        self.diagnostics.error(index.span, "this is outside the list");
                    }
                }
                self.table.shallow(&element)
            }
            ExprKind::If(condition, then, other) => {
                let got = self.expr(condition, Some(&Type::Bool));
                coerce(self, &Type::Bool, &got, condition.span);
                let moved_before = self.moved();
                let first = self.expr(then, want);
                let moved_then = self.moved();
                self.set_moved(&moved_before);
                match other {
                    Some(other) => {
                        let second = self.expr(other, want.or(Some(&first)));
                        let mut both = self.moved();
                        both.extend(moved_then);
                        self.set_moved(&both);
                        if first == Type::Never { second } else { coerce(self, &first, &second, other.span) }
                    }
                    None => {
                        self.set_moved(&moved_then);
                        coerce(self, &Type::Unit, &first, then.span);
                        Type::Unit
                    }
                }
            }
            ExprKind::While(condition, body) => {
                let got = self.expr(condition, Some(&Type::Bool));
                coerce(self, &Type::Bool, &got, condition.span);
                self.loop_depth += 1;
                self.expr(body, Some(&Type::Unit));
                self.loop_depth -= 1;
                if let ExprKind::Bool(true) = condition.kind { Type::Never } else { Type::Unit }
            }
            ExprKind::Block(stmts, last) => {
                self.scopes.push();
                let mut ended = false;
                for stmt in stmts {
                    if ended {
                        let span = match stmt {
                            Stmt::Let { span, .. } => *span,
                            Stmt::Expr(e) => e.span,
                        };
                        self.diagnostics.warning(span, "this is never reached");
                        ended = false;
                    }
                    match stmt {
                        Stmt::Let { name, mutable, ty, value, .. } => {
                            let wanted = ty.as_ref().map(|t| resolve_type(self, t));
                            let got = self.expr(value, wanted.as_ref());
                            let ty = match wanted {
                                Some(wanted) => coerce(self, &wanted, &got, value.span),
                                None => got,
                            };
                            self.consume(value, &ty);
                            ended |= ty == Type::Never;
                            self.scopes.define(*name, Def::Local { ty, mutable: *mutable, moved: false });
                        }
                        Stmt::Expr(e) => ended |= self.expr(e, None) == Type::Never,
                    }
                }
                let ty = match last {
                    Some(e) => {
                        let ty = self.expr(e, want);
                        self.consume(e, &ty);
                        ty
                    }
                    None if ended => Type::Never,
                    None => Type::Unit,
                };
                self.scopes.pop();
                ty
            }
            ExprKind::Match(subject, arms) => {
                let subject_ty = self.expr(subject, None);
                let mut out: Option<Type> = want.cloned();
                let mut total = false;
                let mut bools = (false, false);
                for (pattern, body) in arms {
                    if total {
                        self.diagnostics.warning(body.span, "an arm before takes everything");
                    }
                    self.scopes.push();
                    match pattern {
                        Pattern::Wild => total = true,
                        Pattern::Bind(name) => {
                            total = true;
                            self.scopes.define(*name, Def::Local { ty: subject_ty.clone(), mutable: false, moved: false });
                        }
                        Pattern::Int(_) => {
                            coerce(self, &Type::Int, &subject_ty, subject.span);
                        }
                        Pattern::Bool(b) => {
                            coerce(self, &Type::Bool, &subject_ty, subject.span);
                            if *b { bools.0 = true } else { bools.1 = true }
                            total |= bools.0 && bools.1;
                        }
                    }
                    let ty = self.expr(body, out.as_ref());
                    out = Some(match out {
                        Some(before) if ty != Type::Never => coerce(self, &before, &ty, body.span),
                        Some(before) => before,
                        None => ty,
                    });
                    self.scopes.pop();
                }
                if !total {
                    self.diagnostics.error(expr.span, "not every case is handled");
                }
                out.unwrap_or(Type::Unit)
            }
            ExprKind::Make(name, given) => {
                let Some(Def::Struct(fields)) = self.scopes.find(*name).cloned() else {
                    self.unknown(*name, expr.span);
                    return Type::Error;
                };
                let mut seen = FxHashSet::default();
                for (field, value) in given {
                    if !seen.insert(*field) {
                        self.duplicate(*field, value.span);
                    }
                    match fields.iter().find(|(n, _)| n == field) {
                        Some((_, ty)) => {
                            let got = self.expr(value, Some(ty));
                            coerce(self, ty, &got, value.span);
                            self.consume(value, &got);
                        }
                        None => self.unknown(*field, value.span),
                    }
                }
                for (field, _) in &fields {
                    if !seen.contains(field) {
                        let text = format!("{} is missing", self.name(*field));
                        self.diagnostics.error(expr.span, text);
                    }
                }
                Type::Struct(*name)
            }
            ExprKind::Return(value) => {
                let result = self.result.clone();
                let got = match value {
                    Some(value) => self.expr(value, Some(&result)),
                    None => Type::Unit,
                };
                coerce(self, &result, &got, expr.span);
                Type::Never
            }
        }
    }

    fn unary(&mut self, op: UnOp, inner: &Expr, span: Span) -> Type {
        let ty = self.expr(inner, None);
        let ty = self.table.shallow(&ty);
        match op {
            UnOp::Neg if ty.is_number() => ty,
            UnOp::Not if ty == Type::Bool => ty,
            UnOp::Ref => {
                if let ExprKind::Name(name) = inner.kind {
                    let entry = self.borrowed.entry(name).or_insert((false, 0));
                    if entry.0 {
                        self.diagnostics.error(span, "this is borrowed to be changed already");
                    } else {
                        entry.1 += 1;
                    }
                }
                Type::Ref(Box::new(ty), false)
            }
            UnOp::Deref => match ty {
                Type::Ref(inner, _) => *inner,
                Type::Error => Type::Error,
                _ => {
                    self.diagnostics.error(span, "only references can be followed");
                    Type::Error
                }
            },
            _ if ty == Type::Error => Type::Error,
            _ => {
                self.diagnostics.error(span, "this operator does not fit the type");
                Type::Error
            }
        }
    }

    fn binary(&mut self, op: BinOp, left: &Expr, right: &Expr, span: Span) -> Type {
        let a = self.expr(left, None);
        let b = self.expr(right, Some(&a));
        if matches!(op, BinOp::Div | BinOp::Rem) && fold::is_zero(right) {
            self.diagnostics.error(right.span, "division by zero");
        }
        match op {
            BinOp::And | BinOp::Or => {
                coerce(self, &Type::Bool, &a, left.span);
                coerce(self, &Type::Bool, &b, right.span);
                Type::Bool
            }
            BinOp::Eq | BinOp::Ne => {
                coerce(self, &a, &b, span);
                Type::Bool
            }
            BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge => {
                let ty = coerce(self, &a, &b, span);
                if !ty.is_number() && ty != Type::Error && ty != Type::Str {
                    self.diagnostics.error(span, "these have no order");
                }
                Type::Bool
            }
            BinOp::Add if self.table.shallow(&a) == Type::Str => coerce(self, &Type::Str, &b, right.span),
            _ => {
                let ty = coerce(self, &a, &b, span);
                if !ty.is_number() && ty != Type::Error {
                    self.diagnostics.error(span, "only numbers can be reckoned with");
                }
                ty
            }
        }
    }

    fn call(&mut self, callee: &Expr, arguments: &[Expr], want: Option<&Type>, span: Span) -> Type {
        if let Some(ty) = builtins::special_call(self, callee, arguments, want) {
            return ty;
        }
        let ty = self.expr(callee, None);
        match self.table.shallow(&ty) {
            Type::Fn(params, result) => {
                if params.len() != arguments.len() {
                    let text = format!("{} arguments are needed, {} given", params.len(), arguments.len());
                    self.diagnostics.error(span, text);
                }
                for (param, argument) in params.iter().zip(arguments) {
                    let got = self.expr(argument, Some(param));
                    coerce(self, param, &got, argument.span);
                    self.consume(argument, &got);
                }
                *result
            }
            Type::Error => Type::Error,
            _ => {
                self.diagnostics.error(callee.span, "only functions can be called");
                Type::Error
            }
        }
    }

    fn moved(&self) -> Vec<Symbol> {
        self.borrowed.keys().copied().filter(|n| matches!(self.scopes.find(*n), Some(Def::Local { moved: true, .. }))).collect()
    }

    fn set_moved(&mut self, names: &[Symbol]) {
        for name in self.borrowed.keys().copied().collect::<Vec<_>>() {
            if let Some(Def::Local { moved, .. }) = self.scopes.find_mut(name) {
                *moved = names.contains(&name);
            }
        }
    }

    pub fn finish(mut self) -> Vec<Diagnostic> {
        for span in std::mem::take(&mut self.widened) {
            self.diagnostics.warning(span, "a whole number becomes a float here");
        }
        self.diagnostics.list.sort_by_key(|d| (d.span.file, d.span.lo));
        self.diagnostics.list
    }
}
