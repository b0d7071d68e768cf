//! From text to tree: ZEN's lexer and parser, then our refusals and a tree of our own.
//!
//! Refused here: randomness, the clock, assignments, `$root`, outdated functions, ranges that are
//! not literal or too long, closures more than two deep.
//!
//! Not here: the limits on the text and its tokens (`guard`).

use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Map, Value};
use zen_expression::functions::{DateMethod, FunctionKind, InternalFunction, MethodKind};
use zen_expression::lexer::{
    ArithmeticOperator, Bracket, ComparisonOperator, Lexer, LexerError, LogicalOperator, Operator,
};
use zen_expression::parser::{AstNodeError, Node as Ast, Parser, ParserResult};

use super::tree::{Binary, Interval, Node, Step};
use super::{ExprError, Grammar, guard, number};

/// Longest range that stands for a list.
const RANGE_LENGTH_MAX: i64 = 1000;
/// Most closures inside each other.
const CLOSURES_MAX: usize = 2;
/// Deepest tree. The guard's limits on brackets and operators keep honest texts far below.
const DEPTH_MAX: usize = 400;

type Reads = Vec<Vec<Arc<str>>>;

pub(super) fn parse(source: &str, grammar: Grammar) -> Result<(Node, Reads), ExprError> {
    guard::length(source)?;
    let whole = |code, message: String| ExprError { code, message, from: 0, to: source.len() };
    let bump = Bump::new();
    let tokens = Lexer::new().tokenize(&bump, source).map_err(|error| lexer_error(&error, source.len()))?;
    guard::tokens(&tokens)?;
    let parser =
        Parser::try_new(&tokens, &bump).map_err(|_| whole("EXPRESSION_SYNTAX", "this is no expression".to_owned()))?;
    let parsed = match grammar {
        Grammar::Standard => parser.standard().with_metadata().parse(),
        Grammar::Cell => parser.unary().with_metadata().parse(),
    };
    if let Some(error) = parsed.root.first_error() {
        let (from, to) = error_span(&error, source.len());
        return Err(ExprError {
            code: "EXPRESSION_SYNTAX",
            message: said(&error, source.get(from..to).unwrap_or(source)),
            from,
            to,
        });
    }
    if !parsed.is_complete {
        return Err(whole("EXPRESSION_SYNTAX", "text is left over after the expression".to_owned()));
    }
    let mut translator =
        Translator { parsed: &parsed, source_bytes: source.len(), grammar, aliases: Vec::new(), depth: 0 };
    let node = translator.node(parsed.root)?;
    let mut reads = Vec::new();
    collect_reads(&node, &mut reads);
    Ok((node, reads))
}

fn lexer_error(error: &LexerError, length: usize) -> ExprError {
    let (message, from, to) = match error {
        LexerError::UnexpectedSymbol { symbol, span } => (format!("`{symbol}` means nothing here"), span.0, span.1),
        LexerError::UnmatchedSymbol { symbol, position } => {
            (format!("`{symbol}` means nothing here"), *position, position + 1)
        }
        LexerError::UnexpectedEof { position, .. } => {
            ("the text ends within a text in quotes".to_owned(), *position, position + 1)
        }
    };
    let (from, to) = ((from as usize).min(length), (to as usize).min(length));
    ExprError { code: "EXPRESSION_SYNTAX", message, from, to }
}

/// The parser's error in our words.
fn said(error: &AstNodeError<'_>, at: &str) -> String {
    match error {
        AstNodeError::UnknownBuiltIn { name, .. } => format!("there is no function `{name}`"),
        AstNodeError::UnknownMethod { name, .. } => format!("there is no method `{name}`"),
        AstNodeError::UnexpectedIdentifier { .. } | AstNodeError::UnexpectedToken { .. } => {
            format!("`{at}` cannot stand here")
        }
        AstNodeError::InvalidNumber { number, .. } => format!("`{number}` is no number of at most 28 digits"),
        AstNodeError::InvalidBoolean { boolean, .. } => format!("`{boolean}` is neither true nor false"),
        AstNodeError::InvalidProperty { property, .. } => format!("`{property}` is no name of a field"),
        AstNodeError::MissingToken { expected, .. } => format!("`{expected}` is missing"),
        AstNodeError::ExpectedProperty { .. } => "the name of a field is missing".to_owned(),
        AstNodeError::ExpectedLiteral { .. } => "a value is missing".to_owned(),
        AstNodeError::UnexpectedEnd { .. } => "the expression ends too early".to_owned(),
        AstNodeError::Custom { message, .. } => message.trim_end_matches('.').to_owned(),
    }
}

fn error_span(error: &AstNodeError<'_>, length: usize) -> (usize, usize) {
    let (from, to) = match error {
        AstNodeError::MissingToken { position, .. } => (*position, *position),
        AstNodeError::UnknownBuiltIn { span, .. }
        | AstNodeError::UnknownMethod { span, .. }
        | AstNodeError::UnexpectedIdentifier { span, .. }
        | AstNodeError::UnexpectedToken { span, .. }
        | AstNodeError::InvalidNumber { span, .. }
        | AstNodeError::InvalidBoolean { span, .. }
        | AstNodeError::InvalidProperty { span, .. }
        | AstNodeError::ExpectedProperty { span }
        | AstNodeError::ExpectedLiteral { span }
        | AstNodeError::UnexpectedEnd { span }
        | AstNodeError::Custom { span, .. } => (span.0 as usize, span.1 as usize),
    };
    (from.min(length), to.min(length))
}

struct Translator<'p, 'a> {
    parsed: &'p ParserResult<'a>,
    source_bytes: usize,
    grammar: Grammar,
    /// One entry per closure around the current place, outermost first.
    aliases: Vec<Option<&'a str>>,
    depth: usize,
}

impl<'a> Translator<'_, 'a> {
    fn refuse<T>(&self, code: &'static str, message: impl Into<String>, at: &Ast<'_>) -> Result<T, ExprError> {
        let key = std::ptr::from_ref(at) as usize;
        let span = self.parsed.metadata.as_ref().and_then(|all| all.get(&key)).map(|found| found.span);
        let (from, to) = span.map_or((0, self.source_bytes), |(from, to)| (from as usize, to as usize));
        Err(ExprError { code, message: message.into(), from: from.min(to), to: to.min(self.source_bytes) })
    }

    fn node(&mut self, ast: &'a Ast<'a>) -> Result<Node, ExprError> {
        if self.depth >= DEPTH_MAX {
            return self.refuse("EXPRESSION_TOO_DEEP", format!("more than {DEPTH_MAX} steps inside each other"), ast);
        }
        self.depth += 1;
        let node = self.any(ast);
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, ast: &'a Ast<'a>) -> Result<Box<Node>, ExprError> {
        self.node(ast).map(Box::new)
    }

    fn list(&mut self, parts: &'a [&'a Ast<'a>]) -> Result<Vec<Node>, ExprError> {
        parts.iter().map(|part| self.node(part)).collect()
    }

    fn any(&mut self, ast: &'a Ast<'a>) -> Result<Node, ExprError> {
        Ok(match ast {
            Ast::Null => Node::Literal(Value::Null),
            Ast::Bool(value) => Node::Literal(Value::Bool(*value)),
            Ast::Number(value) => Node::Number(*value),
            Ast::String(text) => Node::Literal(Value::String((*text).to_owned())),
            Ast::TemplateString(parts) => Node::Text(self.list(parts)?),
            Ast::Pointer => Node::Item { depth: 0 },
            Ast::Array(parts) => folded_array(self.list(parts)?),
            Ast::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                folded_object(entries.collect::<Result<_, ExprError>>()?)
            }
            Ast::Assignments { .. } => {
                return self.refuse("EXPRESSION_ASSIGNS", "assignments are not part of expressions here", ast);
            }
            Ast::Identifier(name) => return self.name(name, ast),
            Ast::Closure { .. } | Ast::Error { .. } => {
                return self.refuse("EXPRESSION_SYNTAX", "this has no meaning here", ast);
            }
            Ast::Parenthesized(inner) => return self.node(inner),
            Ast::Root => {
                return self.refuse("EXPRESSION_ROOT", "`$root` is not available: name what is read", ast);
            }
            Ast::Member { node, property } => {
                let of = self.node(node)?;
                let key = self.node(property)?;
                member(of, key)
            }
            Ast::Slice { node, from, to } => Node::Slice {
                of: self.boxed(node)?,
                from: from.map(|from| self.boxed(from)).transpose()?,
                to: to.map(|to| self.boxed(to)).transpose()?,
            },
            Ast::Interval { left, right, left_bracket, right_bracket } => {
                return self.range(ast, left, right, *left_bracket, *right_bracket);
            }
            Ast::Conditional { condition, on_true, on_false } => {
                Node::If(Box::new((self.node(condition)?, self.node(on_true)?, self.node(on_false)?)))
            }
            Ast::Unary { node, operator } => match operator {
                Operator::Arithmetic(ArithmeticOperator::Add) => self.node(node)?,
                Operator::Arithmetic(ArithmeticOperator::Subtract) => match self.node(node)? {
                    Node::Number(value) => Node::Number(-value),
                    other => Node::Negate(Box::new(other)),
                },
                Operator::Logical(LogicalOperator::Not) => Node::Not(self.boxed(node)?),
                _ => return self.refuse("EXPRESSION_SYNTAX", format!("`{operator}` is no sign"), ast),
            },
            Ast::Binary { .. } => return self.chain(ast),
            Ast::FunctionCall { kind, arguments } => return self.call(ast, kind, arguments),
            Ast::MethodCall { kind, this, arguments } => return self.method(ast, kind, this, arguments),
        })
    }

    fn name(&self, name: &str, ast: &Ast<'_>) -> Result<Node, ExprError> {
        if name == "$" {
            return match self.grammar {
                Grammar::Cell => Ok(Node::Dollar),
                Grammar::Standard => self.refuse("EXPRESSION_DOLLAR", "`$` stands in decision table cells only", ast),
            };
        }
        if let Some(depth) = self.aliases.iter().rev().position(|alias| *alias == Some(name)) {
            return Ok(Node::Item { depth });
        }
        Ok(Node::Path { root: name.into(), steps: Vec::new() })
    }

    /// A chain such as `a + b + c` leans to the left and may be long: it is taken apart in a loop,
    /// so that its length costs no stack.
    fn chain(&mut self, ast: &'a Ast<'a>) -> Result<Node, ExprError> {
        let mut links = Vec::new();
        let mut first = ast;
        while let Ast::Binary { left, operator, right } = first {
            links.push((first, *operator, *right));
            first = left;
        }
        let mut node = self.node(first)?;
        for (ast, operator, right) in links.into_iter().rev() {
            node = self.link(ast, node, operator, right)?;
        }
        Ok(node)
    }

    fn link(
        &mut self,
        ast: &'a Ast<'a>,
        left: Node,
        operator: Operator,
        right: &'a Ast<'a>,
    ) -> Result<Node, ExprError> {
        use ArithmeticOperator as A;
        use ComparisonOperator as C;
        if let Operator::Comparison(within @ (C::In | C::NotIn)) = operator {
            return self.within(left, right, within == C::NotIn);
        }
        let sides = Box::new((left, self.node(right)?));
        let operator = match operator {
            Operator::Logical(LogicalOperator::And) => return Ok(Node::And(sides)),
            Operator::Logical(LogicalOperator::Or) => return Ok(Node::Or(sides)),
            Operator::Logical(LogicalOperator::NullishCoalescing) => return Ok(Node::Otherwise(sides)),
            Operator::Comparison(C::Equal) => Binary::Equal,
            Operator::Comparison(C::NotEqual) => Binary::NotEqual,
            Operator::Comparison(C::LessThan) => Binary::Less,
            Operator::Comparison(C::LessThanOrEqual) => Binary::LessOrEqual,
            Operator::Comparison(C::GreaterThan) => Binary::More,
            Operator::Comparison(C::GreaterThanOrEqual) => Binary::MoreOrEqual,
            Operator::Arithmetic(A::Add) => Binary::Add,
            Operator::Arithmetic(A::Subtract) => Binary::Subtract,
            Operator::Arithmetic(A::Multiply) => Binary::Multiply,
            Operator::Arithmetic(A::Divide) => Binary::Divide,
            Operator::Arithmetic(A::Modulus) => Binary::Modulo,
            Operator::Arithmetic(A::Power) => Binary::Power,
            other => return self.refuse("EXPRESSION_SYNTAX", format!("`{other}` joins nothing"), ast),
        };
        Ok(Node::Binary { operator, sides })
    }

    fn within(&mut self, item: Node, list: &'a Ast<'a>, negated: bool) -> Result<Node, ExprError> {
        let item = Box::new(item);
        let mut bare = list;
        while let Ast::Parenthesized(inner) = bare {
            bare = inner;
        }
        // An interval that is only asked whether it holds a value is never a list, so its length is free.
        if let Ast::Interval { left, right, left_bracket, right_bracket } = bare {
            let outside = matches!(left_bracket, Bracket::RightParenthesis | Bracket::RightSquareBracket);
            if outside != matches!(right_bracket, Bracket::LeftParenthesis | Bracket::LeftSquareBracket) {
                return self.refuse("EXPRESSION_SYNTAX", "the interval's brackets face the same way", bare);
            }
            let interval = Interval {
                outside,
                left_closed: matches!(left_bracket, Bracket::LeftSquareBracket | Bracket::RightSquareBracket),
                right_closed: matches!(right_bracket, Bracket::LeftSquareBracket | Bracket::RightSquareBracket),
            };
            let ends = Box::new((self.node(left)?, self.node(right)?));
            return Ok(Node::Between { item, ends, interval, negated });
        }
        Ok(Node::In { item, list: self.boxed(list)?, negated })
    }

    /// An interval that stands for the list of its whole numbers.
    fn range(
        &mut self,
        ast: &'a Ast<'a>,
        left: &'a Ast<'a>,
        right: &'a Ast<'a>,
        left_bracket: Bracket,
        right_bracket: Bracket,
    ) -> Result<Node, ExprError> {
        use rust_decimal::prelude::ToPrimitive;
        let (Node::Number(left), Node::Number(right)) = (self.node(left)?, self.node(right)?) else {
            return self.refuse("RANGE_NOT_LITERAL", "a range that stands for a list has numbers as its ends", ast);
        };
        let (Some(mut from), Some(mut to)) = (left.to_i64(), right.to_i64()) else {
            return self.refuse("RANGE_TOO_LONG", "the range's ends are too large", ast);
        };
        match (left_bracket, right_bracket) {
            (
                Bracket::LeftSquareBracket | Bracket::LeftParenthesis,
                Bracket::RightSquareBracket | Bracket::RightParenthesis,
            ) => {
                from = from.saturating_add(i64::from(left_bracket == Bracket::LeftParenthesis));
                to = to.saturating_sub(i64::from(right_bracket == Bracket::RightParenthesis));
            }
            _ => return self.refuse("RANGE_NOT_LITERAL", "this range stands for no list", ast),
        }
        if to.saturating_sub(from) >= RANGE_LENGTH_MAX {
            let message =
                format!("a list of {} numbers; a range makes at most {RANGE_LENGTH_MAX}", to.saturating_sub(from));
            return self.refuse("RANGE_TOO_LONG", message, ast);
        }
        Ok(Node::Literal((from..=to).map(Value::from).collect()))
    }

    fn call(&mut self, ast: &'a Ast<'a>, kind: &FunctionKind, arguments: &'a [&'a Ast<'a>]) -> Result<Node, ExprError> {
        let function = match kind {
            FunctionKind::Internal(function) => *function,
            FunctionKind::Deprecated(function) => {
                let message = format!("`{function}` is outdated: use `d(…)` and its methods");
                return self.refuse("FUNCTION_REFUSED", message, ast);
            }
            FunctionKind::Closure(function) => {
                let [list, Ast::Closure { body, alias }] = arguments else {
                    return self.refuse("FUNCTION_ARGUMENTS", format!("`{function}` takes a list and a rule"), ast);
                };
                let list = self.boxed(list)?;
                if self.aliases.len() >= CLOSURES_MAX {
                    let message = format!(
                        "`{function}` is closure number {} inside each other; at most {CLOSURES_MAX} are run",
                        CLOSURES_MAX + 1
                    );
                    return self.refuse("CLOSURES_TOO_DEEP", message, ast);
                }
                self.aliases.push(*alias);
                let body = self.boxed(body);
                self.aliases.pop();
                return Ok(Node::Closure { function: *function, list, body: body? });
            }
        };
        let (fewest, most) = match function {
            InternalFunction::Rand => {
                return self.refuse("RANDOMNESS_REFUSED", "`rand` would give another value on every run", ast);
            }
            InternalFunction::FuzzyMatch => {
                return self.refuse(
                    "FUNCTION_REFUSED",
                    "`fuzzyMatch` is not offered: its work grows with the square of its texts",
                    ast,
                );
            }
            InternalFunction::Date if arguments.is_empty() => {
                return self.refuse("CLOCK_REFUSED", "`d()` reads the clock: use `d(flow.now)`", ast);
            }
            InternalFunction::Date | InternalFunction::Round | InternalFunction::Trunc => (1, 2),
            InternalFunction::Contains
            | InternalFunction::StartsWith
            | InternalFunction::EndsWith
            | InternalFunction::Matches
            | InternalFunction::Extract
            | InternalFunction::Split => (2, 2),
            _ => (1, 1),
        };
        if arguments.len() < fewest || arguments.len() > most {
            let message = format!("`{function}` takes {fewest} to {most} arguments, not {}", arguments.len());
            return self.refuse("FUNCTION_ARGUMENTS", message, ast);
        }
        Ok(Node::Call { function, arguments: self.list(arguments)? })
    }

    fn method(
        &mut self,
        ast: &'a Ast<'a>,
        kind: &MethodKind,
        this: &'a Ast<'a>,
        arguments: &'a [&'a Ast<'a>],
    ) -> Result<Node, ExprError> {
        use DateMethod as D;
        let MethodKind::DateMethod(method) = kind;
        let (fewest, most) = match method {
            D::IsToday | D::IsYesterday | D::IsTomorrow => {
                return self.refuse(
                    "CLOCK_REFUSED",
                    format!("`{method}` reads the clock: compare with `d(flow.now)`"),
                    ast,
                );
            }
            D::Add | D::Sub | D::Diff | D::IsSame | D::IsBefore | D::IsAfter | D::IsSameOrBefore | D::IsSameOrAfter => {
                (1, 2)
            }
            D::Set => (2, 2),
            D::Format => (0, 1),
            D::StartOf | D::EndOf | D::Tz => (1, 1),
            _ => (0, 0),
        };
        if arguments.len() < fewest || arguments.len() > most {
            let message = format!("`{method}` takes {fewest} to {most} arguments, not {}", arguments.len());
            return self.refuse("FUNCTION_ARGUMENTS", message, ast);
        }
        let mut all = vec![self.node(this)?];
        all.extend(self.list(arguments)?);
        Ok(Node::DateCall { method: *method, arguments: all })
    }
}

fn member(of: Node, key: Node) -> Node {
    use rust_decimal::prelude::ToPrimitive;
    let step = match &key {
        Node::Literal(Value::String(key)) => Some(Step::Key(key.as_str().into())),
        Node::Number(index) if index.fract().is_zero() => index.to_usize().map(Step::Index),
        _ => None,
    };
    match (of, step) {
        (Node::Path { root, mut steps }, Some(step)) => {
            steps.push(step);
            Node::Path { root, steps }
        }
        (of, _) => Node::Member { of: Box::new(of), key: Box::new(key) },
    }
}

fn literal(node: &Node) -> Option<Value> {
    match node {
        Node::Literal(value) => Some(value.clone()),
        Node::Number(value) => number::to_json(*value).ok(),
        _ => None,
    }
}

fn folded_array(parts: Vec<Node>) -> Node {
    match parts.iter().map(literal).collect::<Option<Vec<_>>>() {
        Some(values) => Node::Literal(Value::Array(values)),
        None => Node::Array(parts),
    }
}

fn folded_object(entries: Vec<(Node, Node)>) -> Node {
    let folded = entries.iter().map(|(key, value)| match key {
        Node::Literal(Value::String(key)) => Some((key.clone(), literal(value)?)),
        _ => None,
    });
    match folded.collect::<Option<Map<_, _>>>() {
        Some(map) => Node::Literal(Value::Object(map)),
        None => Node::Object(entries),
    }
}

fn collect_reads(node: &Node, reads: &mut Reads) {
    if let Node::Path { root, steps } = node {
        let keys = steps.iter().map_while(|step| match step {
            Step::Key(key) => Some(Arc::clone(key)),
            Step::Index(_) => None,
        });
        reads.push(std::iter::once(Arc::clone(root)).chain(keys).collect());
    }
    node.for_each_child(&mut |child| collect_reads(child, reads));
}
