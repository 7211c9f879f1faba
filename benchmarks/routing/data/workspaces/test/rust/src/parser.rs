use crate::ast::*;
use crate::diag::Diagnostics;
use crate::intern::Symbol;
use crate::token::{Kind, Token};

pub struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    diagnostics: &'a mut Diagnostics,
    no_struct: bool,
}

type Parsed<T> = Result<T, ()>;

impl<'a> Parser<'a> {
    pub fn new(tokens: &'a [Token], diagnostics: &'a mut Diagnostics) -> Self {
        Parser { tokens, at: 0, diagnostics, no_struct: false }
    }

    fn kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    fn bump(&mut self) -> Token {
        let token = self.tokens[self.at];
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, kind: Kind, what: &str) -> Parsed<Token> {
        if self.kind() == kind {
            return Ok(self.bump());
        }
        self.diagnostics.error(self.tokens[self.at].span, format!("expected {what}"));
        Err(())
    }

    fn ident(&mut self) -> Parsed<Symbol> {
        if let Kind::Ident(name) = self.kind() {
            self.bump();
            return Ok(name);
        }
        self.diagnostics.error(self.tokens[self.at].span, "expected a name");
        Err(())
    }

    pub fn items(&mut self) -> Vec<Item> {
        let mut out = Vec::new();
        while self.kind() != Kind::Eof {
            match self.item() {
                Ok(item) => out.push(item),
                Err(()) => self.recover(),
            }
        }
        out
    }

    fn recover(&mut self) {
        self.bump();
        while !matches!(self.kind(), Kind::Fn | Kind::Struct | Kind::Use | Kind::Eof) {
            self.bump();
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let start = self.tokens[self.at].span;
        match self.kind() {
            Kind::Fn => {
                self.bump();
                let name = self.ident()?;
                self.expect(Kind::LParen, "(")?;
                let mut params = Vec::new();
                while !self.eat(Kind::RParen) {
                    let param = self.ident()?;
                    self.expect(Kind::Colon, ":")?;
                    params.push((param, self.ty()?));
                    if !self.eat(Kind::Comma) {
                        self.expect(Kind::RParen, ")")?;
                        break;
                    }
                }
                let result = if self.eat(Kind::Arrow) { Some(self.ty()?) } else { None };
                let body = self.block()?;
                let span = start.to(body.span);
                Ok(Item::Fn(FnItem { name, params, result, body, span }))
            }
            Kind::Struct => {
                self.bump();
                let name = self.ident()?;
                self.expect(Kind::LBrace, "{")?;
                let mut fields = Vec::new();
                while !self.eat(Kind::RBrace) {
                    let field = self.ident()?;
                    self.expect(Kind::Colon, ":")?;
                    fields.push((field, self.ty()?));
                    if !self.eat(Kind::Comma) {
                        self.expect(Kind::RBrace, "}")?;
                        break;
                    }
                }
                Ok(Item::Struct(StructItem { name, fields, span: start }))
            }
            Kind::Use => {
                self.bump();
                let mut path = vec![self.ident()?];
                while self.eat(Kind::Dot) {
                    path.push(self.ident()?);
                }
                self.expect(Kind::Semi, ";")?;
                Ok(Item::Use(path, start))
            }
            _ => {
                self.diagnostics.error(start, "expected fn, struct or use");
                Err(())
            }
        }
    }

    fn ty(&mut self) -> Parsed<TypeExpr> {
        let span = self.tokens[self.at].span;
        if self.eat(Kind::Amp) {
            let mutable = self.eat(Kind::Mut);
            return Ok(TypeExpr::Ref(Box::new(self.ty()?), mutable));
        }
        if self.eat(Kind::LBracket) {
            let inner = self.ty()?;
            self.expect(Kind::RBracket, "]")?;
            return Ok(TypeExpr::List(Box::new(inner)));
        }
        Ok(TypeExpr::Named(self.ident()?, span))
    }

    fn block(&mut self) -> Parsed<Expr> {
        let start = self.expect(Kind::LBrace, "{")?.span;
        let before = std::mem::replace(&mut self.no_struct, false);
        let mut stmts = Vec::new();
        let mut last = None;
        while self.kind() != Kind::RBrace {
            if self.eat(Kind::Let) {
                let span = self.tokens[self.at].span;
                let mutable = self.eat(Kind::Mut);
                let name = self.ident()?;
                let ty = if self.eat(Kind::Colon) { Some(self.ty()?) } else { None };
                self.expect(Kind::Eq, "=")?;
                let value = self.expr(0)?;
                self.expect(Kind::Semi, ";")?;
                stmts.push(Stmt::Let { name, mutable, ty, value, span });
                continue;
            }
            let expr = self.expr(0)?;
            if self.eat(Kind::Semi) || matches!(expr.kind, ExprKind::While(..)) {
                stmts.push(Stmt::Expr(expr));
            } else {
                last = Some(Box::new(expr));
                break;
            }
        }
        let end = self.expect(Kind::RBrace, "}")?.span;
        self.no_struct = before;
        Ok(Expr { kind: ExprKind::Block(stmts, last), span: start.to(end) })
    }

    fn power(kind: Kind) -> Option<(BinOp, u8)> {
        Some(match kind {
            Kind::OrOr => (BinOp::Or, 1),
            Kind::AndAnd => (BinOp::And, 2),
            Kind::EqEq => (BinOp::Eq, 3),
            Kind::NotEq => (BinOp::Ne, 3),
            Kind::Lt => (BinOp::Lt, 4),
            Kind::Le => (BinOp::Le, 4),
            Kind::Gt => (BinOp::Gt, 4),
            Kind::Ge => (BinOp::Ge, 4),
            Kind::Plus => (BinOp::Add, 5),
            Kind::Minus => (BinOp::Sub, 5),
            Kind::Star => (BinOp::Mul, 6),
            Kind::Slash => (BinOp::Div, 6),
            Kind::Percent => (BinOp::Rem, 6),
            _ => return None,
        })
    }

    fn expr(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        if least == 0 && self.eat(Kind::Eq) {
            let right = self.expr(0)?;
            let span = left.span.to(right.span);
            return Ok(Expr { kind: ExprKind::Assign(Box::new(left), Box::new(right)), span });
        }
        while let Some((op, power)) = Self::power(self.kind()) {
            if power < least.max(1) {
                break;
            }
            self.bump();
            let right = self.expr(power + 1)?;
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), span };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.tokens[self.at].span;
        let op = match self.kind() {
            Kind::Minus => UnOp::Neg,
            Kind::Bang => UnOp::Not,
            Kind::Amp => UnOp::Ref,
            Kind::Star => UnOp::Deref,
            _ => return self.postfix(),
        };
        self.bump();
        let inner = self.unary()?;
        let span = start.to(inner.span);
        Ok(Expr { kind: ExprKind::Unary(op, Box::new(inner)), span })
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            let start = expr.span;
            if self.eat(Kind::LParen) {
                let mut arguments = Vec::new();
                while !self.eat(Kind::RParen) {
                    arguments.push(self.expr(0)?);
                    if !self.eat(Kind::Comma) {
                        self.expect(Kind::RParen, ")")?;
                        break;
                    }
                }
                expr = Expr { kind: ExprKind::Call(Box::new(expr), arguments), span: start };
            } else if self.eat(Kind::Dot) {
                let field = self.ident()?;
                expr = Expr { kind: ExprKind::Field(Box::new(expr), field), span: start };
            } else if self.eat(Kind::LBracket) {
                let index = self.expr(0)?;
                self.expect(Kind::RBracket, "]")?;
                expr = Expr { kind: ExprKind::Index(Box::new(expr), Box::new(index)), span: start };
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.bump();
        let span = token.span;
        let kind = match token.kind {
            Kind::Int(v) => ExprKind::Int(v),
            Kind::Float(v) => ExprKind::Float(v),
            Kind::Str(s) => ExprKind::Str(s),
            Kind::True => ExprKind::Bool(true),
            Kind::False => ExprKind::Bool(false),
            Kind::Ident(name) if self.kind() == Kind::LBrace && !self.no_struct => {
                self.bump();
                let mut fields = Vec::new();
                while !self.eat(Kind::RBrace) {
                    let field = self.ident()?;
                    self.expect(Kind::Colon, ":")?;
                    fields.push((field, self.expr(0)?));
                    if !self.eat(Kind::Comma) {
                        self.expect(Kind::RBrace, "}")?;
                        break;
                    }
                }
                ExprKind::Make(name, fields)
            }
            Kind::Ident(name) => ExprKind::Name(name),
            Kind::LParen => {
                let inner = self.expr(0)?;
                self.expect(Kind::RParen, ")")?;
                return Ok(inner);
            }
            Kind::If => {
                let before = std::mem::replace(&mut self.no_struct, true);
                let condition = self.expr(0)?;
                self.no_struct = before;
                let then = self.block()?;
                let other = if self.eat(Kind::Else) { Some(Box::new(self.block()?)) } else { None };
                ExprKind::If(Box::new(condition), Box::new(then), other)
            }
            Kind::While => {
                let before = std::mem::replace(&mut self.no_struct, true);
                let condition = self.expr(0)?;
                self.no_struct = before;
                ExprKind::While(Box::new(condition), Box::new(self.block()?))
            }
            Kind::Return => {
                let value = if self.kind() == Kind::Semi { None } else { Some(Box::new(self.expr(0)?)) };
                ExprKind::Return(value)
            }
            _ => {
                self.diagnostics.error(span, "expected an expression");
                return Err(());
            }
        };
        Ok(Expr { kind, span })
    }
}
