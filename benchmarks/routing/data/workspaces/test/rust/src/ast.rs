use crate::intern::Symbol;
use crate::span::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnOp {
    Neg,
    Not,
    Ref,
    Deref,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(Symbol),
    Name(Symbol),
    Unary(UnOp, Box<Expr>),
    Binary(BinOp, Box<Expr>, Box<Expr>),
    Assign(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Field(Box<Expr>, Symbol),
    Index(Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    While(Box<Expr>, Box<Expr>),
    Block(Vec<Stmt>, Option<Box<Expr>>),
    Match(Box<Expr>, Vec<(Pattern, Expr)>),
    Make(Symbol, Vec<(Symbol, Expr)>),
    Return(Option<Box<Expr>>),
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Pattern {
    Wild,
    Int(i64),
    Bool(bool),
    Bind(Symbol),
}

#[derive(Clone, Debug)]
pub enum Stmt {
    Let { name: Symbol, mutable: bool, ty: Option<TypeExpr>, value: Expr, span: Span },
    Expr(Expr),
}

#[derive(Clone, Debug)]
pub enum TypeExpr {
    Named(Symbol, Span),
    Ref(Box<TypeExpr>, bool),
    List(Box<TypeExpr>),
    Fn(Vec<TypeExpr>, Box<TypeExpr>),
}

#[derive(Clone, Debug)]
pub struct FnItem {
    pub name: Symbol,
    pub params: Vec<(Symbol, TypeExpr)>,
    pub result: Option<TypeExpr>,
    pub body: Expr,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct StructItem {
    pub name: Symbol,
    pub fields: Vec<(Symbol, TypeExpr)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Item {
    Fn(FnItem),
    Struct(StructItem),
    Use(Vec<Symbol>, Span),
}
