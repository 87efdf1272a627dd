//! From words to tree. Precedence, from tight to loose: index and call, `!`, `< <= > >=`, `== !=`, `&&`, `||`.

use super::ast::{Ast, Comparison};
use super::context::Names;
use super::funcs;
use super::lexer::{Kind, Word};
use super::value::Value;
use super::{EvalError, MAX_CHAIN, MAX_DEPTH, Phase};

/// `None` for an empty expression, which is null.
pub(super) fn parse(words: &[Word], names: &Names) -> Result<Option<Ast>, EvalError> {
    let mut parser = Parser { words, names, at: 0, depth: 0 };
    if parser.peek().kind == Kind::End {
        return Ok(None);
    }
    let ast = parser.expression()?;
    match parser.peek().kind {
        Kind::End => Ok(Some(ast)),
        _ => Err(error("Unexpected symbol", parser.peek())),
    }
}

fn error(what: &str, word: &Word) -> EvalError {
    EvalError::new(Phase::Parsing, format!("{what}: '{}'", word.shown()), Some(word.offset))
}

struct Parser<'a> {
    words: &'a [Word],
    names: &'a Names,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Word {
        &self.words[self.at]
    }

    fn next(&mut self) -> &'a Word {
        let word = self.peek();
        if word.kind != Kind::End {
            self.at += 1;
        }
        word
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek().kind == *kind;
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, kind: &Kind) -> Result<(), EvalError> {
        if self.take(kind) { Ok(()) } else { Err(error("Unexpected symbol", self.peek())) }
    }

    fn deeper(&mut self) -> Result<(), EvalError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(&format!("Exceeded max expression depth {MAX_DEPTH}"), self.peek()));
        }
        Ok(())
    }

    /// Takes an operator of a chain, whose tree is as deep as the chain is long.
    fn longer(&mut self, length: usize) -> Result<usize, EvalError> {
        if length == MAX_CHAIN {
            return Err(error(&format!("Exceeded max chain of comparisons {MAX_CHAIN}"), self.peek()));
        }
        self.at += 1;
        Ok(length + 1)
    }

    /// The end came too early: the last word is shown.
    fn unfinished(&self) -> EvalError {
        error("Unexpected end of expression", &self.words[self.at.saturating_sub(1)])
    }

    fn expression(&mut self) -> Result<Ast, EvalError> {
        self.deeper()?;
        let ast = self.any()?;
        self.depth -= 1;
        Ok(ast)
    }

    fn any(&mut self) -> Result<Ast, EvalError> {
        let first = self.all()?;
        if self.peek().kind != Kind::Or {
            return Ok(first);
        }
        self.deeper()?;
        let mut args = vec![first];
        while self.take(&Kind::Or) {
            args.push(self.all()?);
        }
        self.depth -= 1;
        Ok(Ast::Or(args))
    }

    fn all(&mut self) -> Result<Ast, EvalError> {
        let first = self.equality()?;
        if self.peek().kind != Kind::And {
            return Ok(first);
        }
        self.deeper()?;
        let mut args = vec![first];
        while self.take(&Kind::And) {
            args.push(self.equality()?);
        }
        self.depth -= 1;
        Ok(Ast::And(args))
    }

    fn equality(&mut self) -> Result<Ast, EvalError> {
        let mut left = self.relation()?;
        let mut length = 0;
        loop {
            let how = match self.peek().kind {
                Kind::Equal => Comparison::Equal,
                Kind::NotEqual => Comparison::NotEqual,
                _ => return Ok(left),
            };
            length = self.longer(length)?;
            left = Ast::Compare(Box::new(left), how, Box::new(self.relation()?));
        }
    }

    fn relation(&mut self) -> Result<Ast, EvalError> {
        let mut left = self.unary()?;
        let mut length = 0;
        loop {
            let how = match self.peek().kind {
                Kind::Less => Comparison::Less,
                Kind::LessOrEqual => Comparison::LessOrEqual,
                Kind::Greater => Comparison::Greater,
                Kind::GreaterOrEqual => Comparison::GreaterOrEqual,
                _ => return Ok(left),
            };
            length = self.longer(length)?;
            left = Ast::Compare(Box::new(left), how, Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Result<Ast, EvalError> {
        if !self.take(&Kind::Bang) {
            return self.access();
        }
        self.deeper()?;
        let inner = self.unary()?;
        self.depth -= 1;
        Ok(Ast::Not(Box::new(inner)))
    }

    fn access(&mut self) -> Result<Ast, EvalError> {
        let indexable = matches!(self.peek().kind, Kind::Name | Kind::LeftParen);
        let mut ast = self.call()?;
        if !indexable {
            return Ok(ast);
        }
        let outer = self.depth;
        loop {
            if self.take(&Kind::LeftBracket) {
                ast = self.bracket(ast)?;
                self.deeper()?;
            } else if self.take(&Kind::Dot) {
                self.deeper()?;
                ast = self.dot(ast)?;
            } else {
                break;
            }
        }
        self.depth = outer;
        Ok(ast)
    }

    fn bracket(&mut self, object: Ast) -> Result<Ast, EvalError> {
        if self.take(&Kind::Star) {
            self.expect(&Kind::RightBracket)?;
            return Ok(Ast::Star(Box::new(object)));
        }
        let index = self.expression()?;
        self.expect(&Kind::RightBracket)?;
        Ok(Ast::Index(Box::new(object), Box::new(index)))
    }

    fn dot(&mut self, object: Ast) -> Result<Ast, EvalError> {
        if self.take(&Kind::Star) {
            return Ok(Ast::Star(Box::new(object)));
        }
        if self.peek().kind != Kind::Name {
            return Err(error("Unexpected symbol", self.peek()));
        }
        let name = Value::from(self.next().text.as_str());
        Ok(Ast::Index(Box::new(object), Box::new(Ast::Literal(name))))
    }

    fn call(&mut self) -> Result<Ast, EvalError> {
        if self.peek().kind != Kind::Name {
            return self.primary();
        }
        let word = self.next();
        if !self.take(&Kind::LeftParen) {
            if !self.names.has_context(&word.text) {
                return Err(error("Unrecognized named-value", word));
            }
            return Ok(Ast::Context(word.text.clone()));
        }
        let mut args = vec![];
        while !self.take(&Kind::RightParen) {
            args.push(self.expression()?);
            if self.peek().kind != Kind::RightParen {
                self.expect(&Kind::Comma)?;
            }
        }
        self.check_call(word, args.len())?;
        Ok(Ast::Call { name: word.text.clone(), offset: word.offset, args })
    }

    fn check_call(&self, word: &Word, count: usize) -> Result<(), EvalError> {
        let arity = funcs::arity(&word.text).or_else(|| self.names.function(&word.text));
        let Some((min, max)) = arity else {
            return Err(error("Unrecognized function", word));
        };
        if count < min {
            return Err(error("Too few parameters supplied", word));
        }
        if count > max {
            return Err(error("Too many parameters supplied", word));
        }
        if word.text.eq_ignore_ascii_case("case") && count.is_multiple_of(2) {
            let what = "Even number of parameters supplied, requires an odd number of parameters";
            return Err(error(what, word));
        }
        Ok(())
    }

    fn primary(&mut self) -> Result<Ast, EvalError> {
        let word = self.peek();
        let literal = match &word.kind {
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
            Kind::Number(number) => Value::Number(*number),
            Kind::Text(text) => Value::from(text.as_str()),
            Kind::LeftParen => {
                self.at += 1;
                return self.group();
            }
            Kind::End => return Err(self.unfinished()),
            _ => return Err(error("Unexpected symbol", word)),
        };
        self.at += 1;
        Ok(Ast::Literal(literal))
    }

    fn group(&mut self) -> Result<Ast, EvalError> {
        let inner = self.expression()?;
        if self.peek().kind == Kind::End {
            return Err(self.unfinished());
        }
        self.expect(&Kind::RightParen)?;
        Ok(inner)
    }
}
